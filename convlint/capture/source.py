"""What is captured, and what that gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlint.interface.inputs import InputSpec, make_tensors
from convlint.interface.outputs import OutputSpec
from convlint.model import CaptureFailure, Frontend, Graph, Proviso

if TYPE_CHECKING:
    import torch

EXPORT_FAKE = "torch.export on tensors without data"
EXPORT_CPU = "torch.export on the CPU"
SYMBOLIC = "torch.fx.symbolic_trace"
RECORDED = "one recorded run"

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments by position and by name."""

MakeInputs = Callable[[], Inputs]


@dataclass(frozen=True, slots=True)
class Source:
    """A model to capture: a builder or an instance, and how to make its example inputs.

    ``specs`` describe the inputs where that is more than the examples say: flexible sizes, pictures.
    ``dynamic_shapes`` is what ``torch.export.export`` takes by this name, ``outputs`` says what is to be a
    picture of what comes out, ``registered`` names classes of inputs that torch knows for a while,
    ``notes`` are remarks on the model itself for the report.
    """

    build: Callable[[], Any] | None
    instance: torch.nn.Module | None
    make_inputs: MakeInputs
    specs: tuple[InputSpec, ...] = ()
    dynamic_shapes: Any = None
    outputs: tuple[OutputSpec, ...] = ()
    registered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def inputs_of(self, specs: Sequence[InputSpec]) -> Inputs:
        """Inputs of other sizes, with the keyword arguments that no spec describes as they are."""
        args, kwargs = make_tensors(specs)
        return args, {**kwargs, **{k: v for k, v in self.make_inputs()[1].items() if k not in kwargs}}


@dataclass(frozen=True, slots=True)
class Capture:
    """What capturing gave. ``program`` is an ``ExportedProgram`` in the ATen dialect, or None.

    ``reads`` are the places where Python reads what follows from an input; ``provisos`` say what of the
    inputs and outputs is otherwise in the program. ``frontend`` is the one whose ops the graph has,
    ``lines`` are all where a recorded run read a value.
    """

    graph: Graph | None
    program: Any
    method: str
    failures: tuple[CaptureFailure, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    reads: tuple[Proviso, ...] = ()
    provisos: tuple[Proviso, ...] = ()
    frontend: Frontend = "export"
    lines: frozenset[tuple[str, int]] = frozenset()
