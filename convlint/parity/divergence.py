"""Where the two part: the first operation of the program whose value is not PyTorch's.

coremltools names what it makes after the node that it converts, so the values of both sides can be
laid beside each other by name; operations that passes have made anew have no partner and are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from convlint import mil
from convlint.capture.walk import node_module, node_place, op_name
from convlint.parity.convert import Converted
from convlint.parity.errors import measure
from convlint.parity.result import Divergence, Errors
from convlint.parity.script import script_of

_SUFFIX = re.compile(r"(_cast_fp16|_cast_fp32|_to_fp16|_to_fp32|_promoted|_cast_uint16|_cast_int16)+$")
"""What passes append to a name when they change the dtype of a value and nothing else."""


class _Found(Exception):
    """Ends the run of the program at the operation that was looked for."""


def first_divergence(
    converted: Converted, inputs: Mapping[str, Any], tolerance: float, limit: float | None
) -> Divergence | None:
    """None where no operation by itself leaves the tolerance, or the door keeps no graph to compare."""
    if converted.exported is None:
        return None
    nodes = {node.name: node for node in converted.exported.graph.nodes if node.op == "call_function"}
    values, arguments = _torch_values(converted.exported, inputs)
    found: list[Divergence] = []

    def watch(operation: Any, results: tuple[Any, ...]) -> None:
        for variable, result in zip(operation.outputs, results, strict=True):
            name = _SUFFIX.sub("", variable.name)
            expected = values.get(name)
            if expected is None or not hasattr(result, "shape") or result.shape != expected.shape:
                continue  # another layout of the same values, or a name that two things share
            errors = measure([result.float().numpy()], [expected])
            if errors.nonfinite or errors.misplaced or errors.max_rel_error > tolerance:
                found.append(
                    _divergence(str(operation.op_type), variable.name, nodes[name], errors, arguments[name])
                )
                raise _Found

    try:
        mil.run(converted.program, inputs, accumulator_limit=limit, watch=watch)
    except _Found:
        return found[0]
    except mil.ShapeMismatch as error:
        name = _SUFFIX.sub("", error.operation)
        return None if name not in nodes else _divergence("", name, nodes[name], Errors(), arguments[name])
    return None


def _divergence(mil_op: str, name: str, node: Any, errors: Errors, arguments: Any) -> Divergence:
    place = node_place(node)
    return Divergence(
        mil_op=mil_op,
        mil_name=name,
        op=op_name(node.target),
        module=node_module(node)[0],
        site=place.site,
        caller=place.caller,
        errors=errors,
        script=script_of(node, arguments),
    )


def _torch_values(exported: Any, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every tensor that the exported graph computes, and each call's arguments, by the name of its node."""
    import torch
    from torch.fx import Interpreter

    values: dict[str, Any] = {}
    arguments: dict[str, Any] = {}

    class Recorder(Interpreter):
        def run_node(self, n: Any) -> Any:
            if n.op == "call_function":
                arguments[n.name] = self.fetch_args_kwargs_from_env(n)
            result = super().run_node(n)
            if n.op == "call_function" and isinstance(result, torch.Tensor) and not result.is_complex():
                values[n.name] = result.detach().float().numpy().copy()
            return result

    with torch.no_grad():
        Recorder(exported.graph_module).run(*_placeholders(exported, inputs))
    return values, arguments


def _placeholders(exported: Any, inputs: Mapping[str, Any]) -> list[Any]:
    """The arguments of the lifted graph: weights, buffers and constants by name, then the user's tensors."""
    from torch.export.graph_signature import ConstantArgument, InputKind

    names = {spec.arg.name for spec in exported.graph_signature.input_specs}
    unnamed = iter([value for name, value in inputs.items() if name not in names])
    arguments = []
    for spec in exported.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            if isinstance(spec.arg, ConstantArgument):
                arguments.append(spec.arg.value)
            else:
                arguments.append(inputs[spec.arg.name] if spec.arg.name in inputs else next(unnamed))
        else:
            stored = exported.state_dict.get(spec.target)
            arguments.append(exported.constants[spec.target] if stored is None else stored)
    return arguments
