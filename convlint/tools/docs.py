"""One page for each rule, and the schema of the configuration: ``python -m convlint.tools.docs``.

The pages contain what the rule files say and nothing else. ``--check`` writes nothing and lists the
stale files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from convlint.model import Replacement, Rule
from convlint.output.rules import rule_markdown
from convlint.rules.error_texts import known_texts
from convlint.rules.rule import CATEGORIES, CONFIDENCE_MEANING, SEVERITY_MEANING
from convlint.rules.rulebook import Rulebook, load_rulebook
from convlint.settings.schema import config_schema

FOLDER = Path(__file__).parent.parent.parent / "docs" / "rules"
INDEX = "index.md"
REPLACEMENTS = FOLDER.parent / "replacements.md"
REWRITES = FOLDER.parent / "rewrites.md"
BUGS = FOLDER.parent / "coremltools-bugs.md"
MESSAGES = FOLDER.parent / "error-messages.md"
SCHEMA = FOLDER.parent / "convlint.schema.json"
BESIDE = (REPLACEMENTS, REWRITES, BUGS, MESSAGES)
"""The generated pages beside the folder of the rules."""
LONGEST_CELL = 90
"""Letters of code that a cell of a table may have."""


def pages(rulebook: Rulebook) -> Mapping[str, str]:
    """Every page by its file name."""
    by_name = {f"{rule.code}-{rule.name}.md": rule_markdown(rule) for rule in rulebook}
    return {INDEX: index(rulebook), **by_name}


def index(rulebook: Rulebook) -> str:
    """The list of all rules by category."""
    parts = [
        "# Rules",
        f"{len(rulebook)} rules. A report names them by their codes; `convlint rule CODE` shows one in a"
        " terminal. From a message of coremltools or Xcode, [go by its text](../error-messages.md); from a"
        " piece of code, by [what to write instead](../replacements.md). [Write a rule](../rule-language.md)"
        " of your own. Generated from the files under `rules/` by `python -m convlint.tools.docs`.",
        "\n".join(f"* **{word}**: {meaning}" for word, meaning in SEVERITY_MEANING.items()),
        "How a rule is known:",
        "\n".join(f"* **{word}**: {meaning}" for word, meaning in CONFIDENCE_MEANING.items()),
    ]
    for category in CATEGORIES.values():
        rows = [
            f"| [{rule.code}]({rule.code}-{rule.name}.md) | {rule.title} | {rule.name} | {rule.severity} "
            f"| {rule.confidence} |"
            for rule in rulebook
            if rule.category == category.name
        ]
        if rows:
            head = ["| code | title | name | severity | confidence |", "|---|---|---|---|---|"]
            parts += [f"## {category.name}: {category.says}", "\n".join([*head, *rows])]
    return "\n\n".join(parts) + "\n"


def replacements(rulebook: Rulebook) -> str:
    """The page of replacements: one line for each ``[[replace]]`` with code."""
    parts = [
        "# What to write instead",
        "Generated from the rule files by `python -m convlint.tools.docs`. What fix does in the graph,"
        " without your source, is on [another page](rewrites.md).",
        "Each pair is run by the test-suite: the second form converts, gives the same values within the"
        " tolerance of its rule, and lets gradients through. `convlint fix --write` makes such a change where"
        " a line of yours is written like the first, and only after the changed model gave the same values."
        " The page of the rule has the code in full.",
    ]
    for category in CATEGORIES.values():
        found = [
            _replacement_row(rule, each)
            for rule in rulebook
            for each in rule.replacements
            if rule.category == category.name and each.kind == "rewrite" and each.before
        ]
        if found:
            head = ["| in place of | write | the same numbers | rule |", "|---|---|---|---|"]
            parts += [f"## {category.name}: {category.says}", "\n".join([*head, *found])]
    return "\n\n".join(parts) + "\n"


def _replacement_row(rule: Rule, each: Replacement) -> str:
    """One line of the table: code that fits there, else the title, and the page that has all of it."""
    old, new = (_cell(text) for text in (each.before, each.after))
    same = {"safe": "yes", "unsafe": "may differ for some inputs"}.get(
        each.safety, "no: only before training"
    )
    link = f"[{rule.code} {rule.name}](rules/{rule.code}-{rule.name}.md)"
    written = new if old and new else each.title.replace("|", "\\|")
    return f"| {old or 'several lines'} | {written} | {same} | {link} |"


def _cell(code: str) -> str:
    """Code of one line as a cell of a table; empty for longer code."""
    text = code.strip()
    fits = "\n" not in text and len(text) <= LONGEST_CELL and "`" not in text
    return "`{}`".format(text.replace("|", "\\|")) if fits else ""


def graph_rewrites(rulebook: Rulebook) -> str:
    """The page of what ``convlint.fix`` puts in the place of calls."""
    from convlint.rewrites.table import all_rewrites

    rows = []
    for rewrite in all_rewrites():
        ops = ", ".join(f"`{op}`" for op in rewrite.ops)
        rows.append(f"| {ops} | {rewrite.title} | {_codes(rulebook, rewrite.ops)} | {rewrite.safety} |")
    parts = [
        "# What fix does in the graph",
        "Generated from the rewrites of `convlint.fix` by `python -m convlint.tools.docs`.",
        "What `convlint.fix` puts in place of a call that coremltools refuses, where PyTorch has no"
        " decomposition of it, or one that does not convert. Each is compared with its op on PyTorch's own"
        " samples by the test-suite, and again on your model when it is applied. Beside these, fix spells out"
        " default arguments, computes once what depends on no input, carries tensors of rank above 5 in lower"
        " rank and complex ones as pairs, and takes PyTorch's own decompositions.",
        "\n".join(["| op | in its place | rules | safety |", "|---|---|---|---|", *sorted(rows)]),
    ]
    return "\n\n".join(parts) + "\n"


def bugs(rulebook: Rulebook) -> str:
    """The page of wrong conversions: what converts silently and computes something else."""
    rows = []
    for rule in rulebook:
        if rule.differs != "float32" or not rule.bad:
            continue
        ops = ", ".join(f"`{name}`" for match in rule.matches for name in match.names)
        case = _marked_line(rule.bad[0].code)
        inputs = ", ".join(f"`{text}`" for text in rule.bad[0].inputs)
        instead = next((each for each in rule.replacements), None)
        advice = "" if instead is None else instead.title
        if instead is not None and instead.after.strip():
            advice += f": `{' '.join(instead.after.split())}`"
        where = [f"coremltools {rule.applies.get('coremltools', BOTH_RELEASES)}"]
        where += [f"{what} {rule.applies[what]}" for what in ("frontend", "target") if what in rule.applies]
        cells = (f"[{rule.code}](rules/{rule.code}-{rule.name}.md)", ops, f"`{case}` of {inputs}", *where[:1])
        frontend = ", ".join(where[1:]) or "both frontends"
        rows.append(" | ".join(cell.replace("|", "\\|") for cell in (*cells, frontend, advice)))
    parts = [
        "# Wrong conversions",
        "What coremltools converts silently, and what then computes something else than PyTorch at"
        " float32. Generated from the rules by `python -m convlint.tools.docs`. The test-suite converts and"
        " runs each case with coremltools 9.0 and 9.1.dev1, through `convlint.parity`: the case differs, and"
        " what stands in the last column does not. `benchmarks/wrong_conversions.py` is the search for them.",
        "\n".join(
            [
                "| rule | op | smallest case | coremltools | where | write instead |",
                "|---|---|---|---|---|---|",
                *(f"| {row} |" for row in rows),
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


BOTH_RELEASES = "9.0 and 9.1.dev1"
"""The releases that a rule without bounds was run with."""


def _marked_line(code: str) -> str:
    line = next((line for line in code.splitlines() if "# <-" in line), "")
    return line.partition("# <-")[0].strip().removeprefix("return ")


def _codes(rulebook: Rulebook, ops: Sequence[str]) -> str:
    """The rules that name one of the ops; CL100 speaks for every op without a converter."""
    rules = [
        rule
        for rule in rulebook
        if any(
            fnmatchcase(op, name)
            for match in rule.matches
            if match.subject == "op"
            for name in match.names
            if name != "*"
            for op in ops
        )
        and rule.category == "support"
    ]
    links = [f"[{rule.code}](rules/{rule.code}-{rule.name}.md)" for rule in rules]
    return ", ".join(links) or "CL100"


def messages(rulebook: Rulebook) -> str:
    """The page of error messages that are known."""
    parts = [
        "# What an error message means",
        "Messages of coremltools, torch, Core ML and Xcode, as people meet them. `convlint explain` finds"
        " them from a text, and beside them the rules about an op that the text names:",
        "```console\n$ convlint explain \"PyTorch convert function for op 'diff' not implemented\"\n"
        "$ python convert.py 2>&1 | convlint explain -\n```",
        "It has no model to look at. `convlint check` has, and says the line.",
    ]
    for known in known_texts():
        rules = [rulebook.find(code) for code in known.rules]
        links = ", ".join(f"[{rule.code} {rule.name}](rules/{rule.code}-{rule.name}.md)" for rule in rules)
        more = [f"Rules: {links}."] if links else []
        more += [f"[More]({known.source})."] if known.source else []
        parts += [
            f"## {known.text}",
            f"Printed by {known.by}.",
            known.says,
            f"**Do:** {known.do}",
            " ".join(more),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def beside(rulebook: Rulebook) -> Mapping[Path, str]:
    """The pages beside the folder of the rules, by their paths."""
    return {
        REPLACEMENTS: replacements(rulebook),
        REWRITES: graph_rewrites(rulebook),
        BUGS: bugs(rulebook),
        MESSAGES: messages(rulebook),
    }


def stale(rulebook: Rulebook, folder: Path = FOLDER) -> list[str]:
    """The names of pages that are missing, differ, or belong to no rule any more; sorted."""
    expected = pages(rulebook)
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    if folder == FOLDER:
        for path, text in beside(rulebook).items():
            expected = {**expected, path.name: text}
            if path.exists():
                there[path.name] = path.read_text(encoding="utf-8")
    return sorted(name for name in {*expected, *there} if expected.get(name) != there.get(name))


def write(rulebook: Rulebook, folder: Path = FOLDER) -> list[str]:
    """Bring the folder up to date, and return the names of the changed pages."""
    changed = stale(rulebook, folder)
    expected = pages(rulebook)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        path = FOLDER.parent / name
        if path in BESIDE:
            path.write_text(beside(rulebook)[path], encoding="utf-8", newline="\n")
        elif name in expected:
            (folder / name).write_text(expected[name], encoding="utf-8", newline="\n")
        else:
            (folder / name).unlink()
    return changed


def schema_text() -> str:
    """The text of the schema file that editors read."""
    return json.dumps(config_schema(), indent=2) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` list the stale ones (exit code 1)."""
    if any(argument != "--check" for argument in arguments):
        sys.stderr.write("usage: python -m convlint.tools.docs [--check]\n")
        return 2
    rulebook = load_rulebook()
    if arguments:
        names = stale(rulebook)
        names += [SCHEMA.name] if not SCHEMA.is_file() or SCHEMA.read_text() != schema_text() else []
        sys.stdout.write("".join(f"stale: {name}\n" for name in names))
        return 1 if names else 0
    SCHEMA.write_text(schema_text(), encoding="utf-8", newline="\n")
    sys.stdout.write("".join(f"wrote {name}\n" for name in write(rulebook)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
