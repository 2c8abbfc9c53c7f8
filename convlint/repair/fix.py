"""``convlint.fix``: a model changed so that coremltools converts it, and the proof that it is the same.

Capture, search for changes until the trial converts, make a module of the result, compare it with the
original. What does not agree is taken back, and the search goes on without it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.capture.called import called, hushed
from convlint.cells import is_cell
from convlint.coreml.targets import normalise_target, order
from convlint.errors import ConvlintError, ModelError, UsageError
from convlint.model import TrialFailure
from convlint.model.fixed import Fixed
from convlint.untouched import leaves_no_trace
from convlint.wording import speaks_of_arguments

if TYPE_CHECKING:
    from convlint.capture.methods import Inputs, Source

TIMEOUT = 120.0
PURPOSES = ("ane", "image")
"""What a model that converts can be made ready for."""


@called
def fix(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    unsafe: bool = False,
    for_: str = "",
    dynamic_shapes: Any = None,
    timeout: float = TIMEOUT,
    as_trained: bool = False,
) -> Fixed:
    """Change a model so that Core ML converts it, without changing what it computes.

    ``model`` is an ``nn.Module``, which is left as it is, or a callable that builds one;
    ``example_inputs`` and ``kwargs`` are what its ``forward`` takes. ``unsafe`` allows rewrites that
    differ for some input (a zero of negative sign, say), branches on data decided by the example, and
    leaving out what has sizes that follow from data. ``for_="ane"`` lays the activations of linear
    layers, norms and attention out channels-first besides, as the Neural Engine prefers them;
    ``for_="image"`` folds a normalisation of an input into the convolution that reads it. Below iOS18, which
    brought states, buffers that ``forward`` changes become inputs and outputs of the fixed module.
    ``dynamic_shapes`` is that of ``torch.export.export``: the sizes that it names stay dynamic, and a
    rewrite that counts on one of them is refused. The fixed module shares the parameters of the model,
    unless that has a deployed form: that form is fixed, on a copy, and ``Fixed.form`` says so; ``as_trained``
    fixes the other. Raises :class:`~convlint.errors.ConvlintError` where the model cannot be built or run.
    """
    from convlint.capture.build import checked_module
    from convlint.capture.first_run import build_model
    from convlint.capture.given import given_source
    from convlint.usercode.spec import explaining

    check_purpose(for_)
    target = normalise_target(target)
    with given_source(model, example_inputs, kwargs, as_trained=as_trained) as (_, source):
        module = source.instance
        if module is None:
            with explaining("building the model"):
                module = build_model(source)
        module, inputs = checked_module(module), source.make_inputs()
        fixed = fix_module(
            module,
            inputs,
            target,
            unsafe=unsafe,
            for_=for_,
            dynamic_shapes=dynamic_shapes,
            timeout=timeout,
        )
        return _with_cells(fixed, module, inputs, timeout, unsafe=unsafe).in_form(source.form)


def _with_cells(fixed: Fixed, module: Any, inputs: Inputs, timeout: float, *, unsafe: bool) -> Fixed:
    """``fixed`` with the cells of a notebook that the changes can be made in, if there are any."""
    places = (site for change in fixed.applied for site in (change.site, change.caller))
    if not any(site is not None and is_cell(site.path) for site in places):
        return fixed
    from convlint.repair.source.cells import edited_cells
    from convlint.rules.rulebook import load_rulebook

    cells, notes = edited_cells(fixed, tuple(load_rulebook([])), module, inputs, timeout, unsafe=unsafe)
    return replace(fixed, cells=cells, notes=(*fixed.notes, *notes))


def check_purpose(for_: str) -> None:
    """Raise where ``for_`` names nothing that a model can be laid out for."""
    if for_ not in ("", *PURPOSES):
        raise UsageError(
            f'for_={for_!r} is none of {", ".join(PURPOSES)}; leave it out, or write for_="ane" or'
            ' for_="image".'
        )


def fix_module(
    module: Any,
    inputs: tuple[tuple[Any, ...], dict[str, Any]],
    target: str,
    *,
    unsafe: bool,
    timeout: float,
    for_: str = "",
    dynamic_shapes: Any = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Fixed:
    """:func:`fix` for a module and its inputs, telling ``progress`` what is done."""
    from convlint.capture.methods import Source
    from convlint.repair.fixing import Fixing

    seconds: dict[str, float] = {}
    start = time.perf_counter()
    progress("capturing")
    program, failures = _program(Source(None, module, lambda: inputs, dynamic_shapes=dynamic_shapes), timeout)
    seconds["capture"] = time.perf_counter() - start
    if program is None:
        fixed = Fixed(module, None, "no", remaining=failures, target=target, seconds=seconds)
    else:
        from convlint.repair.functional_states import functional_states
        from convlint.repair.search.parameter_writes import without_parameter_writes

        # Core ML has states from iOS18 on; before, they are inputs and outputs.
        functional = functional_states(program, module.get_buffer) if order(target) < order("iOS18") else None
        program = functional.program if functional is not None else program
        program, written = without_parameter_writes(program)
        fixing = Fixing(
            module, inputs, program, target, unsafe, timeout, progress, seconds, functional=functional
        )
        fixing.leave_out(written)
        fixed = fixing.run()
        if fixed.converts == "yes" or not _has_unknown_sizes(program):
            return fixing.made_ready(fixed, for_)
    if dynamic_shapes is not None:
        note = (
            "one recorded run would have the sizes of the example alone; leave dynamic_shapes out to have it"
        )
        return replace(fixed, notes=(*fixed.notes, note))
    fixed = _fix_recorded(fixed, inputs, unsafe, timeout, progress)
    if for_:
        note = "a recorded run is not " + (
            "laid out for the Neural Engine" if for_ == "ane" else "looked through for a normalisation"
        )
        fixed = replace(fixed, notes=(*fixed.notes, note))
    return fixed


def _fix_recorded(
    refused: Fixed,
    inputs: tuple[tuple[Any, ...], dict[str, Any]],
    unsafe: bool,
    timeout: float,
    progress: Callable[[str], None],
) -> Fixed:
    """Fix what one recorded run gives of a model; ``refused`` is what came of it without."""
    from convlint.capture.methods import Source, quiet_torch
    from convlint.repair.fixing import SEEDS, Fixing
    from convlint.repair.recorded.replay import replay_of

    seconds = dict(refused.seconds)
    start = time.perf_counter()
    progress("recording")
    failure = refused.remaining[0] if refused.program is None and refused.remaining else None
    with quiet_torch():
        replay = replay_of(refused.module, inputs, failure, timeout, SEEDS)
    seconds["record"] = time.perf_counter() - start
    if replay.module is None:
        return replace(refused, notes=(*refused.notes, replay.problem), seconds=seconds)
    if not replay.safe and not unsafe:
        return replace(refused, proposed=replay.steps, left_out=replay.left_out, seconds=seconds)
    program, failures = _program(Source(None, replay.module, lambda: inputs), timeout)
    if program is None:
        notes = tuple(f"exporting the recorded run: {one.error}" for one in failures)
        return replace(refused, notes=(*refused.notes, *notes), seconds=seconds)
    return Fixing(
        refused.module, inputs, program, refused.target, unsafe, timeout, progress, seconds, replay
    ).run()


def _has_unknown_sizes(program: Any) -> bool:
    from convlint.capture.cut import sizes_from_data

    return bool(sizes_from_data(program.graph, frozenset(program.graph.nodes)))


def _program(source: Source, timeout: float) -> tuple[Any, tuple[TrialFailure, ...]]:
    """The program of the model with its own weights; else why there is none."""
    from convlint.capture.failures import describe_failure
    from convlint.capture.methods import Attempts, quiet_torch
    from convlint.sandbox import time_limit

    attempts = Attempts(source, timeout, None)
    try:
        with quiet_torch(), time_limit(timeout):
            _, program = attempts.export_cpu()
    except ConvlintError:
        raise
    except Exception as error:  # user code and torch may raise anything
        failure = describe_failure("torch.export on the CPU", error)
        told = TrialFailure(
            "",
            failure.message,
            failure.error_type,
            failure.site,
            failure.caller,
            failure.module,
            stage="capture",
        )
        return None, (told,)
    return program, ()


@speaks_of_arguments
@leaves_no_trace
def convert(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    unsafe: bool = False,
    for_: str = "",
    dynamic_shapes: Any = None,
    as_trained: bool = False,
    **ct_options: Any,
) -> Any:
    """Capture, fix and convert: what ``coremltools.convert`` returns for the fixed program.

    ``ct_options`` go to ``coremltools.convert``. Raises :class:`~convlint.errors.ModelError`, naming what
    is left, where the fixed program does not convert. Warns where, with ``unsafe``, a part of the model is
    left out.
    """
    import coremltools

    fixed = fix(
        model,
        example_inputs,
        kwargs,
        target=target,
        unsafe=unsafe,
        for_=for_,
        dynamic_shapes=dynamic_shapes,
        as_trained=as_trained,
    )
    if fixed.converts == "no":
        left = "; ".join(f"{f.op or f.stage}: {f.error[:200]}" for f in fixed.remaining[:4])
        raise ModelError(f"the model does not convert, even after all changes that convlint knows: {left}.")
    if fixed.left_out is not None:
        warnings.warn(f"the Core ML model is a part of the model: {fixed.left_out}", stacklevel=4)
    options = {
        "minimum_deployment_target": getattr(coremltools.target, normalise_target(target)),
        **ct_options,
    }
    with hushed():
        return coremltools.convert(fixed.program, **options)
