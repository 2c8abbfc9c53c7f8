"""What the runs of a converted model come to, and what may explain that two outputs are not the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath

from convlint import mil
from convlint.capture.build import borrowed
from convlint.capture.methods import Inputs, quiet_torch
from convlint.model.parity import Divergence, Errors, Status
from convlint.numerics.conversion import Converted, NotConverted
from convlint.numerics.divergence import first_divergence
from convlint.numerics.noise import noise_of
from convlint.numerics.program_errors import WrongShape, judged, measure
from convlint.numerics.reordering import Reordered
from convlint.numerics.running import Terms, expected, paired, program_inputs
from convlint.text import single_line

Remarks = dict[str, str]
"""What is worth knowing of equal outputs, one text of each kind."""

RANDOM = re.compile(r"\baten\.(rand\w*|bernoulli|multinomial|normal\w*|uniform\w*|poisson)\b")
"""Calls that draw numbers. Dropout is none of them: in training mode Core ML leaves it out."""

INDEXING = re.compile(r"\baten\.(\w*index\w*|gather|take\w*|embedding\w*|one_hot|\w*scatter\w*|select)\b")
"""Calls that count a negative integer from the end, which Core ML leaves undefined."""

POLES = re.compile(
    r"\baten\.(log|log10|log2|log1p|logit|xlogy|special_xlogy|reciprocal|rsqrt|div|true_divide|atanh|arctanh"
    r"|digamma|lgamma|pow|erfinv|logaddexp|logsumexp|log_softmax|_log_softmax)\b"
)
"""Functions that have infinities of their own, which a program with an epsilon inside does not reach."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the runs come to. ``at_edge_cases``: they are equal on random inputs."""

    status: Status
    errors: Errors = field(default_factory=Errors)
    divergence: Divergence | None = None
    details: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    at_edge_cases: bool = False


def is_noise(converted: Converted, inputs: Inputs, terms: Terms) -> bool:
    """Whether rounding explains all that the outputs differ by."""
    if converted.precision != "float32" or converted.states:
        return False  # of several steps, only the first could be looked at here
    right = expected(converted, inputs)
    floors = noise_of(converted.module, inputs, right)
    if floors is None:
        return False
    try:
        named = program_inputs(converted, inputs)
        outputs = mil.run(converted.program, named, accumulator_limit=terms.limit)
        pairs = zip(paired(converted, right, outputs), right, strict=True)
        errors = [measure([value], [wanted]) for value, wanted in pairs]
    except (WrongShape, NotConverted, mil.ExecutionError, mil.ShapeMismatch):
        return False
    return all(
        judged(each, terms.tolerance) == "equal" or each.max_abs_error <= terms.tolerance * each.scale + floor
        for each, floor in zip(errors, floors, strict=True)
    )


def blamed(
    converted: Converted, inputs: Inputs, terms: Terms, *, ties: bool = False
) -> tuple[Divergence | Reordered | None, str]:
    """The call to blame for these inputs where there is one, and why it could not be looked for.

    With ``ties`` equal values are to be expected, which each side may put into another order.
    """
    try:
        with quiet_torch(), borrowed(converted.module):
            return first_divergence(converted, inputs, terms, ties=ties), ""
    except Exception as error:  # single calls of a graph may raise what the model does not
        text = single_line(error, 200)
        return None, f"the call to blame was not found ({type(error).__name__}: {text})"


def pole_remark(divergence: Divergence) -> str:
    """What a function with an infinity of its own gives there on either side."""
    site = divergence.site
    where = f" at {PurePath(site.path).name}:{site.line}" if site is not None else ""
    shown = divergence.example_text
    return f"at special numbers {divergence.op}{where} has an infinity or NaN" + (
        f": {shown}" if shown else ", and a number in the program"
    )
