"""Names of nodes, as the programs that were made of them have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXPORTED = "convlint_exported"
"""Key of a node's meta: what ``torch.export.export`` called the node that it was lowered from."""


def exported_name(node: Any) -> str:
    """What ``torch.export.export`` called the node that this one was lowered from; empty for a changed one.

    A trace that decomposes says it in ``from_node``, from the last node to the first.
    https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/export/ir_spec.html
    """
    name = str(node.meta.get(EXPORTED, ""))
    sources = node.meta.get("from_node") if not name else None
    while sources:
        name, sources = str(sources[-1].name), sources[-1].from_node
    return name


def located(nodes: Mapping[str, Any], name: str) -> Any:
    """The node that a name of the MIL program came from, ``view_3`` for ``view_3_cast_fp16``; None where
    passes made it anew. ``nodes`` are those of the ``torch.fx`` graph by name."""
    while name and name not in nodes:
        name = name.rpartition("_")[0]
    return nodes.get(name)
