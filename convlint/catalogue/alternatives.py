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
from convlint.model.alternative import Alternative, Answer

MOST = 3
"""How many alternatives are named."""
LARGER, SMALLER = 5.0, 20.0
"""How many times more, and how many times fewer parameters an alternative may have: phones like less."""
INPUT_RATIO = 10.0
"""How many times more or fewer elements its input may have."""
WIDTH_RATIO = 2.0
"""How many times more or fewer channels a backbone may hand on at each of its strides."""
VAGUE = ("features",)
"""Tasks that say nothing of what a model is for: a network without its head."""
NEARLY_ALL = 0.98
"""From this share of the parameters on, a module is the model, and what is around it a wrapper."""


@dataclass(frozen=True, slots=True)
class Part:
    """A module of the model: its path, its class and the bases of that, and what it hands on to the rest."""

    path: str
    classes: tuple[str, ...]
    parameters: int
    features: tuple[Features, ...] = ()


Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The model to find alternatives for.

    ``parts`` are its modules, the model itself first. ``blamed`` is one with something refused in it that
    something else could replace, None without one; ``alone`` says that all of what is refused lies there.
    """

    parts: tuple[Part, ...]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...] = ()
    blamed: Part | None = None
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an alternative has to be: convertible through a frontend, and no slower than ``max_ms`` on a chip.

    ``coremltools`` is the release that is installed here; ``frontend`` may be ``auto``.
    """

    chip: str
    frontend: str = "auto"
    coremltools: str = ""
    max_ms: float | None = None

    def answer(self, entry: Entry) -> tuple[Answer, str] | None:
        """How the entry converts and through which frontend; None for one that is not to be named."""
        place = entry.on(self.chip)
        too_slow = self.max_ms is not None and (place is None or place.milliseconds > self.max_ms)
        differs = entry.equal is not None and entry.equal.conclusion == "differs"
        if too_slow or differs or entry.reduced or entry.but or entry.unbuilt or not entry.date:
            return None
        first = entry.doors[0].coremltools if entry.doors else ""
        open_ones = [door.frontend for door in entry.doors if door.converts and door.coremltools == first]
        if self.frontend in ("auto", "export") and "export" in open_ones:
            return "as-is", ""
        if self.frontend in ("auto", "torchscript") and "torchscript" in open_ones:
            return "as-is", "torchscript"
        repairs = entry.repairs
        whole = repairs is not None and repairs.how in ("source", "graph") and not repairs.unsafe
        return ("fixed", "") if whole else None


def alternatives(entries: Sequence[Entry], subject: Subject, wanted: Wanted) -> tuple[Alternative, ...]:
    """Up to three entries that convert: for the part where all lies that is refused, else for the whole.

    Where nothing is near the whole, they are for a part all the same: what else is refused has to be changed.
    Those that convert as they are come before those that need changes, and among these the nearest first; one
    of each family.
    """
    searches = [_for_part, _for_whole] if subject.alone else [_for_whole, _for_part]
    found = ([*search(entries, subject, wanted)] for search in searches)
    return tuple(next(filter(None, found), [])[:MOST])


def _for_part(entries: Sequence[Entry], subject: Subject, wanted: Wanted) -> Iterator[Alternative]:
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
        for feature in part.features:
            given = widths.get(feature.stride)
            if given is None or not _within(given, feature.channels, WIDTH_RATIO):
                return None
            total += abs(log2(given / feature.channels))
        size = _size_distance(entry.parameters, part.parameters)
        return None if size is None else total / len(part.features) + size / 4

    for entry, answer in _nearest(entries, wanted, distance):
        equal = set(part.features) <= set(entry.features)
        same = "same strides and widths" if equal else "same strides, similar widths"
        yield _alternative(entry, answer, same, subject, wanted, part.path)


def _for_whole(entries: Sequence[Entry], subject: Subject, wanted: Wanted) -> Iterator[Alternative]:
    """Architectures for the same task, near in size and in what they take."""
    task, same, own = _task_of(entries, subject)
    if not task or task in VAGUE:
        return
    size_of_model = subject.parts[0].parameters

    def distance(entry: Entry) -> float | None:
        itself = entry.classes[:1] == (own,) and _within(entry.parameters, size_of_model, 1.01)
        if entry.task != task or itself:
            return None
        size = _size_distance(entry.parameters, size_of_model)
        inputs = _input_distance(entry, subject.inputs)
        return None if size is None or inputs is None else size + inputs / 2

    for entry, answer in _nearest(entries, wanted, distance):
        yield _alternative(entry, answer, same, subject, wanted)


def _task_of(entries: Sequence[Entry], subject: Subject) -> tuple[str, str, str]:
    """What the model is for, how that is known in words, and the class by which; empty where it is unknown.

    It is known by its class, by a base of that, or by the package of these, where all that was measured of
    the package is for one task; of the model, or a module in it that has nearly all of its weights. Else by
    what it takes and gives.
    """
    whole = subject.parts[0] if subject.parts else None
    if whole is None:
        return "", "", ""
    inner = [part for part in subject.parts[1:] if part.parameters >= NEARLY_ALL * max(1, whole.parameters)]
    for part in (whole, *inner):
        for kind in part.classes:
            tasks = Counter(entry.task for entry in entries if entry.classes[:1] == (kind,))
            if not tasks:
                tasks = Counter(
                    entry.task for entry in entries if _package(kind) in map(_package, entry.classes[:1])
                )
                tasks = tasks if len(tasks) == 1 and tasks.total() > 1 else Counter()
            if tasks:
                task = tasks.most_common(1)[0][0]
                return task, f"also for {task}", kind
    task = _task_by_shapes(subject)
    return task, f"takes and gives what {task} does", ""


def _package(kind: str) -> str:
    """The package that has the module of a class: ``torchvision.models.detection`` of ``....ssd.SSD``."""
    return kind.rsplit(".", 2)[0] if kind.count(".") > 2 else kind


def _task_by_shapes(subject: Subject) -> str:
    """The task of a model that makes one tensor of a picture, as far as the shapes leave no other."""
    if len(subject.inputs) != 1 or len(subject.outputs) != 1 or len(subject.inputs[0]) != 4:
        return ""
    (picture,), (made,) = subject.inputs, subject.outputs
    if picture[1] != 3 or min(picture[2:]) < 32:
        return ""
    if len(made) == 2 and made[0] == picture[0] and made[1] > 1:
        return "classification"
    # Three channels of the same size are a picture again, one is a mask or a depth.
    if len(made) == 4 and made[2:] == picture[2:] and made[1] not in (1, 2, 3):
        return "segmentation"
    return ""


def _nearest(
    entries: Iterable[Entry], wanted: Wanted, distance: Callable[[Entry], float | None]
) -> list[tuple[Entry, tuple[Answer, str]]]:
    """The nearest entry of each family: those that export first, then those that a trace converts."""
    near = [
        (answer != ("as-is", ""), answer[0] != "as-is", how_far, entry.name, entry, answer)
        for entry in entries
        if (answer := wanted.answer(entry)) is not None and (how_far := distance(entry)) is not None
    ]
    families: dict[str, tuple[Entry, tuple[Answer, str]]] = {}
    for *_, entry, answer in sorted(near, key=lambda each: each[:4]):
        families.setdefault(_kin(entry), (entry, answer))
    return [*families.values()]


def _kin(entry: Entry) -> str:
    """The family of an entry as several sources write it: ``mobilenet_v3`` and ``mobilenetv3`` are one."""
    return re.sub("[^a-z0-9]", "", (entry.family or entry.name).casefold())


def _within(one: float, other: float, ratio: float) -> bool:
    return one > 0 and other > 0 and max(one, other) <= ratio * min(one, other)


def _size_distance(given: int, wanted: int) -> float | None:
    """How many doublings lie between two numbers of parameters; None where that is too far."""
    near = min(given, wanted) > 0 and wanted / SMALLER <= given <= wanted * LARGER
    return abs(log2(given / wanted)) if near else None


def _input_distance(entry: Entry, inputs: tuple[Shape, ...]) -> float | None:
    """How many doublings lie between the first inputs; None for an input of another kind, or far larger."""
    shapes = shapes_of(entry)
    if len(shapes) != len(inputs) or not shapes or len(shapes[0]) != len(inputs[0]):
        return None
    given, wanted = prod(shapes[0]), prod(inputs[0])
    return abs(log2(given / wanted)) if _within(given, wanted, INPUT_RATIO) else None


def shapes_of(entry: Entry) -> tuple[Shape, ...]:
    """The shapes of what an entry takes, from texts such as ``1x3x224x224 float32`` or ``x=1x8:int64``."""
    found = (re.search(r"(?:^|=)(\d+(?:x\d+)*)(?![\w.])", text) for text in entry.inputs)
    return tuple(tuple(map(int, each[1].split("x"))) for each in found if each is not None)


def _alternative(
    entry: Entry,
    answer: tuple[Answer, str],
    same: str,
    subject: Subject,
    wanted: Wanted,
    instead_of: str = "",
) -> Alternative:
    place = entry.on(wanted.chip)
    shapes = shapes_of(entry)
    release = dict(entry.versions).get("coremltools", "")
    return Alternative(
        name=entry.name,
        same=same,
        converts=answer[0],
        date=entry.date,
        through=answer[1],
        parameters=entry.parameters,
        instead_of=instead_of,
        inputs=tuple("x".join(map(str, shape)) for shape in shapes) if shapes != subject.inputs else (),
        chip=wanted.chip if place is not None else "",
        lowest=place.lowest if place is not None else 0.0,
        highest=place.highest if place is not None else 0.0,
        compared=entry.equal is not None and entry.equal.conclusion == "equal",
        coremltools=release if release != wanted.coremltools else "",
    )
