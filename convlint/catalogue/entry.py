"""One architecture as it was measured. ``benchmarks/catalogue`` makes entries, everything else reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Repaired = Literal["source", "graph", "part", "no"]
"""How far ``convlint fix`` comes: edits of source, the graph alone, a part of the model, not at all."""


@dataclass(frozen=True, slots=True)
class Door:
    """What one release of coremltools says of the model, through one of its frontends."""

    frontend: str
    """``export`` or ``torchscript``."""
    coremltools: str
    converts: bool
    refused: tuple[str, ...] = ()
    """The ops it refuses, or the sentence with which it ends."""


@dataclass(frozen=True, slots=True)
class Left:
    """What keeps the model from converting after every change: a rule (or ``""``), an op, and how often."""

    rule: str
    op: str
    times: int
    why: str


@dataclass(frozen=True, slots=True)
class Repairs:
    """What ``convlint fix`` makes of a model that does not convert as it is."""

    how: Repaired
    changes: int = 0
    left: tuple[Left, ...] = ()
    unsafe: bool = False
    """Whether that takes ``--unsafe``: a branch decided by the example, a part left out, other zeros."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Whether the program computes what PyTorch does: ``equal``, ``differs`` or ``not compared``."""

    conclusion: Literal["equal", "differs", "not compared"]
    error: float | None = None
    """The largest error, relative to the largest value of its output."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The forecast of the program that would ship, in its deployed form, on one chip."""

    chip: str
    milliseconds: float
    lowest: float
    highest: float
    engine_share: float
    """Share of the time on the Neural Engine, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a backbone hands on at one place: how many times smaller than its input, and how many channels."""

    stride: int
    channels: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One architecture, measured.

    ``name`` is unique and reads as ``timm/fastvit_t8``; ``command`` are the arguments of ``convlint check``
    that measure it again. ``unbuilt`` says why it cannot be built here; such an entry has nothing below it.
    """

    name: str
    source: str
    """The package: ``torchvision``, ``timm``, ``transformers``, ``spandrel`` ..."""
    family: str
    task: str
    command: tuple[str, ...]
    unbuilt: str = ""
    parameters: int = 0
    gflops: float | None = None
    """10^9 multiply-adds times two, of one forward."""
    inputs: tuple[str, ...] = ()
    """``1x3x224x224 float32``, in the order of the forward."""
    reduced: bool = False
    """Whether it has fewer layers or smaller widths than what people train: forecasts are not theirs."""
    form: str = ""
    """How the deployed form was made, where the model has one."""
    classes: tuple[str, ...] = ()
    """The classes of the model and of its larger parts, as ``module.Class``: to know a user's model by."""
    features: tuple[Features, ...] = ()
    doors: tuple[Door, ...] = ()
    but: str = ""
    """An error that convlint reports although a frontend converts it: a frozen value, a wrong number."""
    repairs: Repairs | None = None
    equal: Equal | None = None
    places: tuple[Place, ...] = ()
    bytes_at: tuple[tuple[int, int], ...] = ()
    """Pairs of bits a weight (16, 8, 4) and bytes of the package."""
    static_agrees: bool | None = None
    """Whether the verdict by rules alone was that of the conversion."""
    warnings: tuple[int, int] = (0, 0)
    """Warnings printed about the Neural Engine, and how many of them the forecast confirms."""
    versions: tuple[tuple[str, str], ...] = field(default=())
    """Pairs of a package and its version, convlint and coremltools among them."""
    date: str = ""
    """``2026-11-29``."""
    seconds: float = 0.0

    @property
    def converts(self) -> Literal["as-is", "fixed", "in-part", "no", "unbuilt"]:
        """The answer in a word, by the installed coremltools."""
        if self.unbuilt:
            return "unbuilt"
        if any(door.converts for door in self.doors if door.coremltools == self.doors[0].coremltools):
            return "as-is"
        how = self.repairs.how if self.repairs else "no"
        return {"source": "fixed", "graph": "fixed", "part": "in-part", "no": "no"}[how]  # type: ignore[return-value]

    def on(self, chip: str) -> Place | None:
        """The forecast on ``chip``, where there is one."""
        return next((place for place in self.places if place.chip == chip), None)
