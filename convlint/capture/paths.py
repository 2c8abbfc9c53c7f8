"""How Python reaches each port of an exported program: ``xs[0]`` or, in the result, ``['boxes'][0]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from convlint.model import Port


def input_paths(program: Any) -> dict[str, str]:
    """The path of each user input by its name in the graph; a plain argument has its own name."""
    call = _call_signature(program)
    names = list(program.graph_signature.user_inputs)
    leaves = _leaf_paths(call.in_spec) if call is not None else []
    if len(leaves) != len(names):
        return {}
    return {str(name): _of_argument(str(name), path) for name, path in zip(names, leaves, strict=True)}


def with_paths(outputs: Sequence[Port], program: Any) -> list[Port]:
    """The outputs, each of those that ``forward`` returns with its path in the result."""
    call = _call_signature(program)
    leaves = _leaf_paths(call.out_spec) if call is not None else []
    returned = [port for port in outputs if port.kind in ("tensor", "constant")]
    if len(leaves) != len(returned):
        return list(outputs)
    texts = iter(["".join(map(str, path)) for path in leaves])
    kinds = ("tensor", "constant")
    return [replace(port, path=next(texts)) if port.kind in kinds else port for port in outputs]


def _call_signature(program: Any) -> Any:
    entry = program.module_call_graph[0] if program.module_call_graph else None
    return entry.signature if entry is not None else None


def _leaf_paths(spec: Any) -> list[tuple[Any, ...]]:
    from torch.utils import _pytree as pytree

    tree = pytree.tree_unflatten([object()] * spec.num_leaves, spec)
    return [tuple(path) for path, _ in pytree.tree_flatten_with_path(tree)[0]]


def _of_argument(name: str, path: tuple[Any, ...]) -> str:
    """``path`` starts with args or kwargs and the argument; what follows leads to the tensor."""
    inside = path[2:]
    keys = [getattr(key, "idx", getattr(key, "key", getattr(key, "name", ""))) for key in inside]
    base = name.removesuffix("".join(f"_{key}" for key in keys))
    return base + "".join(map(str, inside))
