"""Changes gathered by line: the calls of one line count as one change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convlint.capture.walk import node_module, node_place, op_name
from convlint.model.applied import Applied


def add_call(
    found: dict[tuple[Any, ...], Applied], node: Any, kind: str, title: str, safety: str, rewrite: str = ""
) -> None:
    """Put a change to the call ``node`` among those ``found``; the calls of one line count as one change."""
    place, op = node_place(node), op_name(node.target)
    key = (op, title, place.site)
    if key in found:
        found[key] = replace(found[key], calls=found[key].calls + 1)
        return
    module = node_module(node)[0]
    found[key] = Applied(op, kind, title, safety, rewrite, place.site, place.caller, module)
