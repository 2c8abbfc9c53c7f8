"""Flexible sizes in a capture: what torch.export is asked for, and what its trace took for granted.

torch.export traces with one example and notes, for each size that it was told may vary, the
conditions under which another size would take the same way. They are evaluated here for the sizes
that were asked for. Where one does not hold, the forward pass is run without data at such a size:
it raises, or it takes another path, which the converted model will not have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.sites import NOWHERE, Place, place_of_exception, place_of_frames
from convlint.inputs import InputSpec
from convlint.model import CaptureFailure

if TYPE_CHECKING:
    import torch

METHOD = "torch.export with flexible sizes"
SPECIALISED, TIED, BREAKING, OTHER_PATH = (
    "specialised-dimension",
    "tied-dimensions",
    "breaking-size",
    "other-path",
)
FLEXIBLE_KINDS = (SPECIALISED, TIED, BREAKING, OTHER_PATH)

_MOST_SIZES = 600
_MOST_SECONDS = 10.0
"""How long a search among sizes may take, with one forward pass without data for each."""

Shapes = tuple[tuple[int, ...], ...]
Forward = Callable[[Sequence[InputSpec]], None]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of one input that may vary. ``input`` counts the flattened inputs of the trace."""

    input: int
    axis: int
    name: str
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"axis {self.axis} of {self.name}"

    @property
    def asked(self) -> str:
        return f"{self.sizes[0]}..{self.sizes[-1]}"


def examples(specs: Sequence[InputSpec]) -> Iterator[tuple[InputSpec, ...]]:
    """The specs as they are, then with other sizes that they allow, the likely ones first."""
    yield tuple(specs)
    for index in range(1, max(len(spec.shapes) for spec in specs)):
        yield tuple(replace(s, shape=s.shapes[index % len(s.shapes)]) if s.shapes else s for s in specs)
    bounds = [each for spec in specs for each in spec.ranges if each]
    if bounds:
        sizes = range(min(each.low for each in bounds), max(each.high for each in bounds) + 1)
        likely = [sizes[-1], sizes[len(sizes) // 2], *(size for size in sizes if size % 32 == 0)]
        powers = [1 << bit for bit in range(32) if 1 << bit in sizes]
        for size in dict.fromkeys([*likely, *powers, *sizes]):
            yield tuple(_at(spec, size) for spec in specs)


def example_that_runs(specs: Sequence[InputSpec], forward: Forward) -> tuple[InputSpec, ...]:
    """The first of the :func:`examples` whose forward pass does not raise; the first where all do."""
    deadline = time.monotonic() + _MOST_SECONDS
    for candidate in examples(specs):
        try:
            forward(candidate)
        except Exception:  # the user's code and torch raise anything
            if time.monotonic() > deadline:
                break
        else:
            return candidate
    return tuple(specs)


def dynamic_shapes(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], specs: Sequence[InputSpec]
) -> Any:
    """What ``torch.export.export`` takes as ``dynamic_shapes``; None where all sizes are fixed."""
    import torch

    if not any(spec.flexible for spec in specs):
        return None
    auto: Any = torch.export.Dim.AUTO
    asked = torch.export.ShapesCollection()
    for spec, tensor in zip(specs, _tensors(specs, args, kwargs), strict=True):
        axes = {axis: auto(min=sizes[0], max=sizes[-1]) for axis, sizes in _axes(spec).items()}
        if axes:
            asked[tensor] = axes
    return asked.dynamic_shapes(module, args, kwargs or None)


def judge(
    program: Any,
    guards: Sequence[torch_adapter.SizeGuard],
    specs: Sequence[InputSpec],
    forward: Forward | None,
) -> list[CaptureFailure]:
    """What keeps the sizes that were asked for from working, each with the line that is to blame."""
    return _Judge(program, guards, specs, forward).run()


class _Judge:
    def __init__(
        self,
        program: Any,
        guards: Sequence[torch_adapter.SizeGuard],
        specs: Sequence[InputSpec],
        forward: Forward | None,
    ) -> None:
        # Positional inputs come first in a trace, wherever they stand among the specs.
        self.specs = [*(s for s in specs if s.name is None), *(s for s in specs if s.name is not None)]
        self.forward = forward
        self.final = _final_sizes(program)
        names = list(program.graph_signature.user_inputs)
        self.axes = [
            Axis(index, axis, spec.name or str(names[index] if index < len(names) else index), sizes)
            for index, spec in enumerate(self.specs)
            for axis, sizes in _axes(spec).items()
        ]
        self.symbols: dict[Axis, Any] = {}
        self.guards: list[torch_adapter.SizeGuard] = []
        if guards:
            traced = torch_adapter.traced_symbols(guards[0].environment)
            self.symbols = {a: traced[a.input][a.axis] for a in self.axes if a.input < len(traced)}
            known = {symbol for symbol in self.symbols.values() if not isinstance(symbol, int)}
            first: dict[str, torch_adapter.SizeGuard] = {}
            for guard in guards:
                if guard.condition.free_symbols and guard.condition.free_symbols <= known:
                    first.setdefault(str(guard.condition), guard)
            self.guards = list(first.values())
        self.deadline = time.monotonic() + _MOST_SECONDS

    def run(self) -> list[CaptureFailure]:
        fixed = [axis for axis in self.axes if isinstance(self.end(axis), int)]
        free = [axis for axis in self.axes if axis not in fixed]
        found = [self.fixed(axis) for axis in fixed]
        groups: dict[str, list[Axis]] = {}
        for axis in free:
            groups.setdefault(str(self.end(axis)), []).append(axis)
        found += [
            tied for group in groups.values() if len(group) > 1 and (tied := self.tied(group)) is not None
        ]
        found += self.limits(list(groups.values()))
        unique: dict[Any, CaptureFailure] = {}
        for failure in found:
            unique.setdefault((failure.kind, failure.site or failure.message), failure)
        return list(unique.values())

    def end(self, axis: Axis) -> Any:
        """What became of an axis in the exported program: a number, or an expression."""
        sizes = self.final[axis.input] if axis.input < len(self.final) else ()
        return sizes[axis.axis] if axis.axis < len(sizes) else self.example(axis)

    def example(self, axis: Axis) -> int:
        return self.specs[axis.input].shape[axis.axis]

    def fixed(self, axis: Axis) -> CaptureFailure:
        place = self.blame([axis], ({axis: size} for size in axis.sizes))
        return _failure(
            SPECIALISED, f"{axis} is fixed at {self.end(axis)} ({axis.asked} was asked for)", place
        )

    def tied(self, group: list[Axis]) -> CaptureFailure | None:
        # Lists of shapes go together, those of several inputs too: the first with the first.
        lists = [[shape[axis.axis] for shape in self.specs[axis.input].shapes] for axis in group]
        if lists[0] and all(sizes == lists[0] for sizes in lists):
            return None
        first = group[0]
        place = self.blame(group, ({first: size} for size in first.sizes))
        return _failure(TIED, f"{_names(group)} must be equal", place)

    def blame(self, group: list[Axis], changes: Iterable[dict[Axis, int]]) -> Place:
        """The line of the first condition that one of ``changes`` to the example breaks."""
        symbols = {self.symbols.get(axis) for axis in group}
        for change in changes:
            for guard in self.guards:
                if guard.condition.free_symbols & symbols and not self.holds(guard, change):
                    return place_of_frames(guard.stack)
        return NOWHERE

    def holds(self, guard: torch_adapter.SizeGuard, change: dict[Axis, int]) -> bool:
        values = {
            symbol: change.get(axis, self.example(axis))
            for axis, symbol in self.symbols.items()
            if not isinstance(symbol, int)
        }
        try:
            outcome = guard.condition.xreplace({symbol: _integer(size) for symbol, size in values.items()})
            return bool(outcome)
        except (TypeError, ValueError, ZeroDivisionError):  # what cannot be evaluated accuses nobody
            return True

    def limits(self, groups: list[list[Axis]]) -> list[CaptureFailure]:
        """Conditions that some of the sizes asked for break, and ends of ranges that do not run."""
        found: list[CaptureFailure] = []
        for group in groups:
            for guard, bad in self.broken(group):
                place = place_of_frames(guard.stack)
                # The last of them: the first may be too small for an op, which is another matter.
                error = self.error(dict.fromkeys(group, bad[-1]))
                which = f"{_words(bad, group[0].sizes)} of {_names(group)}"
                if error is None:
                    found.append(_failure(OTHER_PATH, which, place))
                else:
                    found.append(_failure(BREAKING, f"{which}: {_told(error)}", place_of_exception(error)))
            for sizes in (group[0].sizes, group[0].sizes[::-1]):
                error = self.error(dict.fromkeys(group, sizes[0]))
                if error is None:
                    continue
                place = place_of_exception(error)
                if not any(failure.kind == BREAKING and failure.site == place.site for failure in found):
                    bad = sorted(sizes[: self.reach(group, sizes)])
                    which = f"{_words(bad, group[0].sizes)} of {_names(group)}"
                    found.append(_failure(BREAKING, f"{which}: {_told(error)}", place))
        return found

    def broken(self, group: list[Axis]) -> list[tuple[torch_adapter.SizeGuard, list[int]]]:
        """For each line, the condition that most sizes of the axes break, with these sizes."""
        sizes = sorted({size for axis in group for size in axis.sizes})
        symbols = {self.symbols.get(axis) for axis in group}
        worst: dict[Any, tuple[torch_adapter.SizeGuard, list[int]]] = {}
        for guard in self.guards:
            if guard.condition.free_symbols & symbols:
                bad = [size for size in sizes if not self.holds(guard, dict.fromkeys(group, size))]
                site = place_of_frames(guard.stack).site
                if bad and (site not in worst or len(bad) > len(worst[site][1])):
                    worst[site] = guard, bad
        return list(worst.values())

    def reach(self, group: list[Axis], sizes: Sequence[int]) -> int:
        """How many of ``sizes``, of which the first does not run, do not before the first that does."""
        fails, runs = 0, len(sizes)
        while runs - fails > 1:
            middle = (fails + runs) // 2
            if self.error(dict.fromkeys(group, sizes[middle])) is None:
                runs = middle
            else:
                fails = middle
        return runs

    def error(self, change: dict[Axis, int]) -> Exception | None:
        """What the forward pass raises at other sizes, where it can be run without data."""
        if self.forward is None or time.monotonic() > self.deadline:
            return None
        specs = []
        for index, spec in enumerate(self.specs):
            shape = list(spec.shape)
            for axis, size in change.items():
                if axis.input == index:
                    shape[axis.axis] = size
            specs.append(replace(spec, shape=tuple(shape)))
        try:
            self.forward(specs)
        except Exception as error:  # the user's code and torch raise anything
            return error
        return None


def _axes(spec: InputSpec) -> dict[int, tuple[int, ...]]:
    """The sizes of each axis that may vary, rising; of a long range, a sample with both ends."""
    if spec.shapes:
        columns = enumerate(zip(*spec.shapes, strict=True))
        return {axis: tuple(sorted(set(column))) for axis, column in columns if len(set(column)) > 1}
    found = {}
    for axis, sizes in enumerate(spec.ranges):
        if sizes is None:
            continue
        count = sizes.high - sizes.low + 1
        if count <= _MOST_SIZES:
            found[axis] = tuple(range(sizes.low, sizes.high + 1))
        else:
            step = (sizes.high - sizes.low) // (_MOST_SIZES // 2) or 1
            start = set(range(sizes.low, sizes.low + _MOST_SIZES // 2))
            found[axis] = tuple(sorted(start | set(range(sizes.low, sizes.high, step)) | {sizes.high}))
    return found


def _tensors(specs: Sequence[InputSpec], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    positional = iter(args)
    for spec in specs:
        yield next(positional) if spec.name is None else kwargs[spec.name]


def _at(spec: InputSpec, size: int) -> InputSpec:
    """``spec`` with every range at ``size``, or at its end nearest to that."""
    if not any(spec.ranges):
        return spec
    pairs = zip(spec.shape, spec.ranges, strict=True)
    return replace(
        spec, shape=tuple(min(max(size, each.low), each.high) if each else old for old, each in pairs)
    )


def _final_sizes(program: Any) -> list[tuple[Any, ...]]:
    by_name = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    values = [by_name[str(name)].meta.get("val") for name in program.graph_signature.user_inputs]
    return [
        tuple(torch_adapter.size_expression(size) for size in value.shape) if hasattr(value, "shape") else ()
        for value in values
    ]


def _integer(size: int) -> Any:
    import sympy

    return sympy.Integer(size)


def _failure(kind: str, message: str, place: Place) -> CaptureFailure:
    return CaptureFailure(METHOD, kind, "", message, place.site, place.caller)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _names(group: Sequence[Axis]) -> str:
    return " and ".join(map(str, group))


def _words(bad: Sequence[int], asked: Sequence[int]) -> str:
    """``bad`` in few words: a stretch, all but the multiples of something, or the first of them."""
    if len(bad) == 1:
        return f"size {bad[0]}"
    good = [size for size in asked if size not in set(bad)]
    whole = asked[-1] - asked[0] + 1 == len(asked)
    if whole and bad[-1] - bad[0] + 1 == len(bad):
        return f"sizes {bad[0]}..{bad[-1]}"
    if whole and len(good) > 2:
        step = good[1] - good[0]
        if step > 1 and good == [size for size in asked if size % step == good[0] % step]:
            rest = f" plus {good[0] % step}" if good[0] % step else ""
            return f"all sizes but multiples of {step}{rest}"
    if whole and len(good) <= 3 < len(bad):
        return f"all sizes but {', '.join(map(str, good))}"
    shown = ", ".join(map(str, bad[:3]))
    return f"sizes {shown}" + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
