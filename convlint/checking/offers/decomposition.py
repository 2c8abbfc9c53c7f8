"""PyTorch's own decompositions as replacements, and newer releases of coremltools.

For an op that coremltools refuses, PyTorch often has a decomposition into simpler ones. Whether those
convert is tried, not guessed: the op alone is decomposed at the shapes of the user's model, and converted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convlint.coreml.supported import known_versions, snapshot
from convlint.coreml.versions import parse_release
from convlint.model import Finding, Replacement
from convlint.rules.match import Environment
from convlint.usercode.custom_op import fill_templates

_AT_MOST = 12
"""Ops tried in one check; a model with more refusals than this needs ``convlint fix`` anyway."""


def add_replacements(
    findings: tuple[Finding, ...], program: Any, environment: Environment, *, prove: bool
) -> tuple[Finding, ...]:
    """The findings, blocking ones with what PyTorch and other releases of coremltools offer for their op."""
    tried: dict[str, Replacement | None] = {}
    upgraded = []
    for finding in findings:
        finding = fill_templates(finding, environment.supported)
        extra: list[Replacement] = []
        if finding.rule.category == "support" and finding.severity in ("error", "warning") and finding.op:
            if (
                prove
                and program is not None
                and finding.calls
                and (finding.op in tried or len(tried) < _AT_MOST)
            ):
                if finding.op not in tried:
                    tried[finding.op] = prove_decomposition(
                        program, finding.calls[0].name, environment.target
                    )
                decomposition = tried[finding.op]
                if decomposition is not None:
                    extra.append(decomposition)
            newer = _newer_release(finding.op, environment)
            # A development release is bad advice where code converts with the installed one.
            instead = any(each.kind == "rewrite" and each.safety == "safe" for each in finding.replacements)
            if newer is not None and not (instead and "dev" in newer.title):
                extra.append(newer)
        upgraded.append(replace(finding, replacements=(*finding.replacements, *extra)) if extra else finding)
    return tuple(upgraded)


def _newer_release(op: str, environment: Environment) -> Replacement | None:
    if environment.supported.converts(op, environment.frontend):
        return None
    here = parse_release(environment.supported.version)
    for version in known_versions():
        if parse_release(version) > here and snapshot(version).converts(op, environment.frontend):
            return Replacement(
                title=f"coremltools {version} has a converter for {op}",
                kind="upgrade",
                safety="safe",
                after=f"pip install coremltools=={version}",
            )
    return None


def prove_decomposition(program: Any, node_name: str, target: str) -> Replacement | None:
    """The decomposition of one call as a replacement; None without one that coremltools converts."""
    import torch

    from convlint.capture.methods import quiet_torch
    from convlint.capture.walk import graph_of_program, op_name
    from convlint.torch_adapter import decomposition_table, is_overload
    from convlint.trial.run import run_trial

    node = next((node for node in program.graph.nodes if node.name == node_name), None)
    if node is None or not is_overload(node.target):
        return None
    table = decomposition_table()
    function = table.get(node.target)
    if function is None:
        return None
    try:
        with quiet_torch(), torch.no_grad():
            alone = single_op_program(node)
            apart = alone.run_decompositions({node.target: function})
    except Exception:  # a decomposition that cannot be traced is not proposed
        return None
    if any(inner.target is node.target for inner in apart.graph.nodes):
        return None
    graph = graph_of_program(apart)
    trial = run_trial(apart, graph, "export", target, "frontend", 30.0)
    if trial.status != "converted":
        return None
    op = op_name(node.target)
    ops = list(dict.fromkeys(call.op for call in graph.calls))
    shown = ", ".join(ops[:6]) + (", ..." if len(ops) > 6 else "")
    return Replacement(
        title=f"PyTorch takes {op} apart into {shown}",
        kind="decomposition",
        safety="safe",
        before="program = torch.export.export(model, inputs, strict=False).run_decompositions({})",
        after=(
            "from torch._decomp import get_decompositions\n"
            f"table = get_decompositions([torch.ops.{op}])\n"
            "program = torch.export.export(model, inputs, strict=False).run_decompositions(table)"
        ),
        proof=f"taken apart with this model's shapes and converted by coremltools {trial.coremltools}",
    )


def single_op_program(node: Any) -> Any:
    """An exported program of this call alone: its computed tensors as inputs, its constants as buffers."""
    import torch

    sources = list(node.all_input_nodes)

    class Alone(torch.nn.Module):
        def forward(self, *tensors: torch.Tensor) -> Any:
            tensor_of = dict(zip(sources, tensors, strict=True))
            args = torch.fx.map_arg(node.args, lambda source: tensor_of[source])
            kwargs = torch.fx.map_arg(node.kwargs, lambda source: tensor_of[source])
            return node.target(*args, **kwargs)

    def example(source: Any) -> torch.Tensor:
        value = source.meta["val"]
        return torch.zeros(tuple(int(size) for size in value.shape), dtype=value.dtype)

    return torch.export.export(Alone(), tuple(example(source) for source in sources), strict=False)
