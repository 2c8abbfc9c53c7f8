"""The pipeline: capture, match, trial, and what they come to together."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlint.doctor import installed_version, native_error
from convlint.errors import ModelError, UsageError
from convlint.inputs import InputSpec, make_tensors
from convlint.match import (
    Environment,
    group_findings,
    match_environment,
    match_failures,
    match_graph,
    near_misses,
)
from convlint.model import (
    SEVERITIES,
    Convertible,
    Finding,
    Frontend,
    FrontendChoice,
    Report,
    Severity,
    Trial,
    TrialLevel,
)
from convlint.reconcile import BLOCKING, compare_doors, disagreements, findings_of_trial, mark_trial
from convlint.rulebook import Rulebook, load_rulebook
from convlint.supported import installed_snapshot, snapshot
from convlint.suppress import suppress
from convlint.targets import normalise_target

if TYPE_CHECKING:
    from convlint.capture.methods import Capture, Source
    from convlint.parity.result import Parity, Precision

Progress = Callable[[str], None]
DEFAULT_TIMEOUT = 120.0
REAL_WEIGHTS_ROOM = 4 << 30
"""Bytes of real weights that a fallback may allocate; more would not fit beside the conversion."""


SECOND_DOOR_ROOM = 2 << 30
"""Bytes of weights up to which ``auto`` traces the model for the second door."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to check. ``target`` and ``frontend`` as in coremltools; ``trial`` None for the rules alone."""

    target: str = "iOS17"
    frontend: FrontendChoice = "auto"
    trial: TrialLevel | None = "frontend"
    timeout: float = DEFAULT_TIMEOUT
    output: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rule_paths: tuple[str, ...] = ()
    coremltools: str | None = None
    why: str | None = None
    fail_on: Severity = "error"
    project: str | None = None
    parity: Precision | None = None


def check(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    frontend: FrontendChoice = "export",
    trial: TrialLevel | None = "frontend",
    timeout: float = DEFAULT_TIMEOUT,
    output: str | None = None,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    rule_paths: tuple[str, ...] = (),
    coremltools: str | None = None,
    fail_on: Severity = "error",
    parity: Precision | None = None,
) -> Report:
    """Check whether a model converts to Core ML.

    ``model`` is an ``nn.Module`` (its weights are not touched, its training flags come back) or a
    callable that builds one. ``example_inputs`` are the positional arguments of ``forward`` (a
    tensor or a tuple), ``kwargs`` the keyword arguments; only their shapes and dtypes matter.
    ``parity`` also runs what the trial converted, at that precision, and compares it with the model.
    Raises :class:`~convlint.errors.ConvlintError` where the model cannot be built or run.
    """
    import torch

    from convlint.capture.methods import Source

    args = tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    options = Options(
        target=normalise_target(target),
        frontend=frontend,
        trial=trial,
        timeout=timeout,
        output=output,
        select=tuple(select),
        ignore=tuple(ignore),
        rule_paths=tuple(map(str, rule_paths)),
        coremltools=coremltools,
        fail_on=fail_on,
        parity=parity,
    )
    instance = model if isinstance(model, torch.nn.Module) else None
    if instance is None and not callable(model):
        raise ModelError(
            f"the model is a {type(model).__name__}; give a torch.nn.Module or a function that builds one."
        )
    name = type(model).__qualname__ if instance is not None else getattr(model, "__qualname__", "model")
    source = Source(None if instance is not None else model, instance, lambda: (args, dict(kwargs or {})))
    return suppress(_Check(name, source, options, lambda stage: None).run(), fail_on)


def check_model(
    name: str,
    build: Callable[[], Any],
    inputs: tuple[InputSpec, ...],
    options: Options,
    progress: Progress = lambda stage: None,
) -> Report:
    """Check the model that ``build`` returns with inputs made from their specs.

    Nothing is suppressed yet: what comments and baselines silence may change without the model.
    """
    from convlint.capture.methods import Source

    return _Check(name, Source(build, None, lambda: make_tensors(inputs)), options, progress).run()


class _Check:
    def __init__(self, name: str, source: Source, options: Options, progress: Progress) -> None:
        self.name = name
        self.source = source
        self.options = options
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def run(self) -> Report:
        start = time.perf_counter()
        options = self.options
        with self.timed("rules"):
            whole = load_rulebook([Path(path) for path in options.rule_paths])
            rules = whole.select(options.select, options.ignore)
            why = whole.find(options.why) if options.why else None
        with self.timed("capture"):
            captured = self.capture()
        environment = self.environment()
        trials = self.trials(captured, environment)
        with self.timed("match"):
            findings = self.findings(captured, rules, environment, trials)
        if why is not None and captured.graph is not None:
            for miss in near_misses(why, captured.graph, environment):
                where = f" at {miss.site}" if miss.site else ""
                self.notes.append(
                    f"{why.code} not on {miss.subject}{where}: {miss.condition} ({miss.reason})"
                )
        fix_proof = ""
        if captured.graph is not None and any(f.severity == "error" for f in findings):
            self.progress("looking for replacements")
            from convlint.decompose import add_replacements, prove_together

            with self.timed("replacements"):
                findings = add_replacements(findings, captured.program, environment, prove=bool(trials))
                if captured.program is not None and trials:
                    fix_proof = prove_together(findings, captured.program, options.target)
        convertible = self.verdict(captured, findings, trials)
        compared = self.parity(trials)
        self.seconds["total"] = time.perf_counter() - start
        return Report(
            model=self.name,
            target=options.target,
            frontend=options.frontend,
            convertible=convertible,
            findings=findings,
            trial=_deciding(trials),
            trials=trials,
            graph=captured.graph,
            capture_method=captured.method,
            capture_failures=captured.failures,
            disagreements=disagreements(findings, captured, _export_trial(trials), whole, environment),
            fix_proof=fix_proof,
            parity=compared,
            notes=(*captured.notes, *self.notes),
            seconds=self.seconds,
            versions=_versions(environment),
            asked=tuple((rule.code, rule.name, rule.category) for rule in rules),
            exit_code=self.exit_code(captured, findings, convertible, compared),
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def capture(self) -> Capture:
        from convlint.capture.methods import capture

        self.progress("capturing")
        captured = capture(self.source, self.options.timeout, REAL_WEIGHTS_ROOM)
        for stage, seconds in captured.seconds.items():
            self.seconds[f"capture.{stage}"] = seconds
        if captured.graph is not None and all(port.meta is None for port in captured.graph.outputs):
            raise ModelError(f"{self.name} has no tensor output; a Core ML model needs at least one.")
        return captured

    def environment(self) -> Environment:
        """What to lint for: the installed coremltools, or the one that was named."""
        installed = installed_version("coremltools")
        wanted = self.options.coremltools
        if wanted is None and installed is not None and self.options.trial is not None and can_try() == "":
            supported = installed_snapshot()
        else:
            supported = snapshot(wanted or installed)
        if not supported.exact:
            self.notes.append(
                f"coremltools {supported.requested} is not among the snapshots;"
                f" judged by that of {supported.version}"
            )
        return Environment(
            coremltools=wanted or installed or supported.version,
            torch=installed_version("torch"),
            supported=supported,
            numpy=installed_version("numpy"),
            python=platform.python_version(),
            frontend="torchscript" if self.options.frontend == "torchscript" else "export",
            target=self.options.target,
        )

    def trials(self, captured: Capture, environment: Environment) -> tuple[Trial, ...]:
        """One trial for each door that was asked for; with auto, the second where the first refuses."""
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
        made: list[Trial] = []
        choice = self.options.frontend
        with self.timed("trial"):
            if choice != "torchscript" and captured.program is not None:
                made.append(self.trial("export", captured.program, captured, level))
            refused = not (made and made[0].status == "converted")
            if choice == "torchscript" or (choice == "auto" and refused and self.affordable(captured)):
                second = self.torchscript(captured, level)
                if second is not None:
                    made.append(second)
        if len(made) == 2:
            self.notes += compare_doors(*made)
        return tuple(made)

    def trial(
        self, frontend: Frontend, model: Any, captured: Capture, level: TrialLevel, inputs: Any = ()
    ) -> Trial:
        from convlint.trial.run import run_trial

        self.progress(f"converting through {frontend}")
        if level == "full" and frontend == "export":
            model = self.with_weights(model)
        return run_trial(
            model,
            captured.graph,
            frontend,
            self.options.target,
            level,
            self.options.timeout,
            self.options.output if level == "full" else None,
            inputs,
        )

    def affordable(self, captured: Capture) -> bool:
        """Whether the other door is tried unasked: tracing runs the model with its weights."""
        size = captured.graph.parameter_bytes if captured.graph is not None else 0
        if size <= SECOND_DOOR_ROOM:
            return True
        self.notes.append(
            f"the torchscript frontend was not tried: its trace runs the model, with {size / 1e9:.1f} GB of "
            "weights; --frontend torchscript tries it"
        )
        return False

    def with_weights(self, program: Any) -> Any:
        from convlint.capture.methods import real_program

        return real_program(self.source, program, self.options.timeout)

    def torchscript(self, captured: Capture, level: TrialLevel) -> Trial | None:
        """The trial through TorchScript; a model that cannot be traced is told as a note."""
        from convlint.trial.trace import input_types, trace_torchscript

        self.progress("tracing to TorchScript")
        try:
            traced, args, kwargs = trace_torchscript(self.source, self.options.timeout, REAL_WEIGHTS_ROOM)
        except ModelError:
            raise
        except Exception as error:  # the tracer runs user code
            text = " ".join(str(error).split())[:300]
            self.notes.append(f"TorchScript cannot trace the model: {type(error).__name__}: {text}")
            return None
        return self.trial("torchscript", traced, captured, level, input_types(args, kwargs))

    def findings(
        self, captured: Capture, rules: Rulebook, environment: Environment, trials: tuple[Trial, ...]
    ) -> tuple[Finding, ...]:
        # What is merely worth knowing of the versions is for `convlint doctor`, not for every report.
        matches = [m for m in match_environment(rules, environment) if m.rule.severity != "note"]
        matches += match_failures(rules, failures_to_tell(captured), environment)
        if captured.graph is not None:
            matches += match_graph(rules, captured.graph, environment)
        findings = group_findings(matches)
        findings = mark_trial(findings, _export_trial(trials) or _deciding(trials))
        if not any(trial.status == "converted" for trial in trials):
            findings += findings_of_trial(findings, trials[:1], rules, environment)
        if len(trials) == 2 and trials[1].status == "converted":
            # The other door is open: what this one refuses is no longer an error.
            findings = tuple(
                replace(finding, severity="warning")
                if finding.severity == "error" and finding.rule.category in BLOCKING
                else finding
                for finding in findings
            )
        return findings

    def verdict(
        self, captured: Capture, findings: tuple[Finding, ...], trials: tuple[Trial, ...]
    ) -> Convertible:
        if any(trial.status == "converted" for trial in trials):
            return "yes"
        if any(trial.status == "failed" for trial in trials):
            return "no"
        if trials:
            return "unknown"
        return static_verdict(findings, exported=captured.program is not None)

    def parity(self, trials: tuple[Trial, ...]) -> Parity | None:
        """The converted program beside PyTorch, through the door that converted."""
        if self.options.parity is None:
            return None
        deciding = _deciding(trials)
        if deciding is None or deciding.status != "converted":
            self.notes.append("parity was not looked at: no trial converted the model")
            return None
        from convlint.parity import compare

        self.progress("comparing with PyTorch")
        with self.timed("parity"):
            return compare(
                self.source,
                self.options.target,
                self.options.parity,
                frontend=deciding.frontend,
                timeout=self.options.timeout,
            )

    def exit_code(
        self,
        captured: Capture,
        findings: tuple[Finding, ...],
        convertible: Convertible,
        compared: Parity | None,
    ) -> int:
        worst = SEVERITIES.index(self.options.fail_on)
        if captured.graph is None:
            return 3
        if any(SEVERITIES.index(finding.severity) <= worst for finding in findings):
            return 1
        if compared is not None and compared.status in ("differs", "overflows"):
            return 1
        return 1 if convertible == "no" else 0


def static_verdict(findings: Iterable[Finding], *, exported: bool) -> Convertible:
    """What the rules alone say; ``exported`` is whether torch.export gave a program to convert."""
    if any(finding.severity == "error" and finding.rule.category in BLOCKING for finding in findings):
        return "no"
    return "yes" if exported else "unknown"


def failures_to_tell(captured: Capture) -> Iterator[Any]:
    """The capture failures worth a finding: odd outputs, and where nothing could be exported, its causes."""
    seen = set()
    for failure in captured.failures:
        key = (failure.kind, failure.site)
        if not failure.method.startswith("torch.export") or key in seen:
            continue
        seen.add(key)
        if failure.kind == "unsupported-output" or (
            captured.program is None and failure.kind != "fake-tensor"
        ):
            yield failure


def _export_trial(trials: tuple[Trial, ...]) -> Trial | None:
    return next((trial for trial in trials if trial.frontend == "export"), None)


def _deciding(trials: tuple[Trial, ...]) -> Trial | None:
    """The trial that the verdict rests on: the one that converted, else the first."""
    return next((trial for trial in trials if trial.status == "converted"), trials[0] if trials else None)


def can_try() -> str:
    """Why no trial can run here, empty where one can."""
    if importlib.util.find_spec("coremltools") is None:
        return "coremltools is not installed; pip install coremltools adds it"
    from convlint.capture.methods import quiet_torch

    try:
        with quiet_torch():
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


def _versions(environment: Environment) -> dict[str, str]:
    versions = {name: getattr(environment, name) for name in ("python", "torch", "coremltools", "numpy")}
    return {name: version for name, version in versions.items() if version}


__all__ = ["Options", "Report", "UsageError", "check", "check_model", "installed_version"]
