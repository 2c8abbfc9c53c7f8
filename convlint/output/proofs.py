"""The results of the rules' examples: a table for people, and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.text import count, visible

if TYPE_CHECKING:
    from convlint.rule_tester.proof import Outcome, RuleProof

_WORDS: dict[Outcome, str] = {
    "passed": "passed",
    "skipped": "skipped",
    "stale": "STALE",
    "failed": "FAILED",
}


def proofs_text(proofs: Sequence[RuleProof], versions: Mapping[str, str]) -> str:
    """One line for each rule, under it the examples that did not pass, and the totals at the end."""
    rows = [(p.rule.code, p.rule.name, _WORDS[p.outcome], _examples(p)) for p in proofs]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = []
    for proof, row in zip(proofs, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
        for each in proof.proofs:
            if each.outcome in ("failed", "stale"):
                title = f" ({each.title})" if each.title else ""
                lines.append(f"    [[{each.kind}]] {each.number}{title}: {_WORDS[each.outcome]}")
                lines += [f"        {reason}" for reason in each.reasons]
    outcomes = Counter(proof.outcome for proof in proofs)
    parts = [f"{outcomes[word]} {word}" for word in _WORDS if outcomes[word]]
    skipped = sum(proof.count("skipped") for proof in proofs)
    skipped_text = f"; {count(skipped, 'example')} skipped" if skipped else ""
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines += [
        "",
        f"{count(len(proofs), 'rule')}: {', '.join(parts) or 'none'}{skipped_text} ({with_versions})",
    ]
    return "".join(f"{visible(line)}\n" for line in lines)


def proofs_to_dict(proofs: Sequence[RuleProof], versions: Mapping[str, str]) -> dict[str, Any]:
    """The same for programs, with every example."""
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": dict(versions),
        "rules": [
            {
                "code": proof.rule.code,
                "name": proof.rule.name,
                "path": proof.rule.path,
                "outcome": proof.outcome,
                "proofs": plain(proof.proofs),
            }
            for proof in proofs
        ],
    }


def _examples(proof: RuleProof) -> str:
    """``2 bad, 1 good, 1 replace``, with the number of skipped ones."""
    kinds = Counter(each.kind for each in proof.proofs)
    text = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "no examples"
    skipped = proof.count("skipped")
    return f"{text} ({skipped} skipped)" if skipped else text
