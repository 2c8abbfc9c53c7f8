"""The nouns of a plan: which op runs where, why, and for how long.

Standard library only. A plan is a forecast from public measurements, not a measurement. Every time is
an :class:`Interval`, never a single number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from convlint.model.first_launch import FirstLaunch
from convlint.model.fitted import FITTED_WORDS, Fitted
from convlint.model.graph import Site, TensorMeta
from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.model.rule import Confidence
from convlint.model.shown import Paged
from convlint.text import count, significant

Unit = Literal["ANE", "GPU", "CPU"]
UNITS: tuple[Unit, ...] = ("ANE", "GPU", "CPU")

ComputeUnits = Literal["all", "cpu", "cpu+gpu", "cpu+ane"]
COMPUTE_UNITS: dict[ComputeUnits, tuple[Unit, ...]] = {
    "all": ("ANE", "GPU", "CPU"),
    "cpu": ("CPU",),
    "cpu+gpu": ("GPU", "CPU"),
    "cpu+ane": ("ANE", "CPU"),
}
"""The units that ``coremltools.ComputeUnit`` allows, by the words of ``--compute-units``."""

Cause = Literal["runs", "refused", "too small", "outweighed", "not asked for"]
"""Why an op is where it is.

``runs``: on the fastest of the requested units. ``refused``: the Neural Engine (or, without it, the
GPU) does not take the op at all. ``too small``: it would take the op, but the whole segment around it
is not worth a launch. ``outweighed``: it would take the op, and the two changes of unit around it cost
more than it wins. ``not asked for``: the unit is not among the compute units of the plan.
"""

Level = Literal["mil", "aten"]
"""The source of a plan: the MIL program of coremltools after its passes, or the captured ATen ops."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in milliseconds: ``mid`` is the estimate. Of published latencies that it was not fitted to,
    four of five lie between ``low`` and ``high``."""

    low: float
    mid: float
    high: float

    def __str__(self) -> str:
        low, high = (significant(end, 2) for end in (self.low, self.high))
        return f"{significant(self.mid, 3)} ms ({low} to {high})"


@dataclass(frozen=True, slots=True)
class PlacedOp:
    """One op of the program with its unit.

    ``index`` is its place in :attr:`Plan.ops`, which is in program order. ``kind`` is the MIL op type
    (``conv``); ``op`` the PyTorch op that it comes from (``aten.conv2d.default``, "" for an op of the
    passes), ``node`` the node of the program that ``torch.export.export`` gives. ``module`` is the dotted
    path of the innermost module, :attr:`path` its parts.
    ``inputs`` are the indices of the ops that it reads: the edges of the graph.
    ``allowed`` are the units that take the op at all, ``times`` its estimated milliseconds on each.
    ``parts`` are those of the Neural Engine, with the numbers that are shipped: arithmetic, values and
    weights, of which the slowest counts, and what every op costs.
    ``rule`` is the code of the convlint rule that explains more, "" without one.
    ``bytes`` are the bytes that it moves (activations and weights) as the unit stores them, ``padding``
    those of them that only fill rows up to 64 bytes.
    """

    index: int
    name: str
    kind: str
    unit: Unit
    cause: Cause
    reason: str
    confidence: Confidence
    source: str
    rule: str = ""
    op: str = ""
    site: Site | None = None
    caller: Site | None = None
    module: str = ""
    module_type: str = ""
    node: str = ""
    inputs: tuple[int, ...] = ()
    outputs: tuple[TensorMeta, ...] = ()
    allowed: tuple[Unit, ...] = ("CPU",)
    times: Mapping[Unit, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    latency_ms: Interval = Interval(0.0, 0.0, 0.0)
    flops: int = 0
    bytes: int = 0
    weight_bytes: int = 0
    padding: int = 0

    @property
    def path(self) -> tuple[str, ...]:
        """The modules from the outermost in: ``("layer1", "0", "conv1")``."""
        return tuple(self.module.split(".")) if self.module else ()

    @property
    def refused(self) -> bool:
        """Whether the Neural Engine never takes this op, whatever the graph around it."""
        return "ANE" not in self.allowed

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: FLOPs for each byte moved."""
        return self.flops / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True)
class Island:
    """A contiguous segment: connected ops on one unit that run without leaving it."""

    unit: Unit
    ops: tuple[int, ...]
    latency_ms: Interval
    flops: int = 0


@dataclass(frozen=True, slots=True)
class Crossing:
    """A value that goes from one unit to another: from the op ``source`` to the op ``target``."""

    source: int
    target: int
    source_unit: Unit
    target_unit: Unit
    bytes: int
    cost_ms: float


@dataclass(frozen=True, slots=True)
class Blocker:
    """Ops off the Neural Engine for one reason at one line, and the gain if they ran on it.

    ``win_ms`` is the time saved. ``islands`` and ``crossings`` count Neural Engine islands and changes of
    unit: (with the blocker, without it). ``replacements`` are the titles of the rule's replacements.
    """

    kind: str
    op: str
    ops: tuple[int, ...]
    reason: str
    confidence: Confidence
    source: str
    win_ms: Interval
    islands: tuple[int, int]
    crossings: tuple[int, int]
    rule: str = ""
    site: Site | None = None
    caller: Site | None = None
    modules: tuple[str, ...] = ()
    replacements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """A remark of a rule on ops that the Neural Engine takes, such as a layout that may be slow.

    It has no price, because nobody has published what following it gains. ``replacements`` are titles.
    """

    rule: str
    name: str
    message: str
    confidence: Confidence
    site: Site | None = None
    caller: Site | None = None
    modules: tuple[str, ...] = ()
    replacements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """The share of each unit, from 0 to 1: of the time, and of the number of ops.

    ``share["ANE"]`` is the share of the time.
    """

    by_time: Mapping[Unit, float]
    by_op: Mapping[Unit, float]

    def __getitem__(self, unit: Unit) -> float:
        return self.by_time[unit]

    def keys(self) -> Iterator[Unit]:
        """The units, so that ``dict(plan.share)`` gives the shares of the time."""
        return iter(UNITS)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The forecast for the same model under another assumption, such as a dynamic axis."""

    assumption: str
    latency_ms: Interval
    share: Share
    islands: int
    crossings: int
    reason: str = ""
    confidence: Confidence = "reported"
    source: str = ""


@dataclass(frozen=True, slots=True)
class UnitChoice:
    """The forecast for one choice of compute units, the same program on the same chip.

    ``watts`` is what one study measured of the whole chip with these units, 0 where nobody did. ``units`` has
    the first letter of the unit of each op, in the order of :attr:`Plan.ops`; ``copies_ms`` is what the
    changes between units take.
    """

    compute_units: ComputeUnits
    latency_ms: Interval
    share: Share
    crossings: int
    watts: float = 0.0
    units: str = ""
    copies_ms: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Paged):
    """A forecast of where a model would run on one chip and system, from public measurements.

    ``blockers`` are ordered by the gain of removing each, ``advice`` is about ops that stay where they are.
    ``longest_chain`` holds the indices of the ops on the slowest path through the graph. ``choices`` compares
    the compute units that can be asked for, ``what_if`` has the forecasts under other assumptions, ``notes``
    the limits of the forecast. ``first_launch`` is None where nothing is planned on the Neural Engine.
    ``fitted`` are the numbers of the chip that were fitted to measurements, ``calls_ms`` what the first call
    of each unit takes with the numbers that are shipped.
    """

    model: str
    chip: str
    os: str
    compute_units: ComputeUnits
    level: Level
    ops: tuple[PlacedOp, ...]
    islands: tuple[Island, ...]
    crossings: tuple[Crossing, ...]
    blockers: tuple[Blocker, ...]
    latency_ms: Interval
    share: Share
    longest_chain: tuple[int, ...] = ()
    choices: tuple[UnitChoice, ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    advice: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()
    first_launch: FirstLaunch | None = None
    fitted: Fitted | None = None
    calls_ms: Mapping[Unit, float] = field(default_factory=dict)
    target: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """Every edge of the graph as (index of the producer, index of the reader)."""
        return ((source, op.index) for op in self.ops for source in op.inputs)

    @property
    def flops(self) -> int:
        """Floating-point operations of one prediction; a multiply-add counts as two."""
        return sum(op.flops for op in self.ops)

    @property
    def spent_on(self) -> dict[str, float]:
        """Milliseconds of what the estimate is made of: of an op on the Neural Engine, the part that is
        slowest."""
        factor = (lambda name: 1.0) if self.fitted is None else self.fitted.factor
        spent: dict[str, float] = {}
        for op in self.ops:
            name, each = FITTED_WORDS.get(op.unit, ""), 0.0
            if op.unit == "ANE":
                slow = {part: ms * factor(part) for part, ms in op.parts.items() if part in FITTED_WORDS}
                name = FITTED_WORDS[max(slow, key=lambda part: slow[part])] if slow else ""
                each = op.times["ANE"] - max(slow.values(), default=0.0)
                spent["what every op costs"] = spent.get("what every op costs", 0.0) + each
            spent[name] = spent.get(name, 0.0) + op.times[op.unit] - each
        spent["changes of unit"] = sum(crossing.cost_ms for crossing in self.crossings)
        units = {op.unit for op in self.ops}
        spent[FITTED_WORDS["call"]] = sum(self.calls_ms.get(unit, 0.0) for unit in units) * factor("call")
        return {name: ms for name, ms in spent.items() if name and ms > 0}

    @property
    def sentence(self) -> str:
        """The plan in one sentence."""
        ane = [island for island in self.islands if island.unit == "ANE"]
        where = f"nothing of it on the Neural Engine: {self._why_not()}"
        if ane:
            where = (
                f"{self.share['ANE']:.0%} of the time on the Neural Engine, in {count(len(ane), 'island')}"
            )
        win = next((blocker for blocker in self.blockers if blocker.win_ms.mid > 0), None)
        first = f"; {win.op or win.kind} costs most, {win.win_ms}" if win is not None else ""
        return f"About {self.latency_ms}, {where}{first}."

    @property
    def advised(self) -> UnitChoice | None:
        """The compute units to ask for: the fastest, but all of them where that costs no twentieth more."""
        if not self.choices:
            return None
        fastest = min(self.choices, key=lambda choice: choice.latency_ms.mid)
        anything = next(choice for choice in self.choices if choice.compute_units == "all")
        return anything if anything.latency_ms.mid <= 1.05 * fastest.latency_ms.mid else fastest

    def _why_not(self) -> str:
        """Why nothing is on the Neural Engine."""
        if "ANE" not in COMPUTE_UNITS[self.compute_units]:
            return "it was not asked for"
        if all(op.refused for op in self.ops):
            return "it takes none of the ops"
        if all(op.unit == "GPU" for op in self.ops):
            return "the GPU is estimated to be faster"
        if any(op.refused for op in self.ops):
            return "what it takes is too little to be worth the changes around what it refuses"
        return "the model is too small to be worth a launch there"

    @property
    def summary(self) -> str:
        """Model, chip and system, and the plan in one sentence."""
        return f"{self.model} on {self.chip}, {self.os}: {self.sentence}"

    def __str__(self) -> str:
        return self.summary

    def to_dict(self) -> dict[str, Any]:
        """The whole plan as JSON-ready data under the names of its fields, with its ``schema_version``."""
        advised = self.advised
        return {
            "schema_version": SCHEMA_VERSION,
            **plain(self),
            "flops": self.flops,
            "advised": advised.compute_units if advised is not None else None,
        }
