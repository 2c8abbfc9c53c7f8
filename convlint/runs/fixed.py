"""A fix of one model of a job: the module with its weights, and what was made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from convlint.settings.jobs import Job

if TYPE_CHECKING:
    from convlint.capture.methods import Inputs, Source
    from convlint.model.fixed import Fixed

Purpose = Literal["", "ane", "image"]


def fixed_model(
    source: Source, job: Job, unsafe: bool, purpose: Purpose, progress: Callable[[str], None]
) -> tuple[Any, Inputs, Fixed]:
    """The fixed model, with the module with real weights and the inputs that it came from."""
    from convlint.capture.build import build_on_cpu
    from convlint.capture.flexible import dynamic_shapes
    from convlint.capture.methods import Source
    from convlint.checking.offers.image_fold import fold_notes
    from convlint.repair.fix import fix_module

    progress("building")
    assert source.build is not None
    built, inputs = build_on_cpu(source.build), source.make_inputs()
    module = source.to_judge(built)
    fixed = fix_module(
        module,
        inputs,
        job.options.target,
        unsafe=unsafe,
        for_=purpose,
        dynamic_shapes=dynamic_shapes(module, *inputs, job.inputs),
        timeout=job.options.timeout,
        progress=progress,
    )
    given = Source(None, module, lambda: inputs, job.inputs)
    folds = fold_notes(given, fixed.program, job.options.timeout)
    # What is edited is the source of the model as it is built, with the weights that go with it.
    return built, inputs, replace(fixed, notes=(*fixed.notes, *folds)).in_form(source.form)


def made_with() -> str:
    """The releases that a helper file was made with."""
    from convlint import __version__
    from convlint.checking.doctor import installed_version

    return f"convlint {__version__}, coremltools {installed_version('coremltools')}"
