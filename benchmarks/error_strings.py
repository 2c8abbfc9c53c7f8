"""What coremltools and torch say where a rule speaks: the errors that the bad examples of all rules end with.

    python -m benchmarks.error_strings --write

Each example of a rule that stops a conversion is checked as users check, through both frontends. What is said
at its marked lines goes, without the names and numbers of the example, into
``convlint/rules/data/seen_errors.json``, from which ``convlint explain`` finds the rule of an error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from convlint.errors import ConvlintError
from convlint.model import Rule
from convlint.rule_tester.environment import environment_of, unspoken
from convlint.rule_tester.example import RuleTester, Run, line_in, rule_tester
from convlint.rules.error_texts import general
from convlint.rules.rulebook import load_rulebook

FILE = Path(__file__).resolve().parent.parent / "convlint" / "rules" / "data" / "seen_errors.json"
CATEGORIES = ("capture", "support", "interface")
LONGEST = 240


def errors_of(rule: Rule, tester: RuleTester) -> list[str]:
    """What is said of the bad examples of one rule, each once."""
    found: dict[str, None] = {}
    for number, example in enumerate(rule.bad, 1):
        environment = environment_of(rule, example, tester.environment)
        if "environment" in example.options or unspoken(rule, example, environment):
            continue
        try:
            run = tester.run(example, f"{rule.code}_{number}", environment)
        except ConvlintError:
            continue
        found |= dict.fromkeys(_said(run, example.lines))
    return list(found)


def _said(run: Run, marked: tuple[int, ...]) -> list[str]:
    report = run.report
    texts = [
        failure.error
        for trial in report.trials
        for failure in trial.failures
        if not failure.follows and _is_marked(line_in(run.path, failure.site, failure.caller), marked)
    ]
    texts += [
        failure.message
        for failure in report.capture_failures
        if _is_marked(line_in(run.path, failure.site, failure.caller), marked)
    ]
    return [said for text in texts if re.search("[A-Za-z]{3}", said := general(text)[:LONGEST])]


def _is_marked(line: int | None, marked: tuple[int, ...]) -> bool:
    return line is None or not marked or line in marked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    parser.add_argument("--only", nargs="*", default=[], help="codes of rules")
    options = parser.parse_args()
    rulebook = load_rulebook().select(options.only)
    seen: dict[str, list[str]] = {}
    with rule_tester(load_rulebook()) as tester:
        for rule in rulebook:
            if rule.severity == "error" and rule.category in CATEGORIES:
                seen[rule.code] = errors_of(rule, tester)
                print(rule.code, *seen[rule.code], sep="\n  ", file=sys.stderr, flush=True)
        document = {"schema_version": 1, "versions": tester.versions, "errors": seen}
    if options.write:
        FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{len(seen)} rules, {sum(map(len, seen.values()))} errors")


if __name__ == "__main__":
    main()
