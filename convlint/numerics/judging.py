"""One converted model, run on inputs of several kinds, each compared with PyTorch."""

from __future__ import annotations

from dataclasses import replace

from convlint import mil
from convlint.capture.methods import Inputs
from convlint.model.parity import Errors
from convlint.numerics.conclusion import (
    POLES,
    RANDOM,
    Conclusion,
    Remarks,
    blamed,
    is_noise,
    pole_remark,
)
from convlint.numerics.conversion import Converted, NotConverted
from convlint.numerics.edge_cases import at_edge_cases
from convlint.numerics.program_errors import WrongShape, judged, without_poles, worst
from convlint.numerics.reordering import Reordered
from convlint.numerics.running import Terms, measured
from convlint.numerics.samples import varied
from convlint.numerics.states import started_elsewhere
from convlint.text import single_line


def conclude(converted: Converted, terms: Terms, seeds: int, *, edge_cases: bool) -> Conclusion:
    """What the runs come to: random inputs first; what is equal on those, at special numbers."""
    elsewhere = started_elsewhere(converted.module, converted.states)
    text = "compared from zeros, as Core ML starts a state; the buffer {} holds something else"
    remarks: Remarks = {f"state {name}": text.format(name) for name in elsewhere}
    try:
        runs, refused = _runs(converted, terms, seeds)
    except (WrongShape, mil.ShapeMismatch) as error:
        divergence, problem = blamed(converted, converted.inputs, terms)
        divergence = None if isinstance(divergence, Reordered) else divergence
        conclusion = Conclusion("differs", divergence=divergence, details=(str(error), problem))
        return _remarked(conclusion, remarks)
    except (NotConverted, mil.ExecutionError) as error:
        return _remarked(Conclusion("unsupported", details=(str(error),)), remarks)
    remarks |= refused
    equal = [errors for _, errors in runs if judged(errors, terms.tolerance) == "equal"]
    apart = [run for run in runs if judged(run[1], terms.tolerance) != "equal"]
    for inputs, errors in sorted(apart, key=lambda run: _badness(run[1]), reverse=True):
        outcome = _looked_at(converted, inputs, errors, terms)
        if isinstance(outcome, Conclusion):
            return _remarked(outcome, remarks)
        if isinstance(outcome, Reordered):
            equal.append(outcome.errors)
            outcome = {"order": str(outcome)}
        remarks |= {kind: text for kind, text in outcome.items() if kind not in remarks}
        if errors.poles:
            equal.append(without_poles(errors))
    if edge_cases and converted.precision == "float32":
        outcome = at_edge_cases(converted, terms, pole_is_known="pole" in remarks)
        if isinstance(outcome, Conclusion):
            return _remarked(outcome, remarks)
        remarks |= outcome
    return _remarked(Conclusion("equal", worst(equal) if equal else Errors()), remarks)


def _remarked(conclusion: Conclusion, remarks: Remarks) -> Conclusion:
    return replace(conclusion, remarks=tuple(remarks.values()))


def _runs(converted: Converted, terms: Terms, seeds: int) -> tuple[list[tuple[Inputs, Errors]], Remarks]:
    """The example and random inputs like it, with the errors of each, and what of them the model refuses."""
    runs, remarks = [], Remarks()
    for seed in range(seeds):
        inputs = varied(converted.inputs, seed)
        try:
            runs.append((inputs, measured(converted, inputs, terms.limit)))
        except (WrongShape, NotConverted, mil.ExecutionError, mil.ShapeMismatch):
            raise
        except Exception as error:  # a check of the model's own on its values
            if seed == 0:
                raise
            reason = f"{type(error).__name__}: {single_line(error, 160)}"
            remarks.setdefault("inputs", f"the model refuses random inputs like the example ({reason})")
    return runs, remarks


def _looked_at(
    converted: Converted, inputs: Inputs, errors: Errors, terms: Terms
) -> Conclusion | Remarks | Reordered:
    """What a run comes to that is not equal at first sight, or the remark that explains it."""
    if not errors.nonfinite and not errors.misplaced and is_noise(converted, inputs, terms):
        return {"noise": f"some outputs are rounding, of {errors.max_abs_error:.2g}, in PyTorch too"}
    divergence, problem = blamed(converted, inputs, terms)
    if isinstance(divergence, Reordered):
        return divergence
    if divergence is not None:
        if RANDOM.search(divergence.op):
            where = f" at {divergence.site}" if divergence.site is not None else ""
            why = f"{divergence.op}{where} draws random numbers, and Core ML draws others"
            return Conclusion("unsupported", errors, details=(why,))
        if divergence.undefined:
            return {"undefined": f"some random inputs were left out: {divergence.undefined}"}
        finite = judged(without_poles(errors), terms.tolerance) == "equal"
        if finite and POLES.search(divergence.op):
            return {"pole": pole_remark(divergence)}
    return Conclusion(judged(errors, terms.tolerance), errors, divergence, (problem,))


def _badness(errors: Errors) -> tuple[int, float]:
    return errors.nonfinite + errors.misplaced, errors.max_rel_error
