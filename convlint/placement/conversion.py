"""The MIL program of a captured model after coremltools' own passes, read in a child process.

The child replaces the weights by tensors without memory and skips the cast to float16, which would copy
them; the plan itself counts float32 as float16. So a model with billions of weights is planned as quickly
as a small one with as many ops.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.capture.walk import node_module, node_place, op_name
from convlint.child import Channel, run_in_child
from convlint.placement.mil_reader import read_mil
from convlint.placement.operations import Operation, with_modules
from convlint.text import single_line
from convlint.trial.conversion import mark_origins
from convlint.trial.light import take_weights
from convlint.usercode.sites import Place

_COPYING = {"common::add_fp16_cast"}


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no MIL program."""

    reason: str


def mil_operations(program: Any, target: str, timeout: float | None) -> list[Operation] | Refused:
    """The operations of the MIL program that coremltools makes from an ``ExportedProgram``."""
    try:
        import coremltools  # noqa: F401 - imported once here, and not in every child
    except Exception as error:  # a broken installation may raise anything
        return Refused(f"coremltools cannot be imported ({type(error).__name__}: {error})")
    if not hasattr(os, "fork"):
        return Refused("this system cannot fork a process for the conversion")
    outcome = run_in_child(lambda channel: _convert(program, target, channel), timeout)
    if outcome.ending != "finished":
        return Refused(outcome.detail)
    (sent,) = outcome.sent
    if isinstance(sent, Refused):
        return sent
    operations, origins = sent
    return _with_places(operations, origins, program)


def _convert(program: Any, target: str, channel: Channel) -> None:
    import coremltools as ct

    take_weights(program)
    mark_origins(program)
    pipeline = ct.PassPipeline.DEFAULT
    pipeline.remove_passes(_COPYING)
    try:
        converted = ct.convert(
            program,
            convert_to="milinternal",
            minimum_deployment_target=getattr(ct.target, target),
            pass_pipeline=pipeline,
        )
        adapter.apply_pipeline(converted, adapter.backend_pipeline())
        adapter.check_program(converted)
        channel.send(read_mil(converted))
    except Exception as error:  # coremltools raises anything
        text = single_line(error, 300)
        channel.send(Refused(f"coremltools refuses the model ({type(error).__name__}: {text})"))


def _with_places(operations: Sequence[Operation], origins: Sequence[str], program: Any) -> list[Operation]:
    """Each operation with the PyTorch op, the line and the module that it came from."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "call_function"}
    placed = []
    for operation, origin in zip(operations, origins, strict=True):
        # A pass made an operation without origin, and its name says nothing.
        node = nodes.get(origin)
        place = node_place(node) if node is not None else Place()
        module, kind = node_module(node) if node is not None else ("", "")
        op = op_name(node.target) if node is not None else ""
        placed.append(
            replace(operation, op=op, site=place.site, caller=place.caller, module=module, module_type=kind)
        )
    return with_modules(placed)
