"""What may stand in the place of a refused call, in the order to try it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.walk import op_name
from convlint.rewrites.table import FixesSize, NotApplicable, corrections_of, rewrites_of

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function of the call's own arguments. ``kind``: "rewrite", "correction" or "decomposition"."""

    kind: str
    title: str
    function: Callable[..., Any]
    name: str = ""
    safety: str = "safe"


def corrections(node: Node) -> Iterator[Candidate]:
    """The functions that compute ``node``, which converts to other numbers, in ops that do not."""
    for rewrite in corrections_of(op_name(node.target)):
        yield Candidate("correction", rewrite.title, rewrite.function, rewrite.name, rewrite.safety)


def candidates(node: Node) -> Iterator[Candidate]:
    """The functions that may stand in the place of ``node``, which coremltools refused."""
    op = op_name(node.target)
    for rewrite in rewrites_of(op):
        yield Candidate("rewrite", rewrite.title, rewrite.function, rewrite.name, rewrite.safety)
    if _has_no_axes(node):
        yield Candidate("rewrite", "an axis of size 1 while it is computed", _in_one_axis(node.target))
    if _has_booleans(node):
        yield Candidate("rewrite", "its booleans made integers first", _cast(node, _are_booleans, "int32"))
    if _makes_floats(node):
        yield Candidate("rewrite", "its integers and booleans made floats first", _cast(node, _are_whole))
    function = torch_adapter.decomposition_of(node.target)
    if function is not None:
        yield Candidate("decomposition", f"PyTorch's decomposition of {op}", function)
    if torch_adapter.is_composite(node.target):
        yield Candidate("decomposition", f"what {op} is composed of in PyTorch", node.target)  # type: ignore[arg-type]


def _has_no_axes(node: Node) -> bool:
    """Whether it computes one element from others, by an op that treats every element alone."""
    import torch

    value = node.meta.get("val")
    alone = isinstance(value, torch.Tensor) and value.dim() == 0
    return alone and torch.Tag.pointwise in getattr(node.target, "tags", ())


def _in_one_axis(op: Any) -> Callable[..., Any]:
    import torch

    def function(*args: Any, **kwargs: Any) -> Any:
        args = tuple(arg.reshape(1) if isinstance(arg, torch.Tensor) else arg for arg in args)
        # A reshape to no axes stays one axis in MIL; a squeeze does not.
        return op(*args, **kwargs).squeeze(0)

    return function


def _is_pointwise(node: Node) -> bool:
    import torch

    return torch.Tag.pointwise in getattr(node.target, "tags", ())


def _given(node: Node) -> list[Any]:
    import torch

    values = (source.meta.get("val") for source in node.all_input_nodes)
    return [value for value in values if isinstance(value, torch.Tensor)]


def _has_booleans(node: Node) -> bool:
    """Whether it computes something of booleans, element by element."""
    return _is_pointwise(node) and any(map(_are_booleans, _given(node)))


def _makes_floats(node: Node) -> bool:
    """Whether it computes floats of integers or booleans, element by element."""
    import torch

    value = node.meta.get("val")
    floats = isinstance(value, torch.Tensor) and value.is_floating_point()
    return floats and _is_pointwise(node) and any(map(_are_whole, _given(node)))


def _are_booleans(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.dtype is torch.bool


def _are_whole(value: Any) -> bool:
    import torch

    whole = isinstance(value, torch.Tensor) and not value.is_floating_point()
    return whole and not value.is_complex()


def _cast(node: Node, chosen: Callable[[Any], bool], dtype: str = "") -> Callable[..., Any]:
    """The op of its arguments, the chosen ones cast: to the default dtype of floats, if none is named."""
    import torch

    op: Any = node.target
    boolean = _are_booleans(node.meta.get("val"))

    def function(*args: Any, **kwargs: Any) -> Any:
        kind = getattr(torch, dtype) if dtype else torch.get_default_dtype()
        out = op(*(arg.to(kind) if chosen(arg) else arg for arg in args), **kwargs)
        return out != 0 if boolean and out.dtype is not torch.bool else out

    return function


def spelled_out(node: Node, error: str) -> list[int]:
    """How many arguments may be spelled out behind those of ``node``, for a converter that counts them."""
    if "input(s)" not in error:
        return []
    more = 0
    for argument in _unspelled(node):
        if argument.name not in node.kwargs and not argument.has_default_value():
            break
        if str(argument.type) == "Optional[int]" and node.kwargs.get(argument.name) is None:
            break  # None has a meaning of its own there: for torch.cross, the first axis of three
        more += 1
    return list(range(1, more + 1))


def spell_out(node: Node, more: int) -> None:
    """Write ``more`` of the arguments of ``node`` that are left to their defaults, or named, by position.

    They are made of the arguments that the call has now: other changes may have put other nodes there.
    """
    kwargs = dict(node.kwargs)
    added = [
        kwargs.pop(argument.name) if argument.name in kwargs else _spelled(argument, node)
        for argument in _unspelled(node)[:more]
    ]
    node.args, node.kwargs = (*node.args, *added), kwargs


def _unspelled(node: Node) -> list[Any]:
    """The positional arguments of the schema that do not stand by position in the call."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return []
    return [argument for argument in schema.arguments if not argument.kwarg_only][len(node.args) :]


def _spelled(argument: Any, node: Node) -> Any:
    value = argument.default_value
    if isinstance(value, list) and len(value) == 0 and argument.name == "stride":
        return node.args[1]  # an empty stride means the kernel size
    if isinstance(value, list):
        return list(value)
    return value


def _arguments(node: Node) -> Any:
    """The arguments of a call, whatever its tensors are called."""
    from torch.fx import map_arg

    return map_arg((node.args, node.kwargs), lambda tensor: "a tensor")


def traced_or_none(node: Node, candidate: Candidate) -> tuple[GraphModule | None, str]:
    """The candidate traced with the arguments of ``node``; else why it does not apply.

    Raises :class:`FixesSize` where it would fix a dynamic size, which is worth reporting.
    """
    from convlint.repair.draft import trace_call

    try:
        traced = trace_call(node, candidate.function)
    except FixesSize:
        raise
    except NotApplicable as error:
        return None, str(error)
    calls = [inner for inner in traced.graph.nodes if inner.op == "call_function"]
    if any(str(inner.target).startswith("prims.") for inner in calls):
        return None, "it ends in ops of another dialect"
    if len(calls) == 1 and calls[0].target is node.target and _arguments(calls[0]) == _arguments(node):
        return None, "it is the call itself again"
    return traced, ""
