"""A rule as a page, and the list of rules: Markdown and plain text, from the rule's own file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from convlint.model import SCHEMA_VERSION, Example, Match, Replacement, Rule, Severity

_SAFETY = {
    "safe": "computes the same",
    "unsafe": "may differ for some inputs",
    "retrain": "another function: only before training",
}


_HAPPENS: Mapping[str, str] = {
    "capture error": "torch cannot export the model, so that there is nothing to convert.",
    "support error": "coremltools refuses it: the model does not convert.",
    "ane warning": "It converts, and may leave the Neural Engine for the CPU or the GPU, or be slow there.",
    "ane note": "It converts. Worth knowing for the Neural Engine.",
    "numeric error": "It converts, and the converted program computes something else than PyTorch.",
    "numeric warning": "It converts, and its numbers can come out wrong.",
    "numeric note": "It converts. Worth knowing about its numbers.",
    "interface error": "The model does not convert with such inputs or outputs, or not to what it is.",
    "interface warning": "It converts, at a price for the app that calls the model.",
    "interface note": "It converts. Worth knowing for the app that calls the model.",
    "environment error": "Nothing can be converted with these versions.",
}
"""What happens where a rule fires, by its category and severity."""
_OTHERWISE: Mapping[Severity, str] = {
    "error": "The model does not convert, or converts to another function.",
    "warning": "It converts, at a price.",
    "note": "Worth knowing.",
}


def rule_markdown(rule: Rule) -> str:
    """Everything in a rule's file, as a page of Markdown: what happens, and what to write, come first."""
    facts = ", ".join(
        [rule.severity, rule.confidence, *(f"{what} {bounds}" for what, bounds in rule.applies.items())]
    )
    parts = [f"# {rule.code} {rule.name}: {rule.title}", f"**{_happens(rule)}** ({facts})"]
    parts += ["## Write instead", *map(_replacement, rule.replacements)] if rule.replacements else []
    parts += ["## Why", rule.why.strip()]
    when = [*_said(rule), "\n".join(map(_match, rule.matches))] if rule.matches else []
    parts += ["## When it is reported", *when] if when else []
    parts += [f"Formerly {' or '.join(rule.aliases)}, which still name it."] if rule.aliases else []
    parts += ["## Examples that are reported", *map(_example, rule.bad)] if rule.bad else []
    parts += ["## Examples that are not", *map(_example, rule.good)] if rule.good else []
    parts += ["## Sources", "\n".join(f"- {source}" for source in rule.sources)] if rule.sources else []
    return "\n\n".join(parts) + "\n"


def _happens(rule: Rule) -> str:
    """One sentence: what becomes of a model in which the rule fires."""
    if rule.differs == "float32" and rule.severity != "note":
        return "It converts without a word, and the converted program computes something else than PyTorch."
    return _HAPPENS.get(f"{rule.category} {rule.severity}", _OTHERWISE[rule.severity])


def _said(rule: Rule) -> list[str]:
    """What a finding says, with an op in the place of ``{op}``; nothing where only a model can say it."""
    ops = [
        name for match in rule.matches for name in match.names if match.subject == "op" and "*" not in name
    ]
    message = rule.message.replace("{op}", ops[0] if ops else "an op")
    message = re.sub(r"(?<!\{)\{[^{}]*\}(?!\})", "…", message).replace("{{", "{").replace("}}", "}")
    return [f"A finding says: `{message}`"] if re.search(r"\w{3}", message) else []


def renamed_text(word: str, rules: Iterable[Rule]) -> str:
    """The text for an older code or name that has become several rules."""
    return f"{word} has become several rules, each with a page of its own:\n\n{rules_text(rules)}"


def rules_text(rules: Iterable[Rule]) -> str:
    """One line for each rule: code, severity, name and title."""
    rows = [(rule.code, rule.severity, rule.name, rule.title) for rule in rules]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]) + "\n"
        for row in rows
    )


def rules_to_dict(rules: Iterable[Rule]) -> dict[str, Any]:
    """The list of rules for programs."""
    return {"schema_version": SCHEMA_VERSION, "rules": [rule_to_dict(rule) for rule in rules]}


def rule_to_dict(rule: Rule) -> dict[str, Any]:
    """One rule with all its texts, as plain JSON types."""
    return {
        "code": rule.code,
        "name": rule.name,
        "title": rule.title,
        "aliases": list(rule.aliases),
        "category": rule.category,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "differs": rule.differs,
        "message": rule.message,
        "why": rule.why,
        "sources": list(rule.sources),
        "applies": dict(rule.applies),
        "matches": [
            {"subject": m.subject, "names": list(m.names), "where": [str(condition) for condition in m.where]}
            for m in rule.matches
        ],
        "replacements": [
            {
                "title": r.title,
                "op": list(r.op),
                "words": list(r.words),
                "where": [str(condition) for condition in r.where],
                "general": r.general,
                "kind": r.kind,
                "safety": r.safety,
                "before": r.before,
                "after": r.after,
                "rtol": r.rtol,
            }
            for r in rule.replacements
        ],
        "bad": [_example_to_dict(example) for example in rule.bad],
        "good": [_example_to_dict(example) for example in rule.good],
        "path": rule.path,
    }


def _example_to_dict(example: Example) -> dict[str, Any]:
    return {
        "title": example.title,
        "code": example.code,
        "inputs": list(example.inputs),
        "lines": list(example.lines),
    }


def _match(match: Match) -> str:
    names = ", ".join(f"`{name}`" for name in match.names)
    where = " and ".join(f"`{condition}`" for condition in match.where)
    return f"- {match.subject} {names}" + (f" where {where}" if where else "")


def _replacement(replacement: Replacement) -> str:
    remark = _SAFETY[replacement.safety]
    if replacement.rtol is not None:
        remark += f", equal within {replacement.rtol:g}" if replacement.rtol else ", equal bit for bit"
    ops = ", ".join(f"`{name}`" for name in replacement.op)
    where = " and ".join(f"`{condition}`" for condition in replacement.where)
    holds = " ".join(filter(None, (f"For {ops}" if ops else "", f"where {where}" if where else "")))
    said = [f"{text[:1].upper()}{text[1:]}." for text in (holds, remark) if text]
    parts = [f"### {replacement.title}", " ".join(said)]
    parts += ["In place of", _code(replacement.before)] if replacement.before.strip() else []
    parts += ["write", _code(replacement.after)] if replacement.after.strip() else []
    return "\n\n".join(parts)


def _example(example: Example) -> str:
    title = f"{example.title}, " if example.title else ""
    return f"{title}inputs {', '.join(f'`{text}`' for text in example.inputs)}:\n\n{_code(example.code)}"


def _code(text: str) -> str:
    stripped = text.strip("\n")
    return f"```python\n{stripped}\n```"
