"""Inputs and outputs that coremltools does not take as they stand in a program.

An example that lies in memory in another order than that of its axes is refused, whatever the model does with
it: the program is written down for one that lies in order. A boolean that goes out as it came in is refused
too, since it would be one variable of two roles: it becomes the result of an op.
https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/exir_utils.py
"""

from __future__ import annotations

from typing import Any

from convlint.repair.draft import CHANGED, Change, Draft

IN_ORDER = "the example inputs are taken as contiguous: in memory, {name} has its axes in another order"
NOT_PASSED_ON = "the boolean {name}, which is returned as it came, is computed once"


def with_plain_ports(program: Any) -> tuple[Any, tuple[str, ...]]:
    """``program`` with such inputs and outputs mended, and what was done; itself where there are none."""
    import torch
    from torch.export.graph_signature import InputKind, OutputKind

    draft = Draft(program)
    nodes = draft.nodes()
    given = [
        nodes[spec.arg.name]
        for spec in draft.signature.input_specs
        if spec.kind is InputKind.USER_INPUT and getattr(spec.arg, "name", None) in nodes
    ]
    notes = []
    for node in given:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and value.dim_order() != tuple(range(value.dim())):
            with draft.fake_mode():
                node.meta["val"] = torch.empty(value.shape, dtype=value.dtype)
            notes.append(IN_ORDER.format(name=node.name))
    last = next(iter(reversed(draft.graph.nodes)))
    outputs: list[Any] = list(last.args[0])
    for place, (node, spec) in enumerate(zip(outputs, draft.signature.output_specs, strict=True)):
        value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
        if (
            spec.kind is OutputKind.USER_OUTPUT
            and node in given
            and getattr(value, "dtype", None) is torch.bool
        ):
            with draft.graph.inserting_before(last):
                both = draft.graph.call_function(torch.ops.aten.logical_or.default, (node, node))
            title = NOT_PASSED_ON.format(name=node.name)
            both.meta = {"val": value, CHANGED: Change(node.name, "output", "ports", title)}
            outputs[place] = both
            notes.append(title)
    if not notes:
        return program, ()
    last.args = (tuple(outputs),)
    draft.settle()
    return draft.program(), tuple(notes)
