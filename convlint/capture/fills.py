"""Numbers that a model writes into its tensors, such as the ``-inf`` of an attention mask.

Weights have no values before training, but a fill stands in the graph as a number. It is followed
through ops that only move elements, so that a rule about a later op can ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.fx import Node

# Where the number stands among the positional arguments.
_WRITERS = {
    "full": (1,),
    "full_like": (1,),
    "new_full": (2,),
    "fill": (1,),
    "masked_fill": (2,),
    "where": (1, 2),
    "scalar_tensor": (0,),
}
_MOVERS = frozenset(
    "view reshape _unsafe_view expand unsqueeze squeeze permute transpose t flatten unflatten clone alias"
    " detach contiguous lift_fresh_copy _to_copy to repeat tile triu tril where masked_fill cat stack".split()
)


def fill_of(node: Node, fills: dict[Node, float | None]) -> float | None:
    """The number of largest magnitude that was written into ``node``'s tensor, None where none was.

    ``fills`` remembers the answers; nodes are asked for in graph order, so that none recurses deeply.
    """
    if node in fills:
        return fills[node]
    fills[node] = None
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return None
    name = schema.name.removeprefix("aten::")
    values = [node.args[index] for index in _WRITERS.get(name, ()) if index < len(node.args)]
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    if name in _MOVERS:
        numbers += [fill for source in node.all_input_nodes if (fill := fill_of(source, fills)) is not None]
    fills[node] = max(numbers, key=abs, default=None)
    return fills[node]
