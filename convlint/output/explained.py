"""What is known of an error that somebody has in front of them, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlint.model import SCHEMA_VERSION
from convlint.output.page import Page
from convlint.rules.error_texts import Explained


def render_explained(found: Sequence[Explained], page: Page) -> None:
    """Write each explanation: what it means, what to do, and the rules with what to write instead."""
    for number, one in enumerate(found):
        if number:
            page.gap()
        if one.known is not None:
            page.put(("printed by ", "bold"), one.known.by, hang=2)
            page.put(("means      ", "bold"), one.known.says, hang=11)
            page.put(("do         ", "bold green"), one.known.do, hang=11)
            if one.known.source:
                page.put(("more       ", "bold"), one.known.source, hang=11)
        else:
            page.put((one.how[:1].upper() + one.how[1:], "bold"), hang=2)
        for rule in one.rules:
            page.put((f"{rule.code} {rule.name}", "bold cyan"), f"  {rule.title}", indent=2, hang=4)
            for replacement in rule.replacements[:2]:
                page.put(("help", "bold green"), f": {replacement.title}", indent=4, hang=6)
    if any(one.rules for one in found):
        page.gap()
        page.put("`convlint rule CODE` has the whole rule; `convlint check` finds the line of your model.")


def explained_to_dict(text: str, found: Sequence[Explained]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "text": text,
        "explanations": [
            {
                "how": one.how,
                "by": one.known.by if one.known else "",
                "means": one.known.says if one.known else "",
                "do": one.known.do if one.known else "",
                "source": one.known.source if one.known else "",
                "rules": [
                    {
                        "code": rule.code,
                        "name": rule.name,
                        "title": rule.title,
                        "instead": [replacement.title for replacement in rule.replacements],
                    }
                    for rule in one.rules
                ],
            }
            for one in found
        ],
    }
