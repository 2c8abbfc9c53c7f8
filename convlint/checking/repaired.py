"""Parity of the program that a refused model has after changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from convlint.errors import ConvlintError

if TYPE_CHECKING:
    from convlint.capture.methods import Source
    from convlint.checking.options import Options
    from convlint.model.parity import Parity
    from convlint.model.repair import Repair

SEEDS = 3


def parity_of_repaired(
    source: Source, options: Options, repair: Repair, progress: Callable[[str], None]
) -> tuple[Parity | None, str]:
    """What the program after the changes computes, beside the model; else None, and why.

    The changes that a check proposes were found without weights. They are made here as ``convlint fix``
    makes them, with weights, so that one that changes the numbers is taken back.
    """
    from convlint.capture.build import checked_module
    from convlint.capture.first_run import build_model
    from convlint.capture.methods import quiet_torch
    from convlint.capture.weightless import on_meta
    from convlint.numerics.parity import compare_exported
    from convlint.repair.fix import fix_module

    if source.instance is not None and on_meta(source.instance):
        return None, "the model is on the meta device, and numbers need weights"
    try:
        module = checked_module(source.instance or build_model(source))
        fixed = fix_module(
            module,
            source.make_inputs(),
            options.target,
            unsafe=False,
            timeout=options.timeout,
            progress=progress,
        )
    except ConvlintError as error:
        return None, str(error).rstrip(".")
    if fixed.converts != "yes":
        why = "; ".join(fixed.rolled_back) or "some calls are left"
        return None, f"with weights the changes do not hold ({why})"
    progress("comparing with PyTorch")
    with quiet_torch():
        parity = compare_exported(
            fixed.module,
            fixed.program,
            fixed.program.example_inputs,  # with the states that became inputs
            options.target,
            precision=options.parity or "float32",
            seeds=SEEDS,
            edge_cases=True,
        )
    return replace(parity, remarks=(f"compared after {repair.extent}", *parity.remarks)), ""
