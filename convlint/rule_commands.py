"""The commands for those who write rules: ``rules test`` and ``rules new``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.config import Project
from convlint.progress import Progress
from convlint.text import visible

if TYPE_CHECKING:
    from convlint.model import Rule
    from convlint.rulebook import Rulebook


def test(options: argparse.Namespace, rulebook: Rulebook, out: TextIO) -> int:
    """Run the examples of the named rules, of all where none is named; exit code 1 where one fails."""
    chosen = _chosen(rulebook, options.rules)
    from convlint.example import workshop
    from convlint.output.json import dumps
    from convlint.output.proofs import proofs_text, proofs_to_dict
    from convlint.proof import prove_rule

    proofs = []
    with Progress("convlint rules test", enabled=True) as progress, workshop(rulebook) as shop:
        for number, rule in enumerate(chosen, 1):
            progress(f"{rule.code} {rule.name} ({number} of {len(chosen)})")
            proofs.append(prove_rule(rule, shop))
        versions = shop.versions
    if options.format == "json":
        out.write(dumps(proofs_to_dict(proofs, versions)))
    else:
        out.write(proofs_text(proofs, versions))
    return 1 if any(proof.outcome in ("failed", "stale") for proof in proofs) else 0


def new(options: argparse.Namespace, project: Project, rulebook: Rulebook, out: TextIO) -> int:
    """Write a template, and say how it is used."""
    from convlint.rule_template import new_rule
    from convlint.rulebook import shipped_folder

    folder = Path(options.path or next(iter(project.rule_paths), "rules"))
    shipped = shipped_folder()
    taken = [word for rule in rulebook for word in (rule.code, rule.name)]
    path = new_rule(options.name, options.category, folder, shipped, taken)
    out.write(f"{visible(str(path))}\n")
    known = path.resolve().is_relative_to(shipped.resolve()) or any(
        path.resolve().is_relative_to(Path(root).resolve()) for root in project.rule_paths
    )
    code = path.name.partition("-")[0]
    option = "" if known else f" --rule-path {folder}"
    sys.stderr.write(f"its examples are proved by: convlint rules test {code}{visible(option)}\n")
    return 0


def _chosen(rulebook: Rulebook, words: list[str]) -> list[Rule]:
    """The rules that ``words`` name, as --select does."""
    return list(rulebook.select(words) if words else rulebook)
