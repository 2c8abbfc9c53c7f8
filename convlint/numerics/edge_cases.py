"""A model that is equal on random inputs, run on the numbers at which functions change their branch."""

from __future__ import annotations

from typing import NamedTuple

from convlint import mil
from convlint.capture.methods import Inputs
from convlint.model.parity import Errors
from convlint.numerics.conclusion import INDEXING, Conclusion, Remarks, blamed, is_noise, pole_remark
from convlint.numerics.conversion import Converted
from convlint.numerics.program_errors import WrongShape, judged, without_poles
from convlint.numerics.reordering import Reordered
from convlint.numerics.running import Terms, measured
from convlint.numerics.samples import EdgeCases, any_integers, draws, edge_cases_of


class EdgeCase(NamedTuple):
    """Numbers of one ``kind``, of which integers are drawn too where ``integers`` says so."""

    kind: EdgeCases
    integers: bool
    words: str


EDGE_CASES = (
    EdgeCase("signs", False, "zeros and ones of both signs"),
    EdgeCase("halves", False, "halves"),
    EdgeCase("counts", True, "the first numbers"),
    EdgeCase("signs", True, "integers of both signs"),
)


def at_edge_cases(converted: Converted, terms: Terms, *, pole_is_known: bool) -> Conclusion | Remarks:
    """The difference at the first edge case that shows one, else what is worth knowing of them.

    Poles are looked for unless one is known already.
    """
    inputs, remarks = converted.inputs, Remarks()
    for case in EDGE_CASES:
        if case.integers and not any_integers(inputs):
            continue
        for seed in range(draws(inputs)):
            sample = edge_cases_of(inputs, case.kind, seed, integers=case.integers)
            known = pole_is_known or "pole" in remarks
            try:
                outcome = _at_edge_case(converted, sample, terms, case, pole_is_known=known)
            except Exception:  # the model may refuse such inputs, or lose itself in them
                break
            if isinstance(outcome, Conclusion):
                return outcome
            remarks |= outcome
    return remarks


def _at_edge_case(
    converted: Converted, inputs: Inputs, terms: Terms, case: EdgeCase, *, pole_is_known: bool
) -> Conclusion | Remarks:
    try:
        errors = measured(converted, inputs, terms.limit)
    except (WrongShape, mil.ShapeMismatch):
        errors = None
    if errors is not None:
        if judged(errors, terms.tolerance) == "equal":
            return {}
        if judged(without_poles(errors), terms.tolerance) == "equal":
            return {} if pole_is_known else {"pole": _pole(converted, inputs, terms, case)}
        if not errors.nonfinite and not errors.misplaced and is_noise(converted, inputs, terms):
            return {}
    divergence, _ = blamed(converted, inputs, terms, ties=True)
    if divergence is None or isinstance(divergence, Reordered) or divergence.undefined:
        return {}
    if case.integers and INDEXING.search(divergence.op):
        return {}
    details = (f"random inputs come out equal, {case.words} do not",)
    return Conclusion("differs", errors or Errors(), divergence, details, at_edge_cases=True)


def _pole(converted: Converted, inputs: Inputs, terms: Terms, case: EdgeCase) -> str:
    divergence, _ = blamed(converted, inputs, terms, ties=True)
    if divergence is None or isinstance(divergence, Reordered):
        return f"for {case.words} PyTorch gives infinities, the program numbers"
    return pole_remark(divergence)
