"""The ways of capturing a model, tried in order until one gives a graph.

1. ``torch.export`` on tensors without data; 2. ``torch.export`` on the CPU with real random
weights; 3. ``torch.fx.symbolic_trace``, and 4. one run with random inputs, both recorded as ATen
calls. The last two give no program to convert, only the ops to judge. What stopped each is kept.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.build import (
    borrowed,
    build_on_cpu,
    fake_weights,
    kept_buffers,
    weight_bytes,
)
from convlint.capture.declared import declare
from convlint.capture.failures import describe_failure
from convlint.capture.flexible import Forward, dynamic_shapes, example_that_runs
from convlint.capture.generated import restore_lines
from convlint.capture.limits import REAL_WEIGHTS_LIMIT
from convlint.capture.lower import lower
from convlint.capture.outputs import (
    drop_constant_outputs,
    outputs_proviso,
    plain_outputs,
    registered_proviso,
)
from convlint.capture.owned import refuse_owned_names
from convlint.capture.reads import reads_of_inputs
from convlint.capture.record import record_run
from convlint.capture.size_limits import judge
from convlint.capture.states import with_initial_states
from convlint.capture.walk import graph_of_program
from convlint.errors import ConvlintError, ModelError
from convlint.interface.inputs import InputSpec, make_tensors, zeros_by_default
from convlint.interface.outputs import OutputSpec
from convlint.model import CaptureFailure, Frontend, Graph, Proviso
from convlint.sandbox import UserExit, time_limit, user_code
from convlint.text import single_line
from convlint.usercode.sites import GENERATED, choose_frames, definition_of, place_of_exception

if TYPE_CHECKING:
    import torch

EXPORT_FAKE = "torch.export on tensors without data"
EXPORT_CPU = "torch.export on the CPU"
SYMBOLIC = "torch.fx.symbolic_trace"
RECORDED = "one recorded run"

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
MakeInputs = Callable[[], Inputs]


@dataclass(frozen=True, slots=True)
class Source:
    """A model to capture: a builder or an instance, and how to make its example inputs.

    ``specs`` describe the inputs where that is more than the examples say: flexible sizes, pictures.
    ``dynamic_shapes`` is what ``torch.export.export`` takes by this name, ``outputs`` says what is to be a
    picture of what comes out, ``registered`` names classes of inputs that torch was told of for a while.
    """

    build: Callable[[], Any] | None
    instance: torch.nn.Module | None
    make_inputs: MakeInputs
    specs: tuple[InputSpec, ...] = ()
    dynamic_shapes: Any = None
    outputs: tuple[OutputSpec, ...] = ()
    registered: tuple[str, ...] = ()

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
    ``decomposed``: where nothing can be exported, the ops are told as in an exported program all the same.
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
        self.notes: list[str] = []
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
                module = fake_weights(
                    build_weightless(self.source.build, self.memory_limit or REAL_WEIGHTS_LIMIT), mode
                )
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
            args, kwargs = _fake_inputs(self.source.inputs_of(specs), mode)
            with user_code(), torch.no_grad(), kept_buffers(module), mode:
                module(*args, **kwargs)

        if not any(spec.flexible for spec in self.source.specs):
            return self.export(module, *_fake_inputs(self.source.make_inputs(), mode), self.source.specs)
        with quiet_torch(logging.ERROR), self.timed("sizes"):  # torch logs each size that does not run
            specs = example_that_runs(self.source.specs, run)
        return self.export(module, *_fake_inputs(self.source.inputs_of(specs), mode), specs, run)

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
        with borrowed(module), user_code(), torch_adapter.stack_frames(choose_frames):
            traced = torch.fx.symbolic_trace(module)
            graph, self.reads, self.lines = record_run(traced, args, kwargs, decomposed=self.decomposed)
            return self.declared(graph), None

    def record(self) -> tuple[Graph, Any]:
        module, (args, kwargs) = self.real()
        with borrowed(module), user_code(), torch_adapter.stack_frames(choose_frames):
            graph, self.reads, self.lines = record_run(module, args, kwargs, decomposed=self.decomposed)
            return self.declared(graph), None

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
        import torch

        refuse_owned_names(module, "export")
        asked = self.source.dynamic_shapes
        shapes = dynamic_shapes(module, args, kwargs, specs) if asked is None else asked
        guards: list[torch_adapter.SizeGuard] = []
        with user_code(), torch_adapter.stack_frames(choose_frames), torch.no_grad():
            with self.timed("export"), torch_adapter.unprinted_graph(), plain_outputs(module) as odd:
                if shapes is None:
                    program = torch.export.export(module, args, kwargs or None, strict=False)
                else:
                    with torch_adapter.size_guards() as guards:
                        program = torch.export.export(
                            module, args, kwargs or None, dynamic_shapes=shapes, strict=False
                        )
            if odd:
                self.failures.append(_odd_output(module, odd))
            left_out = list(odd)
            with self.timed("decompose"):
                program = lower(program) or _decomposed(program)
            if shapes is not None and asked is None:
                with self.timed("sizes"), quiet_torch(logging.ERROR):
                    self.failures += judge(program, guards, specs, forward)
        with self.timed("walk"):
            graph = declare(graph_of_program(program), specs, self.source.outputs)
            self.reads = reads_of_inputs(program.graph, set(program.graph_signature.user_inputs))
        left_out += drop_constant_outputs(program)
        outputs = outputs_proviso(module, left_out)
        self.provisos = (
            *(registered_proviso(name, module) for name in self.source.registered),
            *((outputs,) if outputs is not None else ()),
        )
        return graph, program

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
            module = self.source.instance
            if module is not None:
                module = self.with_data(module)
            else:
                assert self.source.build is not None
                try:
                    module = build_on_cpu(self.source.build)
                except ConvlintError:
                    raise
                except Exception as error:
                    raise ModelError(_told("building the model", error)) from error
            self._real = module, self.source.make_inputs()
        return self._real

    def with_data(self, module: torch.nn.Module) -> torch.nn.Module:
        """A module that the caller has made already; where it lies on meta, a copy with zeros runs for it."""
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
        import torch

        args, kwargs = inputs
        try:
            with borrowed(module), user_code(), torch.no_grad():
                module(*args, **kwargs)
        except Exception as error:
            raise ModelError(
                _told("running the model's forward", error)
                + " The model does not run in PyTorch with these inputs;"
                " check --input (names, shapes, dtypes) first."
                + zeros_by_default(self.source.specs)
                + _parameters_of(module, error)
            ) from error

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


# Fake tensors multiply integers by floats without a word; PyTorch itself refuses.
_ONE_DTYPE = (
    "aten.linear.", "aten.matmul.", "aten.mm.", "aten.bmm.", "aten.addmm.", "aten.baddbmm.", "aten.conv",
    "aten.scaled_dot_product_attention.", "aten.layer_norm.", "aten.batch_norm.", "aten._native_batch_norm",
    "aten.embedding.",
)  # fmt: skip


def mixes_dtypes(graph: Graph) -> bool:
    """Whether an op has operands of dtypes that PyTorch may refuse to combine when it really runs."""
    for call in graph.calls:
        if call.op.startswith(_ONE_DTYPE):
            dtypes = {meta.dtype for meta in call.inputs if meta.dtype != "bool"}
            if "embedding" in call.op:
                dtypes = {dtype for dtype in (call.inputs[-1].dtype,) if not dtype.startswith("int")} | {
                    "table"
                }
            if len(dtypes) > 1:
                return True
    return False


def _told(action: str, error: Exception) -> str:
    place = place_of_exception(error)
    where = ""
    if place.site is not None:
        where = f" at {place.site}"
        if place.site.source:
            where += f", in the line `{place.site.source}`"
    text = single_line(error)
    how = "stopped" if isinstance(error, UserExit) else f"raised {type(error).__name__}"
    return f"{action} {how}{where}: {text[:600]}".rstrip(".: ") + "."


def _parameters_of(module: torch.nn.Module, error: Exception) -> str:
    """What ``forward`` takes, where an argument had another name or was missing."""
    if not isinstance(error, TypeError) or not re.search(r"forward\(\) (got|missing|takes)", str(error)):
        return ""
    with contextlib.suppress(TypeError, ValueError):
        return f" forward takes {inspect.signature(module.forward)}."
    return ""


def _decomposed(program: Any) -> Any:
    """``program`` in the ATen dialect; a line of code that torch generated is the line it was made from."""
    made = program.run_decompositions({})
    generated = [n for n in made.graph.nodes if GENERATED in (n.meta.get("stack_trace") or "")]
    if generated:
        restore_lines(generated, program.graph_module)
    return made


def _odd_output(module: torch.nn.Module, names: list[str]) -> CaptureFailure:
    kinds = ", ".join(dict.fromkeys(names))
    message = f"{kinds} among the outputs, which torch.export has no registered way to take apart"
    return CaptureFailure(EXPORT_FAKE, "unsupported-output", "TypeError", message, definition_of(module))


def _fake_inputs(inputs: Inputs, mode: Any) -> Inputs:
    import torch

    from convlint.torch_adapter import pytree

    def fake(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        with mode:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")

    args, kwargs = pytree.tree_map(fake, inputs)
    return args, kwargs


@contextmanager
def quiet_torch(level: int = logging.WARNING) -> Iterator[None]:
    """Without the warnings and log lines of torch and of user code, which are not about this check."""
    previous = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def real_program(source: Source, program: Any, limit: float | None) -> Any:
    """``program`` again with real random weights, for a conversion in full."""
    attempts = Attempts(source, limit, None)
    module, (args, kwargs) = attempts.real()
    with quiet_torch(), time_limit(limit), borrowed(module):
        return attempts.export(module, args, kwargs, source.specs)[1]
