"""Parity where sizes may vary: the one program with flexible sizes, run at the ends of what it allows.

It is converted once more, with ``RangeDim`` or ``EnumeratedShapes``, since what is converted for the default
size alone may have that size written into it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from convlint import mil
from convlint.capture.methods import Source
from convlint.errors import ConvlintError
from convlint.interface.inputs import InputSpec
from convlint.interface.sizes import Sizes, write_sizes
from convlint.model import Frontend
from convlint.model.parity import Parity, Precision, SizeRun
from convlint.numerics.conversion import Converted, NotConverted, convert_flexible
from convlint.numerics.parity import compare
from convlint.numerics.program_errors import WrongShape, judged
from convlint.numerics.running import measured
from convlint.numerics.tolerance import PARITY
from convlint.text import single_line

MOST_SIZES = 4
"""How many sizes are run: each costs a run of the model and one of the program, the larger the slower."""


def compare_sizes(
    source: Source, target: str, precision: Precision, frontend: Frontend, timeout: float | None
) -> Parity:
    """:func:`~convlint.numerics.parity.compare`, and with flexible sizes the same at some of them."""
    parity = compare(source, target, precision, frontend=frontend, timeout=timeout)
    if parity.status in ("refused", "unsupported") or not any(spec.flexible for spec in source.specs):
        return parity
    start = time.perf_counter()
    try:
        converted = convert_flexible(source, target, precision, frontend, timeout)
    except (NotConverted, ConvlintError) as error:
        detail = "; ".join(filter(None, [parity.detail, f"not compared with flexible sizes: {error}"]))
        return replace(parity, detail=detail)
    allowed = PARITY[precision]
    runs = tuple(_run(source, converted, specs, allowed) for specs in sizes_to_run(source.specs))
    bad = next((run for run in runs if run.status in ("differs", "overflows")), None)
    status = parity.status if bad is None or parity.status != "equal" else bad.status
    seconds = parity.seconds + time.perf_counter() - start
    return replace(parity, status=status, sizes=runs, seconds=seconds)


def sizes_to_run(specs: Sequence[InputSpec]) -> tuple[tuple[InputSpec, ...], ...]:
    """All lower ends, all upper ends and one between; of enumerations the first, the last and others."""
    count = max([len(spec.shapes) for spec in specs] + [3 if any(s.ranges) else 0 for s in specs])
    runs = min(count, MOST_SIZES)
    steps = [index * (count - 1) // (runs - 1) for index in range(runs)]
    sets = (tuple(_at(spec, step, count) for spec in specs) for step in steps)
    return tuple(dict.fromkeys(sets))


def _at(spec: InputSpec, step: int, count: int) -> InputSpec:
    if spec.shapes:
        return replace(spec, shape=spec.shapes[step * (len(spec.shapes) - 1) // (count - 1)])
    pairs = zip(spec.shape, spec.ranges or (None,) * len(spec.shape), strict=True)
    shape = tuple(
        each.low + (each.high - each.low) * step // (count - 1) if each else size for size, each in pairs
    )
    return replace(spec, shape=shape)


def _run(source: Source, converted: Converted, specs: Sequence[InputSpec], allowed: float) -> SizeRun:
    sizes = " and ".join(write_sizes(Sizes(spec.shape)) for spec in specs)
    try:
        errors = measured(converted, source.inputs_of(specs), None)
    except (WrongShape, mil.ShapeMismatch) as error:
        return SizeRun(sizes, "differs", detail=str(error))
    except (NotConverted, mil.ExecutionError) as error:
        return SizeRun(sizes, "unsupported", detail=str(error))
    except Exception as error:  # the model itself may not run at a size that was asked for
        text = single_line(error, 200)
        return SizeRun(sizes, "unsupported", detail=f"{type(error).__name__}: {text}")
    return SizeRun(sizes, judged(errors, allowed), errors)
