"""Running the examples of rules: what the rules report of one, and what a real conversion says of it.

An example is a model in a few lines of text. It is written to a file of its own, so that findings
and refusals both name lines of it, then captured, matched and converted as any model is.
"""

from __future__ import annotations

import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from convlint.checking.doctor import installed_version
from convlint.checking.frontends import can_try
from convlint.checking.judgement import failures_to_tell
from convlint.coreml.supported import installed_snapshot
from convlint.coreml.targets import OPSETS
from convlint.coreml.versions import parse_bounds, parse_release, parse_target
from convlint.errors import ConvlintError, ModelError, UsageError
from convlint.interface.inputs import make_tensors, parse_inputs
from convlint.interface.outputs import parse_outputs
from convlint.model import Example, Finding, Graph, Rule, Site, Trial
from convlint.rules.match import Environment, RawMatch, group_findings, match_failures, match_graph
from convlint.rules.rulebook import Rulebook
from convlint.supervision import prefix_of

if TYPE_CHECKING:
    import torch

    from convlint.capture.methods import Capture, Source
    from convlint.model.parity import Parity, Precision

TIMEOUT = 60.0
"""Seconds that one example may take to capture, and again to convert."""

MEMORY_LIMIT = 1 << 30
"""Bytes of weights that an example may have; each is a handful of lines."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that torch or coremltools refused. ``line`` is None where nothing names a line.

    ``follows``: it consumed what stands in for an earlier refusal, and may be a consequence.
    """

    line: int | None
    text: str
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one example. ``trial`` is None where torch could not export the model."""

    path: str
    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...]
    graph: Graph | None
    trial: Trial | None

    @property
    def converted(self) -> bool:
        return self.trial is not None and self.trial.status == "converted"

    def lines(self, findings: tuple[Finding, ...]) -> tuple[int, ...]:
        """The lines of the example that ``findings`` lie at, each once, in order."""
        found = {line_in(self.path, finding.site, finding.caller) for finding in findings}
        return tuple(sorted(line for line in found if line is not None))


@dataclass(frozen=True, slots=True)
class RuleTester:
    """Where examples run: an environment, all rules, and a folder for their files."""

    environment: Environment
    rulebook: Rulebook
    folder: Path

    @property
    def versions(self) -> dict[str, str]:
        """What the examples are proved with."""
        environment = self.environment
        return {"coremltools": environment.coremltools or "", "torch": environment.torch or ""}

    def build(self, example: Example, name: str) -> tuple[str, Callable[[], torch.nn.Module]]:
        """The file of an example, and the maker of its model."""
        path = self.folder / f"{name}.py"
        path.write_text(example.code, encoding="utf-8")
        try:
            code = compile(example.code, str(path), "exec")
        except SyntaxError as error:
            raise ModelError(f"its code is not Python: {error.msg}, line {error.lineno}") from None
        return str(path), _maker(code)

    def run(self, example: Example, name: str, environment: Environment) -> Run:
        """Capture, match and convert one example.

        Raises a :class:`ConvlintError` where the model cannot be built, or does not run in PyTorch.
        """
        from convlint.capture.methods import Source, capture

        path, build = self.build(example, name)
        specs = parse_inputs(example.inputs)
        source = Source(
            build,
            None,
            lambda: _laid_out(make_tensors(specs), example),
            specs,
            outputs=parse_outputs(example.outputs),
        )
        captured = capture(source, TIMEOUT, MEMORY_LIMIT)
        findings = self.findings(captured, environment)
        trial = _convert(source, captured, environment)
        return Run(path, findings, _refusals(path, captured, trial), captured.graph, trial)

    def compare(self, example: Example, name: str, environment: Environment, precision: Precision) -> Parity:
        """What the converted example computes beside what PyTorch computes."""
        from convlint.capture.methods import Source
        from convlint.numerics.parity import compare

        _, build = self.build(example, name)
        specs = parse_inputs(example.inputs)
        source = Source(build, None, lambda: _laid_out(make_tensors(specs), example))
        frontend: Any = environment.frontend
        return compare(source, environment.target, precision, 2, frontend, timeout=TIMEOUT)

    def findings(self, captured: Capture, environment: Environment) -> tuple[Finding, ...]:
        """What the rules alone say."""
        told = failures_to_tell(captured, environment.frontend)
        matches: list[RawMatch] = match_failures(self.rulebook, told, environment)
        if captured.graph is not None:
            matches += match_graph(self.rulebook, captured.graph, environment)
        return group_findings(matches)


@contextmanager
def rule_tester(rulebook: Rulebook) -> Iterator[RuleTester]:
    """A tester for the installed versions; a :class:`UsageError` where nothing can be converted here."""
    problem = can_try()
    if problem:
        raise UsageError(f"the examples of rules are converted for real, and here that cannot be: {problem}.")
    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        yield RuleTester(installed_environment(), rulebook, Path(folder).resolve())


def installed_environment() -> Environment:
    """The versions that are installed here."""
    return Environment(
        coremltools=installed_version("coremltools"),
        torch=installed_version("torch"),
        supported=installed_snapshot(),
        numpy=installed_version("numpy"),
        python=platform.python_version(),
    )


def environment_of(rule: Rule, example: Example, installed: Environment) -> Environment:
    """What an example is judged for: its own ``target`` and ``frontend``, else one that the rule applies to.

    The example of an environment rule brings all its versions itself.
    """
    options = example.options
    versions = options.get("environment")
    if versions is not None:
        absent = replace(installed, coremltools=None, torch=None, numpy=None, python=None)
        return replace(absent, **versions)
    frontend: Any = options.get("frontend") or rule.applies.get("frontend") or installed.frontend
    return replace(installed, frontend=frontend, target=options.get("target") or _target(rule, installed))


def _target(rule: Rule, installed: Environment) -> str:
    bounds = rule.applies.get("target")
    candidates = (installed.target, *OPSETS)
    if bounds is None:
        return installed.target
    holding = [name for name in candidates if parse_bounds(bounds, "target").hold(parse_target(name))]
    return holding[0] if holding else installed.target


def outside(bounds: Mapping[str, Any], environment: Environment) -> str:
    """The version bound that ``environment`` lies outside of, in words; empty where it is inside of all."""
    for name in ("coremltools", "torch", "numpy", "python"):
        version = getattr(environment, name)
        if name not in bounds:
            continue
        if version is None or not parse_bounds(bounds[name]).hold(parse_release(version)):
            return f"it is for {name} {bounds[name]}, and {version or 'none'} is installed"
    return ""


def line_in(path: str, site: Site | None, caller: Site | None = None) -> int | None:
    """The line of the file ``path`` that a site, or the line that led there, names."""
    return next((place.line for place in (site, caller) if place is not None and place.path == path), None)


def _maker(code: CodeType) -> Callable[[], torch.nn.Module]:
    def make() -> torch.nn.Module:
        import torch

        names: dict[str, Any] = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "math": math}
        exec(code, names)
        model: torch.nn.Module = names["Model"]()
        return model

    return make


def _convert(source: Source, captured: Capture, environment: Environment) -> Trial | None:
    """The trial of the frontend that the example is for, its passes included."""
    from convlint.trial.interface import interface_types, output_types
    from convlint.trial.run import run_trial

    if environment.frontend == "export":
        if captured.program is None:
            return None
        types = interface_types(captured.graph, source.specs)
        return run_trial(
            captured.program,
            captured.graph,
            "export",
            environment.target,
            "passes",
            TIMEOUT,
            inputs=types,
            outputs=output_types(captured.graph),
        )
    from convlint.trial.trace import input_types, trace_torchscript

    try:
        traced = trace_torchscript(source, TIMEOUT, MEMORY_LIMIT)
    except ConvlintError:
        raise
    except Exception as error:  # the tracer runs the example's code
        raise ModelError(f"it cannot be traced to TorchScript: {type(error).__name__}: {error}") from error
    types = input_types(traced.args, traced.kwargs, source.specs)
    return run_trial(
        traced.model,
        captured.graph,
        "torchscript",
        environment.target,
        "passes",
        TIMEOUT,
        inputs=types,
        outputs=output_types(captured.graph),
    )


def _refusals(path: str, captured: Capture, trial: Trial | None) -> tuple[Refusal, ...]:
    if trial is None:
        return tuple(
            Refusal(line_in(path, failure.site, failure.caller), f"{failure.error_type}: {failure.message}")
            for failure in captured.failures
            if failure.method.startswith("torch.export")
        )
    return tuple(
        Refusal(
            line_in(path, failure.site, failure.caller),
            f"{failure.op}: {failure.error}" if failure.op else failure.error,
            bool(failure.follows),
        )
        for failure in trial.failures
    )


def _laid_out(inputs: tuple[tuple[Any, ...], dict[str, Any]], example: Example) -> Any:
    """The example's inputs in the memory format that it asks for."""
    import torch

    if example.options.get("memory_format") != "channels_last":
        return inputs
    args, kwargs = inputs
    layout = torch.channels_last
    return (
        tuple(arg.to(memory_format=layout) if arg.dim() == 4 else arg for arg in args),
        {name: arg.to(memory_format=layout) if arg.dim() == 4 else arg for name, arg in kwargs.items()},
    )
