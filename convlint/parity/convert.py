"""From a module to the exported program and the MIL program that Core ML would be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import coremltools_adapter as adapter
from convlint.capture.build import borrowed
from convlint.capture.methods import Attempts, Inputs, Source, quiet_torch
from convlint.model import Frontend
from convlint.parity.result import Precision
from convlint.sandbox import time_limit
from convlint.trial.trace import input_types, trace_module

if TYPE_CHECKING:
    import torch


class NotConverted(Exception):
    """coremltools, or torch before it, refused."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A model, its example inputs, and what it became. ``exported`` is None on the TorchScript door."""

    module: torch.nn.Module
    inputs: Inputs
    exported: Any
    program: Any


def convert(
    source: Source, target: str, precision: Precision, frontend: Frontend, limit: float | None
) -> Converted:
    """Convert with all passes of a real conversion, short of writing the file."""
    import coremltools as ct

    attempts = Attempts(source, limit, None)
    module, inputs = attempts.real()
    attempts.run_forward(module, inputs)
    options: dict[str, Any] = {
        "minimum_deployment_target": getattr(ct.target, target),
        "compute_precision": getattr(ct.precision, precision.upper()),
        "convert_to": "milinternal",
    }
    args, kwargs = inputs
    exported = None
    with quiet_torch(), time_limit(limit), borrowed(module):
        try:
            if frontend == "export":
                exported = attempts.export(module, args, kwargs)[1]
                model: Any = exported
            else:
                model = trace_module(module, args, kwargs)
                options["inputs"] = list(input_types(args, kwargs))
            program = ct.convert(model, **options)
            adapter.apply_pipeline(program, adapter.backend_pipeline())
            adapter.check_program(program)
        except Exception as error:  # user code, torch and coremltools raise anything
            text = " ".join(str(error).split())[:500]
            raise NotConverted(f"the model does not convert: {type(error).__name__}: {text}") from error
    return Converted(module, inputs, exported, program)
