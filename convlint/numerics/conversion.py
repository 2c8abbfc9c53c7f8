"""From a module to the exported or traced program and the MIL program that Core ML would be given."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convlint import coremltools_adapter as adapter
from convlint.capture.build import borrowed, kept_buffers, unchanged_buffers
from convlint.capture.methods import Attempts, Inputs, Source, quiet_torch
from convlint.interface.inputs import InputSpec
from convlint.model import Frontend
from convlint.model.parity import Precision
from convlint.numerics.states import states_of
from convlint.sandbox import time_limit
from convlint.text import single_line
from convlint.trial.interface import interface_types
from convlint.trial.trace import input_types, trace_module

if TYPE_CHECKING:
    import torch


class NotConverted(Exception):
    """coremltools, or torch before it, refused; ``states`` are the buffers that the model writes."""

    def __init__(self, text: str, states: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.states = states


@dataclass(frozen=True, slots=True)
class Converted:
    """A model, its example inputs, and what it became.

    ``model`` is what coremltools was given, an exported program or a traced module, ``options`` how.
    ``states`` are the buffers of the module that are states of the program.
    """

    module: torch.nn.Module
    inputs: Inputs
    frontend: Frontend
    target: str
    precision: Precision
    model: Any
    options: Mapping[str, Any]
    program: Any
    states: tuple[str, ...] = ()


def convert(
    source: Source, target: str, precision: Precision, frontend: Frontend, limit: float | None
) -> Converted:
    """Convert with all passes of a real conversion, short of writing the file."""
    return _converted(source, target, precision, frontend, limit, ())


def convert_flexible(
    source: Source, target: str, precision: Precision, frontend: Frontend, limit: float | None
) -> Converted:
    """The same with the flexible sizes that the source's specs ask for; pictures are plain tensors."""
    return _converted(source, target, precision, frontend, limit, source.specs)


def _converted(
    source: Source,
    target: str,
    precision: Precision,
    frontend: Frontend,
    limit: float | None,
    specs: Sequence[InputSpec],
) -> Converted:
    from convlint.torch_adapter import pytree

    attempts = Attempts(source, limit, None)
    module, inputs = attempts.real()
    with kept_buffers(module), unchanged_buffers(module):
        attempts.run_forward(module, inputs)
    options = _options(target, precision)
    args, kwargs = inputs
    model: Any = None
    with quiet_torch(logging.ERROR), adapter.without_bars(), time_limit(limit), borrowed(module):
        try:
            if frontend == "export":
                graph, model = attempts.export(module, args, kwargs, specs)
                if specs:
                    plain = [replace(spec, image=None) for spec in specs]
                    options["inputs"] = list(interface_types(graph, plain))
            else:
                if any(_is_complex(leaf) for leaf in pytree.tree_leaves((args, kwargs))):
                    raise NotImplementedError("Core ML has no inputs of complex numbers")
                with kept_buffers(module), unchanged_buffers(module):
                    model = trace_module(module, args, kwargs)
                plain = [replace(spec, image=None) for spec in specs]
                options["inputs"] = list(input_types(args, kwargs, plain))
            program = _converted_program(model, options)
        except Exception as error:  # user code, torch and coremltools raise anything
            text = single_line(error, 500)
            raise NotConverted(f"{type(error).__name__}: {text}", _written(model)) from error
    states = states_of(model, program)
    return Converted(module, inputs, frontend, target, precision, model, options, program, states)


def convert_exported(
    module: torch.nn.Module, exported: Any, inputs: Inputs, target: str, precision: Precision
) -> Converted:
    """Convert a program that was exported elsewhere; ``module`` is what it is compared with."""
    options = _options(target, precision)
    try:
        with quiet_torch(logging.ERROR), adapter.without_bars():
            program = _converted_program(exported, options)
    except Exception as error:  # coremltools raises anything
        text = single_line(error, 500)
        raise NotConverted(f"{type(error).__name__}: {text}") from error
    states = states_of(exported, program)
    return Converted(module, inputs, "export", target, precision, exported, options, program, states)


def _options(target: str, precision: Precision) -> dict[str, Any]:
    import coremltools as ct

    return {
        "minimum_deployment_target": getattr(ct.target, target),
        "compute_precision": getattr(ct.precision, precision.upper()),
        "convert_to": "milinternal",
    }


def _converted_program(model: Any, options: Mapping[str, Any]) -> Any:
    """The MIL program after all passes of a real conversion."""
    import coremltools as ct

    program = ct.convert(model, **options)
    adapter.apply_pipeline(program, adapter.backend_pipeline())
    adapter.check_program(program)
    return program


def _written(model: Any) -> tuple[str, ...]:
    """The buffers that an exported program writes to."""
    signature = getattr(model, "graph_signature", None)
    return tuple(signature.buffers_to_mutate.values()) if signature is not None else ()


def transcribe(converted: Converted) -> tuple[Any, list[tuple[str, Any]]] | None:
    """The program before any pass, with the variable, or variables, that each PyTorch value became.

    None where coremltools converts only with its passes.
    """
    import coremltools as ct

    pairs: list[tuple[str, Any]] = []
    options = {**converted.options, "pass_pipeline": adapter.complex_pipeline()}
    with (
        quiet_torch(),
        adapter.without_bars(),
        adapter.transcription(lambda name, value: pairs.append((name, value))),
    ):
        try:
            return ct.convert(converted.model, **options), pairs
        except Exception:  # the full conversion went through, so this one only tells less
            return None


def _is_complex(value: Any) -> bool:
    return bool(getattr(value, "is_complex", lambda: False)())
