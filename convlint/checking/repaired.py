"""The numbers of the program that would ship where the model is refused as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from convlint.checking.options import Options
from convlint.model.parity import Parity, Precision

if TYPE_CHECKING:
    from convlint.capture.methods import Source


def parity_after_changes(
    source: Source, options: Options, precision: Precision, progress: Callable[[str], None]
) -> Parity | str:
    """The parity of the changed program with the model as it was written, or why there is none.

    The search runs again, on real weights: it takes back what computes something else. Raises
    :class:`~convlint.errors.ConvlintError` where the model cannot be built with data.
    """
    from convlint.capture.methods import Attempts
    from convlint.numerics.parity import compare_exported
    from convlint.repair.fix import fix_module

    module, inputs = Attempts(source, options.timeout, None).real()
    fixed = fix_module(
        module, inputs, options.target, unsafe=False, timeout=options.timeout, progress=progress
    )
    if fixed.converts != "yes" or fixed.left_out is not None:
        back = f": taken back are {'; '.join(fixed.rolled_back)}" if fixed.rolled_back else ""
        return f"with weights, the changes do not make the model convert{back}"
    if fixed.wrong:
        first = fixed.wrong[0]
        return f"{first.rule.code} says that the changed program computes something else: {first.message}"
    progress("comparing with PyTorch")
    parity = compare_exported(
        fixed.module, fixed.program, inputs, options.target, precision=precision, edge_cases=True
    )
    error = (
        "" if fixed.max_rel_error is None else f", which differs from the model by {fixed.max_rel_error:.1g}"
    )
    remark = f"compared with the changed model{error}"
    return replace(parity, remarks=(remark, *parity.remarks))
