"""Trials through the frontends of coremltools, and whether any trial can run here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convlint.capture.limits import REAL_WEIGHTS_LIMIT, TRACED_WEIGHTS_LIMIT
from convlint.checking.doctor import installed_version, native_error
from convlint.checking.options import Options
from convlint.checking.reconcile import compare_frontends
from convlint.checking.shipping import reader
from convlint.errors import ModelError
from convlint.model import Frontend, Proviso, Trial, TrialFailure, TrialLevel
from convlint.sandbox import interruptible

if TYPE_CHECKING:
    from convlint.capture.methods import Capture, Source


@dataclass(slots=True)
class Frontends:
    """Runs the trials of one model. Remarks beside the trials go to ``notes``."""

    source: Source
    options: Options
    progress: Callable[[str], None]
    notes: list[str]

    def trials(self, captured: Capture) -> tuple[Trial, ...]:
        """A trial for each requested frontend; "auto" tries TorchScript where torch.export is refused."""
        level = self.options.trial
        if level is None:
            return ()
        if self.options.coremltools is not None and self.options.coremltools != installed_version(
            "coremltools"
        ):
            self.notes.append(
                f"no trial: coremltools {self.options.coremltools} was asked for, and "
                f"{installed_version('coremltools') or 'none'} is installed"
            )
            return ()
        problem = can_try()
        if problem:
            self.notes.append(f"the trial did not run: {problem}")
            return ()
        trials: list[Trial] = []
        choice = self.options.frontend
        if choice != "torchscript" and captured.program is not None:
            trials.append(self.trial("export", captured.program, captured, level))
        refused = not (trials and trials[0].status == "converted")
        if choice == "torchscript" or (choice == "auto" and refused and self.worth_tracing(captured)):
            trials.append(self.torchscript(captured, level))
        if len(trials) == 2:
            self.notes += compare_frontends(*trials)
        return tuple(trials)

    def trial(
        self, frontend: Frontend, model: Any, captured: Capture, level: TrialLevel, inputs: Any = ()
    ) -> Trial:
        from convlint.trial.interface import interface_types, output_types
        from convlint.trial.run import run_trial

        self.progress(f"converting through {frontend}")
        if level == "full" and frontend == "export":
            model = self.with_weights(model)
        if frontend == "export":
            inputs = interface_types(captured.graph, self.source.specs)
        trial = run_trial(
            model,
            captured.graph,
            frontend,
            self.options.target,
            level,
            self.options.timeout,
            self.options.output if level == "full" else None,
            inputs,
            self.options.precision,
            output_types(captured.graph),
            reader() if level != "frontend" else None,
        )
        return replace(trial, provisos=captured.provisos) if frontend == "export" else trial

    def worth_tracing(self, captured: Capture) -> bool:
        """Whether "auto" may try TorchScript: a trace runs the model, and knows no states."""
        ports = captured.graph.inputs if captured.graph is not None else ()
        states = [port.name for port in ports if port.kind == "state" and port.mutated]
        if states:
            self.notes.append(
                f"the torchscript frontend was not tried: a trace forgets what is written to {states[0]}"
            )
            return False
        size = captured.graph.parameter_bytes if captured.graph is not None else 0
        if size <= TRACED_WEIGHTS_LIMIT:
            return True
        self.notes.append(
            f"the torchscript frontend was not tried: its trace runs the model, with {size / 1e9:.1f} GB of "
            "weights; --frontend torchscript tries it"
        )
        return False

    def with_weights(self, program: Any) -> Any:
        from convlint.capture.methods import real_program

        return real_program(self.source, program, self.options.timeout)

    def torchscript(self, captured: Capture, level: TrialLevel) -> Trial:
        """The trial through TorchScript, a failed one where the model cannot be traced."""
        from convlint.trial.trace import input_types, trace_torchscript

        self.progress("tracing to TorchScript")
        try:
            traced = trace_torchscript(self.source, self.options.timeout, REAL_WEIGHTS_LIMIT)
        except ModelError:
            raise
        except Exception as error:  # the tracer runs user code
            return _untraced(error, level)
        types = input_types(traced.args, traced.kwargs, self.source.specs)
        trial = self.trial("torchscript", traced.model, captured, level, types)
        reads = [*filter(traced.fixes, captured.reads)]
        sizes = dict.fromkeys(traced.fixed_sizes(captured.failures))
        reads += [
            each for each in sizes if each.site and (each.site.path, each.site.line) not in captured.lines
        ]
        return replace(trial, provisos=_together(reads, traced.provisos))


def _together(reads: Iterable[Proviso], provisos: Iterable[Proviso]) -> tuple[Proviso, ...]:
    """The provisos of a trace: what it froze by reading, else what it lost where no reading line is known."""
    reads = tuple(reads)
    return (*reads, *(each for each in provisos if each.kind != "frozen" or not reads))


def _untraced(error: Exception, level: TrialLevel) -> Trial:
    from convlint.capture.failures import describe_failure

    described = describe_failure("torch.jit.trace", error)
    stage = (
        "input" if described.kind == "owned-name" else "trace"
    )  # a trace takes such names, the converter does not
    failure = TrialFailure(
        "",
        described.message or "no message",
        described.error_type,
        described.site,
        described.caller,
        described.module,
        stage=stage,
    )
    return Trial("failed", (failure,), 0.0, level, "torchscript", installed_version("coremltools") or "")


def can_try() -> str:
    """Why no trial can run here; empty where one can."""
    if importlib.util.find_spec("coremltools") is None:
        return "coremltools is not installed; pip install coremltools adds it"
    from convlint.capture.methods import quiet_torch

    try:
        with quiet_torch(), interruptible():  # coremltools catches whatever its own imports raise
            import coremltools  # noqa: F401
    except Exception as error:  # a broken installation may raise anything
        return f"coremltools cannot be imported ({type(error).__name__}: {error})"
    problem = native_error()
    if problem:
        return (
            f"the native library of coremltools does not load ({problem}); "
            "install a coremltools that has a wheel for this Python and platform"
        )
    return ""
