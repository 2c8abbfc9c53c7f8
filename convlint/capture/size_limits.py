"""What a trace with flexible sizes took for granted, held against the sizes that were asked for.

torch.export traces with one example and notes, for each size that it was told may vary, the
conditions under which another size would take the same way. They are evaluated here for the sizes
that were asked for. Where one does not hold, the forward pass is run without data at such a size:
it raises, or it takes another path, which the converted model will not have.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convlint import torch_adapter
from convlint.capture.declared import spec_by_name
from convlint.capture.flexible import MOST_SECONDS, Forward, varying_sizes
from convlint.interface.inputs import InputSpec
from convlint.model import CaptureFailure
from convlint.sandbox import TimeLimitExceeded
from convlint.text import single_line
from convlint.usercode.sites import NOWHERE, Place, place_of_exception, place_of_frames

METHOD = "torch.export with flexible sizes"
SPECIALISED, TIED, BREAKING, OTHER_PATH = (
    "specialised-dimension",
    "tied-dimensions",
    "breaking-size",
    "other-path",
)
FLEXIBLE_KINDS = (SPECIALISED, TIED, BREAKING, OTHER_PATH)


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


Change = dict[Axis, int]
"""Other sizes than those of the example."""


@dataclass(frozen=True, slots=True)
class Variation:
    """Axes that vary together, and the ways in which they do.

    Axes of a range that the model ties have the same size; the lists of shapes of all inputs go
    together, the first with the first.
    """

    axes: tuple[Axis, ...]
    changes: tuple[Change, ...]
    listed: bool = False

    def words(self, bad: Sequence[int]) -> str:
        """The changes with these numbers in a few words."""
        if not self.listed:
            sizes = [next(iter(change.values())) for change in self.changes]
            return f"{size_words([sizes[index] for index in bad], sizes)} of {axis_words(self.axes)}"
        shapes = [", ".join(f"{size} for {axis}" for axis, size in self.changes[i].items()) for i in bad[:3]]
        return "size " + ", or ".join(shapes) + (f", and {len(bad) - 3} more" if len(bad) > 3 else "")


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
        names = list(map(str, program.graph_signature.user_inputs))
        self.specs = {names.index(name): spec for name, spec in spec_by_name(names, specs).items()}
        self.forward = forward
        self.deadline = time.monotonic() + MOST_SECONDS
        self.axes = [
            Axis(index, axis, spec.name or names[index], sizes)
            for index, spec in self.specs.items()
            for axis, sizes in varying_sizes(spec).items()
        ]
        final = _final_sizes(program)
        self.ends = {axis: final[axis.input][axis.axis] for axis in self.axes}
        self.symbols: dict[Axis, Any] = {}
        if guards:
            traced = torch_adapter.traced_symbols(guards[0].environment)
            symbols = {axis: traced[axis.input][axis.axis] for axis in self.axes if axis.input < len(traced)}
            self.symbols = {axis: symbol for axis, symbol in symbols.items() if not isinstance(symbol, int)}
        known = set(self.symbols.values())
        self.guards = {
            str(guard.condition): guard
            for guard in reversed(guards)  # of equal ones the first stays
            if guard.condition.free_symbols and guard.condition.free_symbols <= known
        }

    def run(self) -> list[CaptureFailure]:
        failures = [self.fixed(axis) for axis, end in self.ends.items() if isinstance(end, int)]
        groups: dict[str, list[Axis]] = {}
        for axis, end in self.ends.items():
            if not isinstance(end, int):
                groups.setdefault(str(end), []).append(axis)
        failures += [
            tied for group in groups.values() if len(group) > 1 and (tied := self.tied(group)) is not None
        ]
        for variation in self.variations(groups):
            failures += self.limits(variation)
        unique: dict[Any, CaptureFailure] = {}
        for failure in failures:
            unique.setdefault((failure.kind, failure.site or failure.message), failure)
        return list(unique.values())

    def listed(self, axis: Axis) -> bool:
        return bool(self.specs[axis.input].shapes)

    def variations(self, groups: dict[str, list[Axis]]) -> list[Variation]:
        """How the axes that are still free vary: each tied group of ranges, and all lists together."""
        ranged = [[axis for axis in group if not self.listed(axis)] for group in groups.values()]
        variations = [
            Variation(tuple(group), tuple(dict.fromkeys(group, size) for size in group[0].sizes))
            for group in ranged
            if group
        ]
        axes = tuple(axis for group in groups.values() for axis in group if self.listed(axis))
        if axes:
            variations.append(Variation(axes, self.listed_changes(axes), listed=True))
        return variations

    def listed_changes(self, axes: Sequence[Axis]) -> tuple[Change, ...]:
        count = max(len(self.specs[axis.input].shapes) for axis in axes)

        def size(axis: Axis, number: int) -> int:
            shapes = self.specs[axis.input].shapes
            return shapes[number % len(shapes)][axis.axis]

        return tuple({axis: size(axis, number) for axis in axes} for number in range(count))

    def fixed(self, axis: Axis) -> CaptureFailure:
        place = self.blame([axis])
        asked = ", ".join(map(str, axis.sizes[:4])) if self.listed(axis) else axis.asked
        return _failure(SPECIALISED, f"{axis} is fixed at {self.ends[axis]} ({asked} was asked for)", place)

    def tied(self, group: list[Axis]) -> CaptureFailure | None:
        lists = [[shape[axis.axis] for shape in self.specs[axis.input].shapes] for axis in group]
        if lists[0] and all(sizes == lists[0] for sizes in lists):
            return None
        return _failure(TIED, f"{axis_words(group)} must be equal", self.blame(group))

    def blame(self, group: Sequence[Axis]) -> Place:
        """The line of the first condition that another size of the first axis breaks."""
        symbols = {self.symbols.get(axis) for axis in group}
        first = group[0]
        changes = tuple({first: size} for size in first.sizes)
        if self.listed(first):
            changes = self.listed_changes([axis for axis in self.axes if self.listed(axis)])
        for change in changes:
            for guard in reversed(self.guards.values()):
                if guard.condition.free_symbols & symbols and not self.holds(guard, change):
                    return place_of_frames(guard.stack)
        return NOWHERE

    def holds(self, guard: torch_adapter.SizeGuard, change: Change) -> bool:
        sizes = {
            symbol: change.get(axis, self.specs[axis.input].shape[axis.axis])
            for axis, symbol in self.symbols.items()
        }
        return torch_adapter.condition_holds(guard, sizes)

    def limits(self, variation: Variation) -> list[CaptureFailure]:
        """Conditions that some of the sizes asked for break, and ends of ranges that do not run."""
        failures: list[CaptureFailure] = []
        for guard, bad in self.broken(variation):
            # The last of them: the first may be too small for an op, which is another matter.
            error = self.error(variation.changes[bad[-1]])
            which = variation.words(bad)
            if error is None:
                failures.append(_failure(OTHER_PATH, which, place_of_frames(guard.stack)))
            else:
                failures.append(_failure(BREAKING, f"{which}: {_told(error)}", place_of_exception(error)))
        last = len(variation.changes) - 1
        for numbers in (range(last + 1), range(last, -1, -1)):
            error = self.error(variation.changes[numbers[0]])
            if error is None:
                continue
            place = place_of_exception(error)
            if not any(failure.kind == BREAKING and failure.site == place.site for failure in failures):
                count = 1 if variation.listed else self.reach(variation, numbers)
                which = variation.words(sorted(numbers[:count]))
                failures.append(_failure(BREAKING, f"{which}: {_told(error)}", place))
        return failures

    def broken(self, variation: Variation) -> list[tuple[torch_adapter.SizeGuard, list[int]]]:
        """For each line, the condition that most changes break, with the numbers of these changes."""
        symbols = {self.symbols.get(axis) for axis in variation.axes}
        worst: dict[Any, tuple[torch_adapter.SizeGuard, list[int]]] = {}
        for guard in reversed(self.guards.values()):
            if guard.condition.free_symbols & symbols:
                changes = enumerate(variation.changes)
                bad = [number for number, change in changes if not self.holds(guard, change)]
                site = place_of_frames(guard.stack).site
                if bad and (site not in worst or len(bad) > len(worst[site][1])):
                    worst[site] = guard, bad
        return list(worst.values())

    def reach(self, variation: Variation, numbers: Sequence[int]) -> int:
        """How many changes, of which the first does not run, do not before the first that does."""
        fails, runs = 0, len(numbers)
        while runs - fails > 1:
            middle = (fails + runs) // 2
            if self.error(variation.changes[numbers[middle]]) is None:
                runs = middle
            else:
                fails = middle
        return runs

    def error(self, change: Change) -> Exception | None:
        """What the forward pass raises at other sizes, where it can be run without data."""
        if self.forward is None or time.monotonic() > self.deadline:
            return None
        specs = []
        for index, spec in self.specs.items():
            shape = list(spec.shape)
            for axis, size in change.items():
                if axis.input == index:
                    shape[axis.axis] = size
            specs.append(replace(spec, shape=tuple(shape)))
        try:
            self.forward(specs)
        except TimeLimitExceeded:
            raise
        except Exception as error:  # the user's code and torch raise anything
            return error
        return None


def _final_sizes(program: Any) -> list[tuple[Any, ...]]:
    by_name = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    values = [by_name[str(name)].meta.get("val") for name in program.graph_signature.user_inputs]
    return [
        tuple(torch_adapter.size_expression(size) for size in value.shape) if hasattr(value, "shape") else ()
        for value in values
    ]


def _failure(kind: str, message: str, place: Place) -> CaptureFailure:
    return CaptureFailure(METHOD, kind, "", message, place.site, place.caller)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {single_line(error, 200)}"


def axis_words(group: Sequence[Axis]) -> str:
    return " and ".join(map(str, group))


def size_words(bad: Sequence[int], asked: Sequence[int]) -> str:
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
