"""Which entries could be taken instead of a model, or of a part of it.

Nothing here is a guess about an architecture: only entries that were measured are named, and where none is
near, none is. How near is near stands in the constants below.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log2, prod

from convlint.catalogue.entry import Entry, Features
from convlint.model.alternative import Alternative

MOST = 3
"""How many alternatives are named."""
SIZE_RATIO = 10.0
"""How many times more or fewer parameters, or elements of an input, an alternative may have."""
WIDTH_RATIO = 2.0
"""How many times more or fewer channels a backbone may hand on at each of its strides."""
NEARLY_ALL = 0.98
"""From this share of the parameters on, a module is the model, and what is around it a wrapper."""


@dataclass(frozen=True, slots=True)
class Part:
    """A module of the model: its path, its class and the bases of that, and what it hands on to the rest."""

    path: str
    classes: tuple[str, ...]
    parameters: int
    features: tuple[Features, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """The model to find alternatives for.

    ``parts`` are its modules, the model itself first. ``blamed`` is the module in which all lies that is
    refused, a part that something else could replace; None where there is no such part.
    """

    parts: tuple[Part, ...]
    inputs: tuple[tuple[int, ...], ...]
    blamed: Part | None = None


def alternatives(
    entries: Sequence[Entry], subject: Subject, chip: str, max_ms: float | None = None
) -> tuple[Alternative, ...]:
    """Up to three entries that convert: for the refused part where that is known, else for the whole model.

    Those that convert as they are come before those that need changes, and the nearest first; one of each
    family. With ``max_ms`` only those whose estimate on ``chip`` is at most that.
    """
    usable = [entry for entry in entries if _is_usable(entry, chip, max_ms)]
    for_part = [*_for_part(entries, usable, subject, chip)]
    return tuple((for_part or [*_for_whole(entries, usable, subject, chip)])[:MOST])


def _is_usable(entry: Entry, chip: str, max_ms: float | None) -> bool:
    if entry.converts not in ("as-is", "fixed") or not entry.date:
        return False
    if entry.equal is not None and entry.equal.conclusion == "differs":
        return False
    place = entry.on(chip)
    return max_ms is None or (place is not None and place.milliseconds <= max_ms)


def _for_part(
    entries: Sequence[Entry], usable: Sequence[Entry], subject: Subject, chip: str
) -> Iterator[Alternative]:
    """Backbones that hand on feature maps of the same strides and of like widths."""
    part = subject.blamed
    if part is None or not part.features:
        return
    known = {kind for entry in entries if entry.features for kind in entry.classes}
    # One feature map alone says little: then the part has to be a backbone that the catalogue knows.
    if len(part.features) < 2 and not known.intersection(part.classes):
        return

    def distance(entry: Entry) -> float | None:
        widths = {each.stride: each.channels for each in entry.features}
        if set(part.classes) & set(entry.classes[:1]):
            return None  # the same backbone again
        total = 0.0
        for wanted in part.features:
            given = widths.get(wanted.stride)
            if given is None or not _within(given, wanted.channels, WIDTH_RATIO):
                return None
            total += abs(log2(given / wanted.channels))
        size = _size_distance(entry.parameters, part.parameters)
        return None if size is None else total / len(part.features) + size / 4

    for entry in _nearest(usable, distance):
        equal = set(part.features) <= set(entry.features)
        same = "same strides and widths" if equal else "same strides, similar widths"
        yield _alternative(entry, same, chip, (), part.path)


def _for_whole(
    entries: Sequence[Entry], usable: Sequence[Entry], subject: Subject, chip: str
) -> Iterator[Alternative]:
    """Architectures for the same task, near in size and in what they take."""
    task, own = _task_of(entries, subject)
    if not task:
        return
    whole = subject.parts[0]

    def distance(entry: Entry) -> float | None:
        if entry.task != task or own.intersection(entry.classes[:1]):
            return None
        size = _size_distance(entry.parameters, whole.parameters)
        inputs = _input_distance(entry, subject.inputs)
        return None if size is None or inputs is None else size + inputs / 2

    for entry in _nearest(usable, distance):
        yield _alternative(entry, f"also for {task}", chip, subject.inputs)


def _task_of(entries: Sequence[Entry], subject: Subject) -> tuple[str, set[str]]:
    """What the model is for, and the classes by which it is known; nothing where it is not known.

    It is known by its class, by a base of that, or by a module inside it that has nearly all of its weights.
    """
    whole = subject.parts[0] if subject.parts else None
    if whole is None:
        return "", set()
    inner = [part for part in subject.parts[1:] if part.parameters >= NEARLY_ALL * max(1, whole.parameters)]
    for part in (whole, *inner):
        for kind in part.classes:
            tasks = Counter(entry.task for entry in entries if entry.classes[:1] == (kind,))
            if tasks:
                return tasks.most_common(1)[0][0], {kind}
    return "", set()


def _nearest(entries: Iterable[Entry], distance: Callable[[Entry], float | None]) -> list[Entry]:
    """The nearest entry of each family, those that convert as they are first."""
    near = [
        (entry.converts != "as-is", how_far, entry)
        for entry in entries
        if (how_far := distance(entry)) is not None
    ]
    near.sort(key=lambda each: (each[0], each[1], each[2].name))
    families: dict[str, Entry] = {}
    for _, _, entry in near:
        families.setdefault(_kin(entry), entry)
    return [*families.values()]


def _kin(entry: Entry) -> str:
    """The family of an entry as several sources write it: ``mobilenet_v3`` and ``mobilenetv3`` are one."""
    return re.sub("[^a-z0-9]", "", (entry.family or entry.name).casefold())


def _within(one: float, other: float, ratio: float) -> bool:
    return one > 0 and other > 0 and max(one, other) <= ratio * min(one, other)


def _size_distance(one: int, other: int) -> float | None:
    """How many doublings lie between two numbers of parameters; None where that is too far."""
    return abs(log2(one / other)) if _within(one, other, SIZE_RATIO) else None


def _input_distance(entry: Entry, inputs: tuple[tuple[int, ...], ...]) -> float | None:
    """How many doublings lie between the first inputs; None for an input of another kind, or far larger."""
    shapes = shapes_of(entry)
    if len(shapes) != len(inputs) or not shapes or len(shapes[0]) != len(inputs[0]):
        return None
    given, wanted = prod(shapes[0]), prod(inputs[0])
    return abs(log2(given / wanted)) if _within(given, wanted, SIZE_RATIO) else None


def shapes_of(entry: Entry) -> tuple[tuple[int, ...], ...]:
    """The shapes of what an entry takes, from texts such as ``1x3x224x224 float32`` or ``x=1x8:int64``."""
    found = (re.search(r"(?:^|=)(\d+(?:x\d+)*)(?![\w.])", text) for text in entry.inputs)
    return tuple(tuple(map(int, each[1].split("x"))) for each in found if each is not None)


def _alternative(
    entry: Entry, same: str, chip: str, inputs: tuple[tuple[int, ...], ...], instead_of: str = ""
) -> Alternative:
    place = entry.on(chip)
    others = shapes_of(entry) != inputs
    return Alternative(
        name=entry.name,
        same=same,
        converts="as-is" if entry.converts == "as-is" else "fixed",
        date=entry.date,
        parameters=entry.parameters,
        instead_of=instead_of,
        inputs=tuple("x".join(map(str, shape)) for shape in shapes_of(entry)) if others else (),
        chip=chip if place is not None else "",
        lowest=place.lowest if place is not None else 0.0,
        highest=place.highest if place is not None else 0.0,
        coremltools=dict(entry.versions).get("coremltools", ""),
    )
