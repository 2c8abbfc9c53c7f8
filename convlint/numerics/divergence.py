"""Where the two part: the call of the model whose conversion makes the program compute something else.

The program is looked at twice. First as the frontend left it: there every PyTorch call has the variable
that coremltools looks it up by, on both frontends, so that a wrong converter is found at its own call. Then,
where each converter is right, as the passes left it, by the names that survive them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.capture.methods import Inputs
from convlint.model.parity import Divergence, Errors, Example
from convlint.numerics.conversion import Converted, transcribe
from convlint.numerics.program_errors import WrongShape, judged
from convlint.numerics.reference import Call, calls_of_export, calls_of_torchscript
from convlint.numerics.reordering import Reordered, is_reordered
from convlint.numerics.running import Terms, against, expected, program_inputs
from convlint.numerics.script import script_of
from convlint.numerics.side_by_side import Partner, SideBySide, Wrong

_SUFFIX = re.compile(r"(_cast_fp16|_cast_fp32|_to_fp16|_to_fp32|_promoted|_cast_uint16|_cast_int16)+$")
"""What passes append to a name when they change the dtype of a value and nothing else."""

_NUMBERED = re.compile(r"^(?:var|op)_(\d+)$")
"""What coremltools makes of names that are numbers, as those of traced graphs are."""

_SUSPECTS = 12
"""So many calls that are wrong by themselves are each tried as the only one to blame."""


def first_divergence(
    converted: Converted, inputs: Inputs, terms: Terms, *, ties: bool = False
) -> Divergence | Reordered | None:
    """None where no call by itself leaves the tolerance.

    With ``ties`` equal values are to be expected: a call that orders them otherwise ends the search.
    """
    named = program_inputs(converted, inputs)
    if converted.frontend == "export":
        calls = calls_of_export(converted.model, named, converted.states)
    else:
        calls = calls_of_torchscript(converted.model, named)
    blamed = _wrong_call(converted, inputs, named, calls, terms, ties)
    if isinstance(blamed, Reordered):
        return blamed
    if not ties:
        blamed = _behind_a_view(calls, blamed) or blamed
    if blamed is None:
        return None
    call, wrong = blamed
    return Divergence(
        mil_op=wrong.mil_op,
        mil_name=wrong.mil_name,
        op=call.op,
        module=call.module,
        site=call.place.site,
        caller=call.place.caller,
        errors=wrong.errors,
        script=script_of(call, converted, terms),
        example=example_of(call, wrong),
        undefined=undefined(call),
    )


def _wrong_call(
    converted: Converted,
    inputs: Inputs,
    named: Mapping[str, Any],
    calls: list[Call],
    terms: Terms,
    ties: bool,
) -> tuple[Call, Wrong] | Reordered | None:
    """The call that the frontend converted wrongly, else the first whose value the passes made wrong."""
    names: dict[str, list[Partner]] = {}
    transcript = transcribe(converted)
    if transcript is not None:
        program, pairs = transcript
        partners = _partners(pairs)
        for variable, each in partners.items():
            names.setdefault(variable.name, []).extend(partner for partner in each if partner[1] is None)
        look = SideBySide(calls, terms.tolerance, program, named, lambda variable: partners.get(variable, ()))
        number = _culprit(look, partners, converted, expected(converted, inputs), terms, ties)
        if isinstance(number, Reordered):
            return number
        if number is not None:
            return look.judged(number, ties)
    look = SideBySide(
        calls,
        terms.tolerance,
        converted.program,
        named,
        lambda variable: _partners_by_name(variable.name, names),
        terms.limit,
    )
    look.run()
    return look.first(ties)


def _partners_by_name(name: str, names: Mapping[str, list[Partner]]) -> list[Partner]:
    """The partners of a variable after the passes, which may have appended to its name."""
    name = _SUFFIX.sub("", name)
    return names.get(name) or names.get(_NUMBERED.sub(r"\1", name), [(name, None)])


_SEARCH = re.compile(r"aten\.(searchsorted|bucketize)\b")


def undefined(call: Call) -> str:
    """Why PyTorch says nothing of what this call gives for its arguments; empty where it does."""
    import torch

    if not _SEARCH.match(call.op):
        return ""
    # torch.searchsorted(sorted_sequence, input), torch.bucketize(input, boundaries)
    place = 1 if "bucketize" in call.op else 0
    edges = call.args[place] if len(call.args) > place else None
    if isinstance(edges, torch.Tensor) and bool((edges.diff(dim=-1) < 0).any()):
        return f"{call.op} is undefined where its boundaries are not sorted"
    return ""


def example_of(call: Call, wrong: Wrong) -> Example | None:
    """The place of the largest error, with the numbers that the call was given there."""
    import torch

    if wrong.spot is None:
        return None
    shape, index = wrong.spot.shape, wrong.spot.index
    arguments = []
    for value in call.args:
        if isinstance(value, torch.Tensor) and value.dtype is not torch.bool and not value.is_complex():
            try:
                arguments.append(float(value.detach().expand(shape)[index]))
            except RuntimeError:
                return Example(wrong.spot.pytorch, wrong.spot.program)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            arguments.append(float(value))
        elif not isinstance(value, torch.Tensor) and value is not None:
            arguments = []
            break
    pointwise = torch.Tag.pointwise in getattr(call.target, "tags", ())
    return Example(wrong.spot.pytorch, wrong.spot.program, tuple(arguments) if pointwise else ())


_ASSIGNED = re.compile(r"aten\.(copy|fill)_?\b")
"""What coremltools follows into the memory of a tensor that was sliced or selected.

https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/torchir_passes.py
(``generate_tensor_assignment_ops``)
"""


def _behind_a_view(calls: list[Call], blamed: tuple[Call, Wrong] | None) -> tuple[Call, Wrong] | None:
    """The call that writes to memory which another value shares, where that explains the ``blamed`` one.

    A traced graph keeps such writes, and coremltools gives every call a variable of its own: the call comes
    out right, and what reads the same memory by another name is left as it was.
    """
    if blamed is None:
        writing = [call for call in calls if call.shared]
        unseen = [call for call in writing if not _ASSIGNED.match(call.op)]
        return ((unseen or writing)[0], Wrong("", "", Errors())) if writing else None
    call, wrong = blamed
    writer = calls[call.writer] if call.writer is not None else None
    if writer is None or _ASSIGNED.match(writer.op):
        return None
    return writer, wrong


def _culprit(
    look: SideBySide,
    variables: Collection[Any],
    converted: Converted,
    right: list[Any],
    terms: Terms,
    ties: bool,
) -> int | Reordered | None:
    """The number of the call that is wrong by itself and whose correction makes the outputs ``right``.

    Calls that only put equal values into another order are set right with it, unless ``ties`` are expected.
    """
    look.run(constants=variables)
    if not look.wrong:
        return None
    suspects = sorted(look.wrong)
    excused = set() if ties else _reordered(look)
    if len(suspects) > 1:
        # With every other value set right, only what is wrong by itself stays wrong.
        look.run(constants=variables, corrected=range(len(look.calls)))
        suspects = sorted(look.wrong) or suspects
        excused |= set() if ties else _reordered(look)
    if excused:
        outputs = look.run(corrected=excused, quiet=True)
        errors = _errors(converted, right, outputs) if outputs is not None else None
        if errors is not None and judged(errors, terms.tolerance) == "equal":
            return Reordered(tuple(look.calls[number] for number in sorted(excused)), errors)
        suspects = [suspect for suspect in suspects if suspect not in excused] or suspects
    for suspect in suspects[:_SUSPECTS] if len(suspects) > 1 else ():
        wrong = look.wrong.get(suspect)
        if wrong is not None and (wrong.folded or wrong.errors == Errors() or not wrong.fits):
            return suspect  # folded, or of another shape or dtype: nothing can be put in its place
        outputs = look.run(corrected=(suspect, *excused), quiet=True)
        if outputs is not None and _are_right(converted, right, outputs, terms):
            return suspect
    return suspects[0]


def _reordered(look: SideBySide) -> set[int]:
    """The calls that put equal values into another order, and do nothing else."""
    return {
        number
        for number, indices in look.orders.items()
        if number in look.wrong and is_reordered(look.calls[number], indices, look.tolerance)
    }


def _are_right(converted: Converted, right: list[Any], outputs: Mapping[str, Any], terms: Terms) -> bool:
    errors = _errors(converted, right, outputs)
    return errors is not None and judged(errors, terms.tolerance) == "equal"


def _errors(converted: Converted, right: list[Any], outputs: Mapping[str, Any]) -> Errors | None:
    """The errors of the outputs; None where one has another shape."""
    try:
        return against(converted, right, outputs)
    except WrongShape:
        return None


def _partners(pairs: Iterable[tuple[str, Any]]) -> dict[Any, list[Partner]]:
    """What each variable stands for: the name of a PyTorch value, and the place in it where it is a list."""
    partners: dict[Any, list[Partner]] = {}
    for name, value in pairs:
        items = list(enumerate(value)) if isinstance(value, (list, tuple)) else [(None, value)]
        for index, item in items:
            if adapter.is_variable(item):
                partners.setdefault(item, []).append((name, index))
    return partners
