"""How Python reaches each port of an exported program: ``xs[0]`` or, in the result, ``['boxes'][0]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    from convlint.torch_adapter import pytree

    try:
        tree = pytree.tree_unflatten([object()] * spec.num_leaves, spec)
        leaves = pytree.tree_flatten_with_path(tree, is_leaf=_has_no_keys)[0]
        return [
            (*path, *rest)
            for path, part in leaves
            for rest in (_inside(part) if _has_no_keys(part) else [()])
        ]
    except Exception:  # a class that takes no placeholders, or keeps its parts in an order of its own
        return []


def _has_no_keys(part: Any) -> bool:
    """Whether a part is of a class that was registered without names for what it holds, as of diffusers."""
    from convlint.torch_adapter import pytree

    node = pytree.SUPPORTED_NODES.get(type(part))
    return node is not None and node.flatten_with_keys_fn is None


def _inside(part: Any) -> list[tuple[Any, ...]]:
    """The ways to the leaves of such a part: as a mapping, as a dataclass, by position where neither fits."""
    import dataclasses

    from convlint.torch_adapter import pytree

    children = pytree.SUPPORTED_NODES[type(part)].flatten_fn(part)[0]
    keys: list[Any] = [pytree.SequenceKey(index) for index in range(len(children))]
    named: dict[Any, Any] = {}
    if isinstance(part, Mapping):
        named = {pytree.MappingKey(key): value for key, value in part.items()}
    elif dataclasses.is_dataclass(part):
        named = {pytree.GetAttrKey(each.name): getattr(part, each.name) for each in dataclasses.fields(part)}
    order = [next((key for key, value in named.items() if value is child), None) for child in children]
    if all(key is not None for key in order):
        keys = order
    paths = []
    for key, child in zip(keys, children, strict=True):
        for path, leaf in pytree.tree_flatten_with_path(child, is_leaf=_has_no_keys)[0]:
            rests = _inside(leaf) if _has_no_keys(leaf) else [()]
            paths += [(key, *path, *rest) for rest in rests]
    return paths


def _of_argument(name: str, path: tuple[Any, ...]) -> str:
    """``path`` starts with args or kwargs and the argument; what follows leads to the tensor."""
    inside = path[2:]
    keys = [getattr(key, "idx", getattr(key, "key", getattr(key, "name", ""))) for key in inside]
    base = name.removesuffix("".join(f"_{key}" for key in keys))
    return base + "".join(map(str, inside))
