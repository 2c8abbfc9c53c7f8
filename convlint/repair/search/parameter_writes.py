"""Parameters that ``forward`` writes to: the weights of a Core ML model never change.

A model may scale its weights at its first run in eval mode. Its program computes with the scaled ones, and
what is written back is no output that Core ML has a word for.
"""

from __future__ import annotations

from typing import Any

from convlint.repair.draft import Draft


def without_parameter_writes(program: Any) -> tuple[Any, tuple[str, ...]]:
    """``program`` without the new values of parameters among its outputs, and the names of these."""
    from torch.export.graph_signature import OutputKind

    kind = getattr(OutputKind, "PARAMETER_MUTATION", None)  # torch 2.7 has none
    specs = program.graph_signature.output_specs
    names = tuple(str(spec.target) for spec in specs if kind is not None and spec.kind is kind)
    if not names:
        return program, ()
    draft = Draft(program)
    last = next(iter(reversed(draft.graph.nodes)))
    pairs = zip(last.args[0], draft.signature.output_specs, strict=True)
    remaining = [(value, spec) for value, spec in pairs if spec.kind is not kind]
    last.args = (tuple(value for value, _ in remaining),)
    draft.signature.output_specs = [spec for _, spec in remaining]
    return draft.program(), names
