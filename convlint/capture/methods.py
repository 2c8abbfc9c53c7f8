"""The ways of capturing a model, tried in order until one gives a graph.

1. ``torch.export`` on tensors without data; 2. ``torch.export`` on the CPU with real random
weights; 3. ``torch.fx.symbolic_trace``, and 4. one run with random inputs, both recorded as ATen
calls. The last two give no program to convert, only the ops to judge. What stopped each is reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.build import borrowed, fake_weights, kept_attributes, kept_buffers, weight_bytes
from convlint.capture.declared import declare
from convlint.capture.dtypes import mixes_dtypes
from convlint.capture.exporting import Export, fake_inputs
from convlint.capture.failures import describe_failure
from convlint.capture.first_run import build_model, run_forward
from convlint.capture.flexible import Forward, example_that_runs
from convlint.capture.limits import REAL_WEIGHTS_LIMIT
from convlint.capture.quiet import quiet_torch
from convlint.capture.record import record_run
from convlint.capture.source import (
    EXPORT_CPU,
    EXPORT_FAKE,
    RECORDED,
    SYMBOLIC,
    Capture,
    Inputs,
    MakeInputs,
    Source,
)
from convlint.capture.states import with_initial_states
from convlint.errors import ConvlintError, ModelError
from convlint.interface.inputs import InputSpec
from convlint.model import CaptureFailure, Graph, Proviso
from convlint.sandbox import time_limit, user_code
from convlint.usercode.sites import choose_frames

if TYPE_CHECKING:
    import torch

__all__ = [
    "EXPORT_CPU",
    "EXPORT_FAKE",
    "RECORDED",
    "SYMBOLIC",
    "Attempts",
    "Capture",
    "Inputs",
    "MakeInputs",
    "Source",
    "capture",
    "quiet_torch",
    "real_program",
]


def capture(
    source: Source, limit: float | None = None, memory_limit: int | None = None, *, decomposed: bool = False
) -> Capture:
    """Capture by the first method that works.

    ``limit`` ends each method after so many seconds; ``memory_limit`` is the number of bytes that real
    weights may take, beyond which the methods that need them are left out.
    Raises :class:`ModelError` where the model cannot be built, or its forward itself raises.
    """
    attempts = Attempts(source, limit, memory_limit, values=False, decomposed=decomposed)
    try:
        return attempts.run()
    finally:
        attempts.close()


class Attempts:
    """The methods of one capture, with what they share: the real model, built once, and the clock.

    ``values``: what the real model computes is looked at, so that zeros would not do for its weights.
    ``decomposed``: where nothing can be exported, the ops are named as in an exported program all the same.
    """

    def __init__(
        self,
        source: Source,
        limit: float | None,
        memory_limit: int | None,
        *,
        values: bool = True,
        decomposed: bool = False,
    ) -> None:
        self.source = source
        self.limit = limit
        self.memory_limit = memory_limit
        self.values = values
        self.decomposed = decomposed
        self.failures: list[CaptureFailure] = []
        self.notes: list[str] = list(source.notes)
        self.seconds: dict[str, float] = {}
        self.reads: tuple[Proviso, ...] = ()
        self.lines: frozenset[tuple[str, int]] = frozenset()
        self.provisos: tuple[Proviso, ...] = ()
        self._size = 0
        self._real: tuple[torch.nn.Module, Inputs] | None = None

    def close(self) -> None:
        self._real = None

    def run(self) -> Capture:
        for method, attempt in (
            (EXPORT_FAKE, self.export_fake),
            (EXPORT_CPU, self.export_cpu),
            (SYMBOLIC, self.trace_symbolically),
            (RECORDED, self.record),
        ):
            try:
                with quiet_torch(), time_limit(self.limit):
                    graph, program = attempt()
            except ConvlintError:
                raise
            except Exception as error:  # user code and torch may raise anything
                self.failures.append(describe_failure(method, error))
            else:
                graph = with_initial_states(graph, lambda: self.real()[0])
                return Capture(
                    graph,
                    program,
                    method,
                    tuple(self.failures),
                    tuple(self.notes),
                    self.seconds,
                    self.reads,
                    self.provisos,
                    "export" if program is not None or self.decomposed else "torchscript",
                    self.lines,
                )
        return Capture(None, None, "", tuple(self.failures), tuple(self.notes), self.seconds)

    def export_fake(self) -> tuple[Graph, Any]:
        from convlint.capture.weightless import build_weightless, faked, on_meta

        mode = torch_adapter.fake_mode()
        if self.source.instance is not None:
            module = self.source.instance
            module = faked(module, mode) if on_meta(module) else module
        else:
            assert self.source.build is not None
            with self.timed("build"):
                built = build_weightless(self.source.build, self.memory_limit or REAL_WEIGHTS_LIMIT)
                module = fake_weights(self.source.to_judge(built, weights=False), mode)
                self._size = weight_bytes(module)
        with borrowed(module):
            graph, program = self.export_first(module, mode)
        if mixes_dtypes(graph):
            self.run_forward(*self.real())
        return graph, program

    def export_first(self, module: torch.nn.Module, mode: Any) -> tuple[Graph, Any]:
        """Export without data; with flexible sizes, at an example that runs."""
        import torch

        def run(specs: Sequence[InputSpec]) -> None:
            args, kwargs = fake_inputs(self.source.inputs_of(specs), mode)
            with user_code(), torch.no_grad(), kept_buffers(module), mode:
                module(*args, **kwargs)

        if not any(spec.flexible for spec in self.source.specs):
            return self.export(module, *fake_inputs(self.source.make_inputs(), mode), self.source.specs)
        with quiet_torch(logging.ERROR), self.timed("sizes"):  # torch logs each size that does not run
            specs = example_that_runs(self.source.specs, run)
        return self.export(module, *fake_inputs(self.source.inputs_of(specs), mode), specs, run)

    def export_cpu(self) -> tuple[Graph, Any]:
        module, (args, kwargs) = self.real()
        try:
            with borrowed(module):
                return self.export(module, args, kwargs, self.source.specs)
        except Exception:
            self.run_forward(module, (args, kwargs))
            raise

    def trace_symbolically(self) -> tuple[Graph, Any]:
        import torch

        module, (args, kwargs) = self.real()
        with self.traceable(module):
            traced = torch.fx.symbolic_trace(module)
            # The traced module has its own attributes from this one, where forward has set a Proxy by now.
            proxies = {
                name
                for part in module.modules()
                for name, value in vars(part).items()
                if isinstance(value, torch.fx.Proxy)
            }
            if proxies:
                raise RuntimeError(
                    f"forward keeps what it computes in attributes: {', '.join(sorted(proxies))}"
                )
            graph, self.reads, self.lines = record_run(traced, args, kwargs, decomposed=self.decomposed)
            return self.declared(graph), None

    def record(self) -> tuple[Graph, Any]:
        module, (args, kwargs) = self.real()
        with self.traceable(module):
            graph, self.reads, self.lines = record_run(module, args, kwargs, decomposed=self.decomposed)
            return self.declared(graph), None

    @contextmanager
    def traceable(self, module: torch.nn.Module) -> Iterator[None]:
        """While open, the module can be traced; what ``forward`` sets then is forgotten afterwards."""
        with (
            borrowed(module),
            kept_attributes(module),
            user_code(),
            torch_adapter.stack_frames(choose_frames),
        ):
            yield

    def declared(self, graph: Graph) -> Graph:
        return declare(graph, self.source.specs, self.source.outputs)

    def export(
        self,
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        specs: Sequence[InputSpec] = (),
        forward: Forward | None = None,
    ) -> tuple[Graph, Any]:
        """Graph and program. ``specs`` may ask for flexible sizes; ``forward`` then runs others."""
        export = Export(self.source, module, self.timed, self.failures)
        exported = export.run((args, kwargs), specs, forward)
        self.reads, self.provisos = exported.reads, exported.provisos
        return exported.graph, exported.program

    def real(self) -> tuple[torch.nn.Module, Inputs]:
        """The model with real weights and real inputs, built once."""
        if self._real is None:
            if (
                self.source.instance is None
                and self.memory_limit is not None
                and self._size > self.memory_limit
            ):
                raise MemoryError(
                    f"its weights take {self._size / 1e9:.1f} GB,"
                    f" more than the {self.memory_limit / 1e9:.1f} GB at hand"
                )
            instance = self.source.instance
            module = build_model(self.source) if instance is None else self.with_data(instance)
            self._real = module, self.source.make_inputs()
        return self._real

    def with_data(self, module: torch.nn.Module) -> torch.nn.Module:
        """``module``, which the caller has built; where it lies on meta, a copy with zeros runs for it."""
        from convlint.capture.weightless import on_meta, zeroed

        if not on_meta(module):
            return module
        if self.values:
            raise ModelError(
                "the model's parameters are on the meta device and have no values, and this runs the model:"
                " give a function that builds it, or its weights first (model.to_empty(device='cpu') and"
                " load_state_dict)."
            )
        self.notes.append(
            "the model is on the meta device: what had to be run was run with zeros for weights"
        )
        return zeroed(module)

    def run_forward(self, module: torch.nn.Module, inputs: Inputs) -> None:
        """Run the model once, as PyTorch would: a model that does not run is the user's error."""
        run_forward(module, inputs, self.source.specs)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def real_program(source: Source, program: Any, limit: float | None) -> Any:
    """``program`` again with real random weights, for a conversion in full."""
    attempts = Attempts(source, limit, None)
    module, (args, kwargs) = attempts.real()
    with quiet_torch(), time_limit(limit), borrowed(module):
        return attempts.export(module, args, kwargs, source.specs)[1]
