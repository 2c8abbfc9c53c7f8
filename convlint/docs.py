"""One page a rule under ``docs/rules``, and the schema of the configuration: ``python -m convlint.docs``.

The pages say what the rule files say and nothing else. ``--check`` writes nothing and says which
files are stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from convlint.config_schema import config_schema
from convlint.output.rules import rule_markdown
from convlint.rule import CATEGORIES, CONFIDENCE_MEANING, SEVERITY_MEANING
from convlint.rulebook import Rulebook, load_rulebook

FOLDER = Path(__file__).parent.parent / "docs" / "rules"
INDEX = "index.md"
SCHEMA = FOLDER.parent / "convlint.schema.json"


def pages(rulebook: Rulebook) -> Mapping[str, str]:
    """Every page by its file name."""
    found = {f"{rule.code}-{rule.name}.md": rule_markdown(rule) for rule in rulebook}
    return {INDEX: index(rulebook), **found}


def index(rulebook: Rulebook) -> str:
    """The list of all rules by category."""
    parts = [
        "# Rules",
        f"{len(rulebook)} rules, generated from the files under `rules/` by `python -m convlint.docs`.",
        "\n".join(f"* **{word}**: {meaning}" for word, meaning in SEVERITY_MEANING.items()),
        "How a rule is known:",
        "\n".join(f"* **{word}**: {meaning}" for word, meaning in CONFIDENCE_MEANING.items()),
    ]
    for category in CATEGORIES.values():
        rows = [
            f"| [{rule.code}]({rule.code}-{rule.name}.md) | {rule.name} | {rule.severity} "
            f"| {rule.confidence} | `{rule.message.replace('|', chr(92) + '|')}` |"
            for rule in rulebook
            if rule.category == category.name
        ]
        if rows:
            head = ["| code | name | severity | confidence | message |", "|---|---|---|---|---|"]
            parts += [f"## {category.name}: {category.says}", "\n".join([*head, *rows])]
    return "\n\n".join(parts) + "\n"


def stale(rulebook: Rulebook, folder: Path = FOLDER) -> list[str]:
    """The names of pages that are missing, differ, or belong to no rule any more; sorted."""
    wanted = pages(rulebook)
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def write(rulebook: Rulebook, folder: Path = FOLDER) -> list[str]:
    """Bring the folder up to date; the names of the pages that changed."""
    changed = stale(rulebook, folder)
    wanted = pages(rulebook)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8", newline="\n")
        else:
            (folder / name).unlink()
    return changed


def schema_text() -> str:
    """The file of the schema that editors read."""
    return json.dumps(config_schema(), indent=2) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` say which are stale (exit code 1)."""
    if any(argument != "--check" for argument in arguments):
        sys.stderr.write("usage: python -m convlint.docs [--check]\n")
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
