"""Running the examples of rules: each goes through the check that users run, conversion and all.

An example is a model in a few lines of text. It is written to a file of its own, so that findings
and refusals both name lines of it.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from convlint.checking.frontends import can_try
from convlint.errors import ModelError, UsageError
from convlint.interface.inputs import make_tensors, parse_inputs
from convlint.interface.outputs import parse_outputs
from convlint.model import CaptureFailure, Example, Finding, Report, Site, TrialFailure
from convlint.rule_tester.environment import installed_environment
from convlint.rules.match import Environment
from convlint.rules.rulebook import Rulebook
from convlint.supervision import prefix_of

if TYPE_CHECKING:
    import torch

    from convlint.capture.methods import Source
    from convlint.model.parity import Precision

TIMEOUT = 60.0
"""Seconds that one example may take to capture, and again to convert."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that torch or coremltools refused. ``line`` is None where nothing names a line.

    ``follows``: it consumed what stands in for an earlier refusal, and may be a consequence.
    """

    line: int | None
    text: str
    follows: bool = False


@dataclass(frozen=True)
class Run:
    """The report of one example, and the file ``path`` that the example was written to."""

    path: str
    report: Report

    @property
    def converted(self) -> bool:
        """Whether a trial converted the example."""
        return self.report.trial is not None and self.report.trial.status == "converted"

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What rules say of the example itself, and not of versions or in repetition of a refusal."""
        return tuple(
            finding
            for finding in self.report.findings
            if finding.subject.kind not in ("environment", "trial")
        )

    def of_rule(self, code: str) -> tuple[Finding, ...]:
        """The findings of one rule."""
        return tuple(finding for finding in self.findings if finding.rule.code == code)

    def lines(self, findings: tuple[Finding, ...]) -> tuple[int, ...]:
        """The lines of the example that ``findings`` lie at, each once, in order."""
        lines = {line_in(self.path, finding.site, finding.caller) for finding in findings}
        return tuple(sorted(line for line in lines if line is not None))

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """What coremltools refused; what torch.export did, where there was nothing to convert."""
        if self.report.trial is None:
            return tuple(
                self._refusal(failure, failure.error_type, failure.message)
                for failure in self.report.capture_failures
                if failure.method.startswith("torch.export")
            )
        return tuple(
            self._refusal(failure, failure.op, failure.error, follows=bool(failure.follows))
            for failure in self.report.trial.failures
        )

    def _refusal(
        self, failure: CaptureFailure | TrialFailure, of: str, text: str, *, follows: bool = False
    ) -> Refusal:
        line = line_in(self.path, failure.site, failure.caller)
        return Refusal(line, f"{of}: {text}" if of else text, follows)


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

    def run(
        self, example: Example, name: str, environment: Environment, parity: Precision | None = None
    ) -> Run:
        """Check one example as ``convlint check`` would, for the frontend and target of ``environment``.

        With ``parity`` what converts is also run and compared with PyTorch, at that precision.
        Raises a :class:`ConvlintError` where the model cannot be built, or does not run in PyTorch.
        """
        from convlint.checking.check import check_source
        from convlint.checking.options import Options

        path, source = self.source(example, name)
        options = Options(
            target=environment.target,
            frontend=environment.frontend,
            timeout=TIMEOUT,
            outputs=source.outputs,
            parity=parity,
        )
        # Of what is proposed, the examples prove what stands in the rule.
        report = check_source(name, source, options, rulebook=self.rulebook, decompositions=False)
        return Run(path, report)

    def source(self, example: Example, name: str) -> tuple[str, Source]:
        """The file of an example, and the example as something to capture."""
        from convlint.capture.methods import Source

        path, build = self.build(example, name)
        specs = parse_inputs(example.inputs)
        outputs = parse_outputs(example.outputs)
        return path, Source(
            build, None, lambda: _laid_out(make_tensors(specs), example), specs, outputs=outputs
        )


@contextmanager
def rule_tester(rulebook: Rulebook) -> Iterator[RuleTester]:
    """A tester for the installed versions; a :class:`UsageError` where nothing can be converted here."""
    problem = can_try()
    if problem:
        raise UsageError(f"the examples of rules are converted for real, and here that cannot be: {problem}.")
    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        yield RuleTester(installed_environment(), rulebook, Path(folder).resolve())


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
