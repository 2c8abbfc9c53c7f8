"""``convlint.fix``: a model changed so that coremltools converts it, and the proof that it is the same.

Capture, search for changes until the trial converts, make a module of the result, compare it with the
original. What does not agree is taken back, and the search goes on without it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from convlint.errors import ConvlintError, ModelError, UsageError
from convlint.model import Trial, TrialFailure
from convlint.repair.applied import Applied, LeftOut, add_call
from convlint.targets import normalise_target

if TYPE_CHECKING:
    from convlint.capture.methods import Source
    from convlint.repair.draft import Change
    from convlint.repair.plan import Outcome, TryOut
    from convlint.repair.replay import Replay

SEEDS = 3
"""Sets of inputs that a fixed module is compared on."""
TIMEOUT = 120.0
PURPOSES = ("ane",)
"""What a model that converts can be laid out for."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What :func:`fix` made. ``converts`` is what coremltools said of ``program`` in a trial.

    ``module`` has the original's parameters under the same names; it is the original where nothing
    had to change, or nothing could be made. ``max_abs_error`` is None where nothing was compared.

    Where ``left_out`` is not None, module and program are the part of the model before an op whose sizes
    follow from data, and ``converts`` speaks of that part: it gives ``left_out.outputs``, and what
    ``left_out.calls`` names is left to the caller. ``proposed`` names what was not done for want of
    ``unsafe=True``; ``left_out`` is then what would be left out.
    """

    module: Any
    program: Any
    converts: Literal["yes", "no"]
    applied: tuple[Applied, ...] = ()
    remaining: tuple[TrialFailure, ...] = ()
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    checked: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    converted_before: bool = False
    target: str = ""
    trial: Trial | None = None
    notes: tuple[str, ...] = ()
    proposed: tuple[Applied, ...] = ()
    left_out: LeftOut | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        raise TypeError('a convlint Fixed has no truth value; compare fixed.converts with "yes" or "no"')


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
) -> Fixed:
    """Change a model so that Core ML converts it, without changing what it computes.

    ``model`` is an ``nn.Module``, which is left as it is, or a callable that builds one;
    ``example_inputs`` and ``kwargs`` are what its ``forward`` takes. ``unsafe`` allows rewrites that
    differ for some input (a zero of negative sign, say), branches on data decided by the example, and
    leaving out what has sizes that follow from data. ``for_="ane"`` lays the activations of linear
    layers, norms and attention out channels-first besides, as the Neural Engine prefers them.
    ``dynamic_shapes`` is that of ``torch.export.export``: the sizes that it names stay dynamic, and a
    rewrite that counts on one of them is refused. The fixed
    module shares the parameters of the model. Raises :class:`~convlint.errors.ConvlintError` where the
    model cannot be built or run.
    """
    import torch

    from convlint.capture.build import build_on_cpu, checked_module

    check_purpose(for_)
    args = tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    if not isinstance(model, torch.nn.Module):
        if not callable(model):
            raise ModelError(
                f"the model is a {type(model).__name__}; give a torch.nn.Module or a function that builds"
                " one."
            )
        model = build_on_cpu(model)
    module = checked_module(model)
    return fix_module(
        module,
        (args, dict(kwargs or {})),
        normalise_target(target),
        unsafe=unsafe,
        for_=for_,
        dynamic_shapes=dynamic_shapes,
        timeout=timeout,
    )


def check_purpose(for_: str) -> None:
    """Raise where ``for_`` names nothing that a model can be laid out for."""
    if for_ not in ("", *PURPOSES):
        raise UsageError(
            f'for_={for_!r} is none of {", ".join(PURPOSES)}; leave it out, or write for_="ane".'
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

    seconds: dict[str, float] = {}
    start = time.perf_counter()
    progress("capturing")
    program, failures = _program(Source(None, module, lambda: inputs, dynamic_shapes=dynamic_shapes), timeout)
    seconds["capture"] = time.perf_counter() - start
    if program is None:
        fixed = Fixed(module, None, "no", remaining=failures, target=target, seconds=seconds)
    else:
        fixing = _Fixing(module, inputs, program, target, unsafe, timeout, progress, seconds)
        fixed = fixing.run()
        if fixed.converts == "yes" or not _has_unknown_sizes(program):
            return fixing.laid_out(fixed) if for_ == "ane" else fixed
    if dynamic_shapes is not None:
        note = (
            "one recorded run would have the sizes of the example alone; leave dynamic_shapes out to have it"
        )
        return replace(fixed, notes=(*fixed.notes, note))
    fixed = _fix_recorded(fixed, inputs, unsafe, timeout, progress)
    if for_ == "ane":
        note = "a recorded run is not laid out for the Neural Engine"
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
    from convlint.repair.replay import replay_of

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
    return _Fixing(
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


class _Fixing:
    def __init__(
        self,
        module: Any,
        inputs: tuple[tuple[Any, ...], dict[str, Any]],
        program: Any,
        target: str,
        unsafe: bool,
        timeout: float,
        progress: Callable[[str], None],
        seconds: dict[str, float],
        replay: Replay | None = None,
    ) -> None:
        from convlint.repair.known_sizes import with_known_sizes

        self.module = module
        self.replay = replay
        self.inputs = inputs
        self.program, self.known = with_known_sizes(program)
        self.captured = program
        self.target = target
        self.unsafe = unsafe
        self.timeout = timeout
        self.progress = progress
        self.seconds = seconds
        self.notes: list[str] = []
        self.rolled_back: list[str] = []
        self.others: list[Any] = []

    def run(self) -> Fixed:
        from convlint.capture.methods import quiet_torch
        from convlint.repair.comparison import Comparison, compare
        from convlint.repair.module import FixedModule
        from convlint.repair.sizes import other_sizes

        self.others = other_sizes(self.program, self.inputs)
        banned: frozenset[str] = frozenset()
        reference = self.module if self.replay is None else self.replay.reference
        while True:
            start = time.perf_counter()
            with quiet_torch():
                outcome = self.search(banned)
            self.seconds["search"] = self.seconds.get("search", 0.0) + time.perf_counter() - start
            converts: Literal["yes", "no"] = "yes" if outcome.trial.status == "converted" else "no"
            if not outcome.changes and not self.known and self.replay is None:
                return self.fixed(self.module, outcome, Comparison(), converts)
            made = FixedModule(self.module, outcome.program)
            start = time.perf_counter()
            self.progress("comparing")
            with quiet_torch():
                compared = compare(reference, made, self.inputs, SEEDS, gradients=True, others=self.others)
            self.seconds["compare"] = self.seconds.get("compare", 0.0) + time.perf_counter() - start
            if not compared.problem:
                return self.fixed(made, outcome, compared, converts)
            guilty = self.guilty(outcome) - banned
            if not guilty:
                self.notes.append(f"the changes were taken back: {compared.problem}")
                return self.fixed(self.module, self.search(frozenset({"*"})), Comparison(), "no")
            self.rolled_back.append(f"{', '.join(sorted(guilty))}: {compared.problem}")
            banned |= guilty

    def laid_out(self, fixed: Fixed) -> Fixed:
        """``fixed`` with its stream kept channels-first, where that proves itself; else as it was."""
        from convlint.capture.methods import quiet_torch
        from convlint.repair.layout_proof import prove_layout

        if fixed.converts == "no":
            note = "the layout for the Neural Engine waits until the model converts"
            return replace(fixed, notes=(*fixed.notes, note))
        start = time.perf_counter()
        self.progress("laying out")
        with quiet_torch():
            made = prove_layout(self.module, self.inputs, fixed.program, self.try_out(), self.others)
        self.seconds["layout"] = time.perf_counter() - start
        rolled_back = (*fixed.rolled_back, *made.rolled_back)
        if made.module is None:
            return replace(fixed, notes=(*fixed.notes, made.problem), rolled_back=rolled_back)
        return replace(
            fixed,
            module=made.module,
            program=made.program,
            applied=fixed.applied + _applied(fixed.program, made.changes),
            max_abs_error=made.compared.max_abs_error,
            max_rel_error=made.compared.max_rel_error,
            checked=made.compared.checked,
            rolled_back=rolled_back,
            trial=made.trial,
        )

    def search(self, banned: frozenset[str]) -> Outcome:
        from convlint.repair.plan import Search

        self.progress("converting")
        return Search(self.program, self.try_out(), unsafe=self.unsafe, banned=banned).run()

    def try_out(self) -> TryOut:
        from convlint.repair.plan import convert_in_child

        return convert_in_child(self.target, self.timeout)

    def guilty(self, outcome: Outcome) -> frozenset[str]:
        """The calls whose change makes the first difference, by running both programs side by side."""
        from convlint.repair.divergence import first_changes

        return first_changes(self.module, self.program, outcome.program, self.inputs)

    def fixed(self, module: Any, outcome: Outcome, compared: Any, converts: Literal["yes", "no"]) -> Fixed:
        changed = module is not self.module
        applied = _applied(self.captured, self.known) + _applied(self.program, outcome.changes)
        left_out = None
        if self.replay is not None:
            applied = self.replay.steps + applied
            left_out = self.replay.left_out
        return Fixed(
            module=module,
            program=outcome.program,
            converts=converts,
            applied=applied if changed else (),
            left_out=left_out.named_in(outcome.program) if changed and left_out is not None else None,
            remaining=outcome.remaining,
            max_abs_error=compared.max_abs_error if compared.checked else None,
            max_rel_error=compared.max_rel_error if compared.checked else None,
            checked=compared.checked,
            rolled_back=tuple(self.rolled_back),
            converted_before=not changed and converts == "yes",
            target=self.target,
            trial=outcome.trial,
            notes=(*self.notes, *outcome.notes),
            seconds=self.seconds,
        )


def _applied(program: Any, changes: Sequence[Change]) -> tuple[Applied, ...]:
    """The changes to calls of the user's own program, those of one line and kind counted together."""
    from convlint.repair.channels_first import CARRIED

    nodes = {node.name: node for node in program.graph.nodes}
    found: dict[tuple[Any, ...], Applied] = {}
    carried = 0
    for change in changes:
        node = nodes.get(change.node)
        if node is None or node.op != "call_function":
            continue  # a change inside a change
        if change.title == CARRIED:
            carried += 1  # it follows its neighbours: one word for all of them
        else:
            add_call(found, node, change.kind, change.title, change.safety, change.rule)
    if carried:
        found[CARRIED,] = Applied("what lies between", "layout", CARRIED, calls=carried)
    return tuple(found.values())


def convert(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    unsafe: bool = False,
    for_: str = "",
    dynamic_shapes: Any = None,
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
    )
    if fixed.converts == "no":
        left = "; ".join(f"{f.op or f.stage}: {f.error[:200]}" for f in fixed.remaining[:4])
        raise ModelError(f"the model does not convert, even after all changes that convlint knows: {left}.")
    if fixed.left_out is not None:
        warnings.warn(f"the Core ML model is a part of the model: {fixed.left_out}", stacklevel=2)
    options = {
        "minimum_deployment_target": getattr(coremltools.target, normalise_target(target)),
        **ct_options,
    }
    return coremltools.convert(fixed.program, **options)
