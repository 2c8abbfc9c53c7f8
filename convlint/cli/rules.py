"""The commands about rules (show, list, test, new), and ``doctor``, which is about versions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.runs.progress import Progress, silence_libraries
from convlint.settings.project import Project, find_project
from convlint.text import visible

if TYPE_CHECKING:
    from convlint.model import Rule
    from convlint.rules.rulebook import Rulebook


def rule(options: argparse.Namespace, out: TextIO) -> int:
    """Show one rule."""
    from convlint.output.json import dumps
    from convlint.output.rules import renamed_text, rule_markdown, rule_to_dict, rules_to_dict

    matching = _rulebook(options).find_all(options.rule)
    if options.format == "json":
        out.write(dumps(rule_to_dict(matching[0]) if len(matching) == 1 else rules_to_dict(matching)))
    else:
        _show(
            rule_markdown(matching[0]) if len(matching) == 1 else renamed_text(options.rule, matching),
            options,
            out,
        )
    return 0


def _show(page: str, options: argparse.Namespace, out: TextIO) -> None:
    """Write a page: with headings and colours for people at a terminal, as it is for all others."""
    from convlint.output.page import Plain
    from convlint.output.terminal import console_of

    console = console_of(out)
    if options.format == "markdown" or isinstance(console, Plain):
        out.write(page)
        return
    from convlint.output.rule_page import render_page

    render_page(page, console)


def rules(options: argparse.Namespace, out: TextIO) -> int:
    """List the rules, run their examples, or write the file of a new one."""
    if options.action == "test":
        return _test(options, _rulebook(options), out)
    if options.action == "new":
        return _new(options, find_project(), _rulebook(options), out)
    from convlint.output.json import dumps
    from convlint.output.rules import rules_text, rules_to_dict

    rulebook: Iterable[Rule] = _rulebook(options)
    out.write(dumps(rules_to_dict(rulebook)) if options.format == "json" else rules_text(rulebook))
    return 0


def doctor(options: argparse.Namespace, out: TextIO) -> int:
    """Show this environment; exit code 1 where a check with its trial cannot run."""
    from convlint.checking.doctor import NATIVE_LIBRARY, diagnose, measured_text

    diagnosis = diagnose(_rulebook(options))
    if options.format == "json":
        from convlint.output.json import dumps

        findings = [
            {"code": f.rule.code, "name": f.rule.name, "severity": f.severity, "message": f.message}
            for f in diagnosis.findings
        ]
        facts = {
            "measured": measured_text(diagnosis.versions),
            "native_error": diagnosis.native_error,
            "healthy": diagnosis.healthy,
            "findings": findings,
        }
        out.write(dumps({"versions": diagnosis.versions, **facts}))
    else:
        rows = {name: version or "not installed" for name, version in diagnosis.versions.items()}
        rows[NATIVE_LIBRARY] = diagnosis.native_error or "loads"
        width = max(map(len, rows))
        out.write("".join(f"{name:{width}}  {visible(text)}\n" for name, text in rows.items()))
        for finding in diagnosis.findings:
            rule = finding.rule
            out.write(f"\n{finding.severity} {rule.code} {rule.name}: {visible(finding.message)}")
        if diagnosis.findings:
            out.write("\n\n`convlint rule CODE` explains each.\n")
        measured = measured_text(diagnosis.versions)
        out.write(f"\n{measured[:1].upper()}{measured[1:]}.\n")
        if diagnosis.healthy:
            out.write("A trial conversion can run here.\n")
        else:
            out.write("A static check works here; a trial conversion does not.\n")
    return 0 if diagnosis.healthy else 1


def _test(options: argparse.Namespace, rulebook: Rulebook, out: TextIO) -> int:
    """Run the examples of the named rules, or of all rules; exit code 1 where one fails."""
    chosen = _chosen(rulebook, options.rules)
    from convlint.output.json import dumps
    from convlint.output.proofs import proofs_text, proofs_to_dict
    from convlint.rule_tester.example import rule_tester
    from convlint.rule_tester.proof import prove_rule

    proofs = []
    with Progress("convlint rules test", enabled=True) as progress, rule_tester(rulebook) as tester:
        if not options.debug:
            silence_libraries()
        for number, rule in enumerate(chosen, 1):
            progress(f"{rule.code} {rule.name} ({number} of {len(chosen)})")
            proofs.append(prove_rule(rule, tester))
        versions = tester.versions
    if options.format == "json":
        out.write(dumps(proofs_to_dict(proofs, versions)))
    else:
        out.write(proofs_text(proofs, versions))
    return 1 if any(proof.outcome in ("failed", "stale") for proof in proofs) else 0


def _new(options: argparse.Namespace, project: Project, rulebook: Rulebook, out: TextIO) -> int:
    """Write a template, and say how to use it."""
    from convlint.rules.rulebook import shipped_folder
    from convlint.rules.scaffold import new_rule

    folder = Path(options.path or next(iter(project.rule_paths), "rules"))
    shipped = shipped_folder()
    taken = [word for rule in rulebook for word in (rule.code, rule.name, *rule.aliases)]
    path = new_rule(options.name, options.category, folder, shipped, taken)
    out.write(f"{visible(str(path))}\n")
    known = path.resolve().is_relative_to(shipped.resolve()) or any(
        path.resolve().is_relative_to(Path(root).resolve()) for root in project.rule_paths
    )
    code = path.name.partition("-")[0]
    option = "" if known else f" --rule-path {folder}"
    sys.stderr.write(f"prove its examples with: convlint rules test {code}{visible(option)}\n")
    return 0


def _chosen(rulebook: Rulebook, words: list[str]) -> list[Rule]:
    """The rules that ``words`` name, as --select does."""
    return list(rulebook.select(words) if words else rulebook)


def _rulebook(options: argparse.Namespace) -> Rulebook:
    from convlint.rules.rulebook import load_rulebook

    paths = (*find_project().rule_paths, *(options.rule_path or ()))
    return load_rulebook([Path(path) for path in paths])
