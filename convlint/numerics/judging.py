"""What the runs of a converted model come to: equal, different, and where, or only rounding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from convlint import mil
from convlint.capture.build import borrowed
from convlint.capture.methods import Inputs, quiet_torch
from convlint.model.parity import Divergence, Errors, Status
from convlint.numerics.conversion import Converted, NotConverted
from convlint.numerics.difference import WrongShape, judged, measure, without_poles, worst
from convlint.numerics.divergence import first_divergence
from convlint.numerics.noise import noise_of
from convlint.numerics.running import against, expected, measured, paired, program_inputs
from convlint.numerics.samples import EdgeCases, any_integers, draws, edge_cases_of, varied
from convlint.numerics.states import started_elsewhere

EDGE_CASES: tuple[tuple[EdgeCases, bool, str], ...] = (
    ("signs", False, "zeros and ones of both signs"),
    ("halves", False, "halves"),
    ("counts", True, "the first numbers"),
    ("signs", True, "integers of both signs"),
)
"""The inputs that a model which is equal on random ones is tried on.

Their kind, whether integers are drawn from them too, where the model takes such integers at all, and words.
"""

RANDOM = re.compile(r"\baten\.(rand\w*|bernoulli|multinomial|normal\w*|uniform\w*|poisson)\b")
"""Calls that draw numbers. Dropout is none of them: in training mode Core ML leaves it out."""

INDEXING = re.compile(r"\baten\.(\w*index\w*|gather|take\w*|embedding\w*|one_hot|\w*scatter\w*|select)\b")
"""Calls that count a negative integer from the end, which Core ML leaves undefined."""


POLES = re.compile(
    r"\baten\.(log|log10|log2|log1p|logit|xlogy|special_xlogy|reciprocal|rsqrt|div|true_divide|atanh|arctanh"
    r"|digamma|lgamma|pow|erfinv|logaddexp|logsumexp|log_softmax|_log_softmax)\b"
)
"""Functions that have infinities of their own, which a program with an epsilon inside does not reach."""


@dataclass(slots=True)
class Found:
    """What the runs came to."""

    status: Status
    errors: Errors = field(default_factory=Errors)
    divergence: Divergence | None = None
    details: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    at_edge_cases: bool = False


@dataclass(slots=True)
class Judge:
    """One converted model, run on inputs of several kinds, each compared with PyTorch."""

    converted: Converted
    allowed: float
    limit: float | None
    details: list[str] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)
    """What is worth knowing of equal outputs, one of each kind."""

    def judge(self, seeds: int, *, edge_cases: bool) -> Found:
        """Random inputs first; what is equal on those, at special numbers."""
        for name in started_elsewhere(self.converted.module, self.converted.states):
            text = f"compared from zeros, as Core ML starts a state; the buffer {name} holds something else"
            self.remarks[f"state {name}"] = text
        try:
            runs = self.runs(seeds)
        except (WrongShape, mil.ShapeMismatch) as error:
            return self.found("differs", divergence=self.divergence(self.converted.inputs), why=str(error))
        except (NotConverted, mil.ExecutionError) as error:
            return self.found("unsupported", why=str(error))
        equal = [errors for _, errors in runs if judged(errors, self.allowed) == "equal"]
        apart = [run for run in runs if judged(run[1], self.allowed) != "equal"]
        for inputs, errors in sorted(apart, key=lambda run: _badness(run[1]), reverse=True):
            found = self.judged_apart(inputs, errors)
            if found is not None:
                return found
            if errors.poles:
                equal.append(without_poles(errors))
        total = worst(equal) if equal else Errors()
        if edge_cases and self.converted.precision == "float32":
            found = self.edge_cases_of()
            if found is not None:
                return found
        return self.found("equal", total)

    def found(
        self,
        status: Status,
        errors: Errors | None = None,
        divergence: Divergence | None = None,
        why: str = "",
        *,
        at_edge_cases: bool = False,
    ) -> Found:
        details = [why, *self.details[:1]]
        remarks = list(self.remarks.values())
        return Found(status, errors or Errors(), divergence, details, remarks, at_edge_cases)

    def runs(self, seeds: int) -> list[tuple[Inputs, Errors]]:
        """The example and random inputs like it, with the errors of each; those that the model takes."""
        runs = []
        for seed in range(seeds):
            inputs = varied(self.converted.inputs, seed)
            try:
                runs.append((inputs, measured(self.converted, inputs, self.limit)))
            except (WrongShape, NotConverted, mil.ExecutionError, mil.ShapeMismatch):
                raise
            except Exception as error:
                if seed == 0:
                    raise
                text = " ".join(str(error).split())[:160]
                text = f"the model refuses random inputs like the example ({type(error).__name__}: {text})"
                self.remarks.setdefault("inputs", text)
        return runs

    def judged_apart(self, inputs: Inputs, errors: Errors) -> Found | None:
        """What a run comes to that is not equal at first sight; None where something explains it."""
        if not errors.nonfinite and not errors.misplaced and self.is_noise(inputs):
            text = f"some outputs are rounding, of {errors.max_abs_error:.2g}, in PyTorch too"
            self.remarks.setdefault("noise", text)
            return None
        divergence = self.divergence(inputs)
        if divergence is not None and RANDOM.search(divergence.op):
            where = f" at {divergence.site}" if divergence.site is not None else ""
            why = f"{divergence.op}{where} draws random numbers, and Core ML draws others"
            return self.found("unsupported", errors, why=why)
        if divergence is not None and divergence.undefined:
            text = f"some random inputs were left out: {divergence.undefined}"
            self.remarks.setdefault("undefined", text)
            return None
        finite = judged(without_poles(errors), self.allowed) == "equal"
        if finite and divergence is not None and POLES.search(divergence.op):
            self.remarks.setdefault("pole", pole_remark(divergence))
            return None
        return self.found(judged(errors, self.allowed), errors, divergence)

    def edge_cases_of(self) -> Found | None:
        """The same at numbers where functions change their branch; None where they agree there."""
        inputs = self.converted.inputs
        for kind, integers, words in EDGE_CASES:
            if integers and not any_integers(inputs):
                continue
            for seed in range(draws(inputs)):
                given = edge_cases_of(inputs, kind, seed, integers=integers)
                try:
                    found = self.at_edge_case(given, words, integers)
                except Exception:  # the model may refuse such inputs, or lose itself in them
                    break
                if found is not None:
                    return found
        return None

    def at_edge_case(self, inputs: Inputs, words: str, integers: bool) -> Found | None:
        try:
            errors = measured(self.converted, inputs, self.limit)
        except (WrongShape, mil.ShapeMismatch):
            errors = None
        if errors is not None and judged(errors, self.allowed) == "equal":
            return None
        if errors is not None and judged(without_poles(errors), self.allowed) == "equal":
            if "pole" not in self.remarks:
                divergence = self.divergence(inputs, ties=True)
                told = pole_remark(divergence) if divergence is not None else ""
                self.remarks["pole"] = told or f"for {words} PyTorch gives infinities, the program numbers"
            return None
        if errors is not None and not errors.nonfinite and not errors.misplaced and self.is_noise(inputs):
            return None
        divergence = self.divergence(inputs, ties=True)
        if divergence is None or divergence.undefined or (integers and INDEXING.search(divergence.op)):
            return None
        why = f"random inputs come out equal, {words} do not"
        return self.found("differs", errors, divergence, why, at_edge_cases=True)

    def is_noise(self, inputs: Inputs) -> bool:
        """Whether rounding explains all that the outputs differ by."""
        if self.converted.precision != "float32" or self.converted.states:
            return False  # of several steps, only the first could be looked at here
        wanted = expected(self.converted, inputs)
        floors = noise_of(self.converted.module, inputs, wanted)
        if floors is None:
            return False
        try:
            given = program_inputs(self.converted, inputs)
            outputs = mil.run(self.converted.program, given, accumulator_limit=self.limit)
            pairs = list(zip(paired(self.converted, wanted, outputs), wanted, floors, strict=True))
            each = [(measure([found], [right]), floor) for found, right, floor in pairs]
        except (WrongShape, NotConverted, mil.ExecutionError, mil.ShapeMismatch):
            return False
        return all(
            judged(errors, self.allowed) == "equal"
            or errors.max_abs_error <= self.allowed * errors.scale + floor
            for errors, floor in each
        )

    def divergence(self, inputs: Inputs, *, ties: bool = False) -> Divergence | None:
        """The call to blame for these inputs, where there is one."""
        wanted = expected(self.converted, inputs)

        def equal(outputs: Mapping[str, Any]) -> bool:
            try:
                return judged(against(self.converted, wanted, outputs), self.allowed) == "equal"
            except WrongShape:
                return False

        def parts(piece: Converted, given: Inputs) -> bool:
            try:
                return judged(measured(piece, given, self.limit), self.allowed) != "equal"
            except (WrongShape, mil.ShapeMismatch):
                return True

        try:
            given = program_inputs(self.converted, inputs)
            with quiet_torch(), borrowed(self.converted.module):
                return first_divergence(
                    self.converted, given, self.allowed, self.limit, equal, parts, ties=ties
                )
        except Exception as error:  # single calls of a graph may raise what the model does not
            if not ties:
                text = " ".join(str(error).split())[:200]
                self.details.append(f"the call to blame was not found ({type(error).__name__}: {text})")
            return None


def pole_remark(divergence: Divergence) -> str:
    """What a function with an infinity of its own gives there on either side."""
    site = divergence.site
    where = f" at {PurePath(site.path).name}:{site.line}" if site is not None else ""
    shown = divergence.example_text
    return f"at special numbers {divergence.op}{where} has an infinity or NaN" + (
        f": {shown}" if shown else ", and a number in the program"
    )


def _badness(errors: Errors) -> tuple[int, float]:
    return errors.nonfinite + errors.misplaced, errors.max_rel_error
