"""A module exported by torch, made the program that coremltools takes, and read as a graph."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.build import kept_attributes
from convlint.capture.declared import declare
from convlint.capture.flexible import Forward, dynamic_shapes
from convlint.capture.generated import restore_lines
from convlint.capture.lower import lower
from convlint.capture.outputs import (
    drop_constant_outputs,
    outputs_proviso,
    plain_outputs,
    registered_proviso,
)
from convlint.capture.owned import refuse_owned_names
from convlint.capture.quiet import quiet_torch
from convlint.capture.reads import reads_of_inputs
from convlint.capture.size_limits import judge
from convlint.capture.source import EXPORT_FAKE, Inputs, Source
from convlint.capture.walk import graph_of_program
from convlint.interface.inputs import InputSpec
from convlint.model import CaptureFailure, Graph, Proviso
from convlint.sandbox import user_code
from convlint.usercode.sites import GENERATED, choose_frames, definition_of

if TYPE_CHECKING:
    import torch

Timed = Callable[[str], AbstractContextManager[None]]
"""Takes the time of a stage while it is open."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported program, its graph, and what is to be said of both."""

    graph: Graph
    program: Any
    reads: tuple[Proviso, ...]
    provisos: tuple[Proviso, ...]


class Export:
    """The export of one module of ``source``. What is worth a finding on the way goes to ``failures``."""

    def __init__(
        self, source: Source, module: torch.nn.Module, timed: Timed, failures: list[CaptureFailure]
    ) -> None:
        self.source = source
        self.module = module
        self.timed = timed
        self.failures = failures
        self.left_out: list[str] = []
        self.guards: list[torch_adapter.SizeGuard] = []

    def run(
        self, inputs: Inputs, specs: Sequence[InputSpec] = (), forward: Forward | None = None
    ) -> Exported:
        """The program at these inputs. ``specs`` may ask for flexible sizes; ``forward`` then runs others."""
        import torch

        refuse_owned_names(self.module, "export")
        asked = self.source.dynamic_shapes
        shapes = dynamic_shapes(self.module, *inputs, specs) if asked is None else asked
        with user_code(), torch_adapter.stack_frames(choose_frames), torch.no_grad():
            program = self.export(inputs, shapes)
            refuse_lost_constants(program)
            with self.timed("decompose"):
                program = lower(program) or _decomposed(program)
            if shapes is not None and asked is None:
                with self.timed("sizes"), quiet_torch(logging.ERROR):
                    self.failures += judge(program, self.guards, specs, forward)
        with self.timed("walk"):
            graph = declare(graph_of_program(program), specs, self.source.outputs)
            reads = reads_of_inputs(program.graph, set(program.graph_signature.user_inputs))
        return Exported(graph, program, reads, self.provisos(program))

    def export(self, inputs: Inputs, shapes: Any) -> Any:
        """What torch exports, without outputs that it cannot take apart; ``shapes`` as it takes them."""
        import torch

        args, kwargs = inputs
        # What forward keeps for later, a table say, has no numbers while it is exported.
        kept = kept_attributes(self.module)
        with self.timed("export"), kept, torch_adapter.unprinted_graph(), plain_outputs(self.module) as odd:
            if shapes is None:
                program = torch.export.export(self.module, args, kwargs or None, strict=False)
            else:
                with torch_adapter.size_guards() as self.guards:
                    program = torch.export.export(
                        self.module, args, kwargs or None, dynamic_shapes=shapes, strict=False
                    )
        if odd:
            self.failures.append(_odd_output(self.module, odd))
        self.left_out = list(odd)
        return program

    def provisos(self, program: Any) -> tuple[Proviso, ...]:
        """What of the inputs and outputs is otherwise in the program, whose constant outputs go here."""
        left_out = [*self.left_out, *drop_constant_outputs(program)]
        outputs = outputs_proviso(self.module, left_out)
        return (
            *(registered_proviso(name, self.module) for name in self.source.registered),
            *((outputs,) if outputs is not None else ()),
        )


def fake_inputs(inputs: Inputs, mode: Any) -> Inputs:
    """The same inputs without data, belonging to ``mode``."""
    import torch

    from convlint.torch_adapter import pytree

    def fake(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        with mode:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")

    args, kwargs = pytree.tree_map(fake, inputs)
    return args, kwargs


def refuse_lost_constants(program: Any) -> None:
    """Raise for a program with a constant that has no numbers, which torch crashes on when it reads one.

    A tensor put into ``.data`` of a parameter while forward runs is such a constant, as a model has it that
    merges its branches in eval mode. Export with real weights refuses it, with words of its own.
    """
    import torch

    # What torch lifts out of forward has such a name; a weightless model has fake attributes of its own.
    lifted = {name: each for name, each in program.constants.items() if "lifted_tensor_" in name}
    lost = [
        name
        for name, each in lifted.items()
        if isinstance(each, torch.Tensor) and torch_adapter.is_fake(each)
    ]
    if lost:
        raise RuntimeError(
            f"the exported program has constants without numbers: {', '.join(lost)}."
            " A tensor that forward computes is put into the place of a parameter or a buffer (.data = ...)."
        )


def _decomposed(program: Any) -> Any:
    """``program`` in the ATen dialect; a line of code that torch generated is the line it was made from."""
    decomposed = program.run_decompositions({})
    generated = [n for n in decomposed.graph.nodes if GENERATED in (n.meta.get("stack_trace") or "")]
    if generated:
        restore_lines(generated, program.graph_module)
    return decomposed


def _odd_output(module: torch.nn.Module, names: list[str]) -> CaptureFailure:
    kinds = ", ".join(dict.fromkeys(names))
    message = f"{kinds} among the outputs, which torch.export has no registered way to take apart"
    return CaptureFailure(EXPORT_FAKE, "unsupported-output", "TypeError", message, definition_of(module))
