"""Results whose size only values tell, where those values are constants: a mask or counts from a buffer.

torch.export gives such a size a symbol of its own, which coremltools cannot read. The elements that a
constant picks are known, so the call becomes a selection of them, and every size behind it a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlint.capture.walk import op_name
from convlint.repair.draft import CHANGED, Change, Draft
from convlint.repair.folding import Folder
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    import torch
    from torch.fx import Node

TITLE = "the elements that a constant picks, selected by their places"
_PICKS = {"aten.masked_select.default": 1, "aten.repeat_interleave.self_Tensor": 1}
"""Calls, each with the position of the argument that decides how many elements there are."""


def with_known_sizes(program: Any) -> tuple[Any, tuple[Change, ...]]:
    """``program`` with such calls replaced, and the changes; itself where there is none."""
    if not any(op_name(node.target) in _PICKS for node in program.graph.nodes):
        return program, ()
    draft = Draft(program)
    folder = Folder(draft, float_buffers=False)
    changes = []
    for node in list(draft.graph.nodes):
        op = op_name(node.target)
        if op in _PICKS and node.op == "call_function" and not folder.const[node]:
            decides: Any = node.args[_PICKS[op]]
            value = folder.value(decides) if folder.const.get(decides) else None
            if value is not None:
                change = Change(node.name, op, "fold", TITLE)
                try:
                    _select(node, value, Writer(draft, draft.fake_mode(), node, change))
                except NotApplicable:
                    continue
                changes.append(change)
    if not changes:
        return program, ()
    draft.settle()
    _write_numbers(draft)
    return draft.program(), tuple(changes)


def _select(node: Node, decides: torch.Tensor, write: Writer) -> None:
    import torch

    aten = torch.ops.aten
    source: Any = node.args[0]
    dim: Any = 0
    shape = shape_of(source)
    if op_name(node.target) == "aten.masked_select.default":
        whole = tuple(torch.broadcast_shapes(shape, decides.shape))  # type: ignore[no-untyped-call]
        places = decides.expand(whole).reshape(-1).nonzero().reshape(-1)
        if whole != shape:
            source = write(aten.expand.default, source, list(whole))
        source = write.reshaped(source, [-1])
    else:
        given = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim")
        if given is None:
            source = write.reshaped(source, [-1])
        else:
            dim = given
        counts = decides.expand(shape_of(source)[dim])
        places = torch.arange(len(counts)).repeat_interleave(counts)
    index = write.draft.add_constant(places.to(torch.int32))
    picked = write(aten.index_select.default, source, dim, index)
    node.replace_all_uses_with(picked)
    write.draft.graph.erase_node(node)


def _write_numbers(draft: Draft) -> None:
    """Put numbers in the place of sizes that are known now, and leave the checks of them out."""
    for node in list(draft.graph.nodes):
        if node.op != "call_function":
            continue
        value = node.meta.get("val")
        if type(value) in (int, float, bool) and CHANGED not in node.meta:
            node.replace_all_uses_with(value)
            draft.graph.erase_node(node)
        elif op_name(node.target).startswith(("aten._assert_scalar", "aten.sym_constrain_range")) and (
            not node.all_input_nodes
        ):
            draft.graph.erase_node(node)
