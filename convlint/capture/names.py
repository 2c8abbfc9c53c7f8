"""Names of nodes, as the programs that were made of them have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def located(nodes: Mapping[str, Any], name: str) -> Any:
    """The node that a name of the MIL program came from, ``view_3`` for ``view_3_cast_fp16``; None where
    passes made it anew. ``nodes`` are those of the ``torch.fx`` graph by name."""
    while name and name not in nodes:
        name = name.rpartition("_")[0]
    return nodes.get(name)
