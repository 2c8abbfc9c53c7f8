"""Makes a plan of operations: judges each op, divides the program, finds the islands, prices blockers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace

from convlint.model import Confidence
from convlint.model.placement import (
    COMPUTE_UNITS,
    UNITS,
    Cause,
    ComputeUnits,
    Crossing,
    Interval,
    Island,
    Level,
    PlacedOp,
    Plan,
    Share,
    Unit,
)
from convlint.placement import islands as graphs
from convlint.placement.attributes import CONVOLUTIONS, PRODUCTS
from convlint.placement.chips import Device
from convlint.placement.cost import Cost, cost_of, stored_bytes
from convlint.placement.estimate import (
    ane_parts,
    around,
    calibration,
    call_ms,
    change_ms,
    copy_gb_s,
    total,
    unit_ms,
)
from convlint.placement.operations import Operation
from convlint.placement.rules import PlacementVerdict, Precision, judge_placement
from convlint.placement.segmenter import segmenter, segmenter_ms
from convlint.placement.segments import divide


@dataclass(frozen=True, slots=True)
class Division:
    """A division of the program with its islands and crossings."""

    units: tuple[Unit, ...]
    islands: tuple[tuple[int, ...], ...]
    crossings: tuple[Crossing, ...]
    milliseconds: float

    @property
    def ane_islands(self) -> int:
        """The number of islands on the Neural Engine."""
        return sum(self.units[members[0]] == "ANE" for members in self.islands)


class Planner:
    """Plans one program on one device; holds everything that does not depend on how it is divided."""

    def __init__(
        self,
        operations: Sequence[Operation],
        device: Device,
        compute_units: ComputeUnits = "all",
        precision: Precision = "float16",
    ) -> None:
        self.operations = operations
        self.device = device
        self.compute_units = compute_units
        self.asked = COMPUTE_UNITS[compute_units]
        self.graph = graphs.graph_of(operations)
        self.costs = costs_of(operations)
        self.verdicts = [judge_placement(operation, device, precision) for operation in operations]
        chip = device.chip
        self.prices = segmenter(chip)
        self.times = [unit_ms(cost, chip) for cost in self.costs]
        self.beliefs = [
            segmenter_ms(operation, cost, chip)
            for operation, cost in zip(operations, self.costs, strict=True)
        ]

    def restricted(self, compute_units: ComputeUnits) -> Planner:
        """The same program with other compute units."""
        other = copy(self)
        other.compute_units, other.asked = compute_units, COMPUTE_UNITS[compute_units]
        return other

    def barring(self, barred: Callable[[Operation], bool]) -> Planner:
        """The same program with these operations refused by the Neural Engine too."""
        other = copy(self)
        other.verdicts = [
            replace(verdict, allowed=tuple(unit for unit in verdict.allowed if unit != "ANE"))
            if barred(operation)
            else verdict
            for operation, verdict in zip(self.operations, self.verdicts, strict=True)
        ]
        return other

    def division(self, freed: Collection[int] = ()) -> Division:
        """The division; ``freed`` ops are assumed to run on the Neural Engine."""
        units = divide(self.beliefs, self.allowed(freed), self.prices)
        islands = graphs.islands_of(self.graph, units)
        crossings = graphs.crossings_of(
            self.operations, units, islands, change_ms(self.device.chip), copy_gb_s()
        )
        milliseconds = (
            sum(times[unit] for times, unit in zip(self.times, units, strict=True))
            + sum(crossing.cost_ms for crossing in crossings)
            + sum(call_ms(unit, self.device.chip) for unit in set(units))
        )
        return Division(tuple(units), tuple(islands), tuple(crossings), milliseconds)

    def allowed(self, freed: Collection[int] = ()) -> list[tuple[Unit, ...]]:
        """The requested units that each op may run on; the CPU where none is left."""
        choices: list[tuple[Unit, ...]] = []
        for index, verdict in enumerate(self.verdicts):
            units = UNITS if index in freed else verdict.allowed
            choices.append(tuple(unit for unit in self.asked if unit in units) or ("CPU",))
        return choices

    def plan(self, model: str, level: Level, division: Division) -> Plan:
        """The plan without its blockers and what-ifs."""
        ops = self.placed(division)
        islands = tuple(
            Island(
                unit=division.units[members[0]],
                ops=members,
                latency_ms=self.island_ms(division, members),
                flops=sum(ops[index].flops for index in members),
            )
            for members in division.islands
        )
        return Plan(
            model=model,
            chip=self.device.chip.name,
            os=self.device.target,
            compute_units=self.compute_units,
            level=level,
            ops=ops,
            islands=islands,
            crossings=division.crossings,
            blockers=(),
            latency_ms=self.latency(division),
            share=self.share(division),
            longest_chain=graphs.longest_chain(self.graph, [op.latency_ms.mid for op in ops]),
            fitted=self.device.chip.fitted,
            calls_ms={unit: call_ms(unit, replace(self.device.chip, fitted=None)) for unit in UNITS},
        )

    def island_ms(self, division: Division, members: Sequence[int]) -> Interval:
        """The time of one island: that of its ops, and of its unit's call where it is the first."""
        unit = division.units[members[0]]
        first = division.units.index(unit) in members
        call = call_ms(unit, self.device.chip) if first else 0.0
        return around(sum(self.times[index][unit] for index in members) + call, unit)

    def latency(self, division: Division) -> Interval:
        """The time of the whole program: islands, and crossings between them."""
        moved = sum(crossing.cost_ms for crossing in division.crossings)
        return total(
            [self.island_ms(division, members) for members in division.islands] + [around(moved, "CPU")]
        )

    def share(self, division: Division) -> Share:
        """The share of each unit by time and by number of ops."""
        times = dict.fromkeys(UNITS, 0.0)
        counts = dict.fromkeys(UNITS, 0.0)
        for spent, unit in zip(self.times, division.units, strict=True):
            times[unit] += spent[unit]
            counts[unit] += 1
        return Share(_shares(times), _shares(counts))

    def placed(self, division: Division) -> tuple[PlacedOp, ...]:
        """Every op with its unit, and why it is there."""
        causes = self.causes(division)
        return tuple(
            self._placed(index, division.units[index], causes[index]) for index in range(len(self.operations))
        )

    def _placed(self, index: int, unit: Unit, cause: Cause) -> PlacedOp:
        operation, cost, verdict = self.operations[index], self.costs[index], self.verdicts[index]
        reason, confidence, source = _explained(unit, cause, verdict, self.prices.source)
        return PlacedOp(
            index=index,
            name=operation.name,
            kind=operation.kind,
            unit=unit,
            cause=cause,
            reason=reason,
            confidence=confidence,
            source=source,
            rule=verdict.code,
            op=operation.op,
            site=operation.site,
            caller=operation.caller,
            module=operation.module,
            module_type=operation.module_type,
            node=operation.node,
            inputs=operation.reads,
            outputs=operation.outputs,
            allowed=verdict.allowed,
            times=self.times[index],
            parts=ane_parts(cost, self.device.chip, calibration()),
            latency_ms=around(self.times[index][unit], unit),
            flops=cost.flops,
            bytes=cost.traffic + cost.weights,
            weight_bytes=cost.weights,
            padding=cost.padding,
        )

    def causes(self, division: Division) -> list[Cause]:
        """Why each op is where it is: a segment off the engine is too small where none of it is refused."""
        causes: list[Cause] = ["runs"] * len(self.operations)
        preferred: Unit = "ANE" if "ANE" in self.asked else self.asked[0]
        for members in division.islands:
            unit = division.units[members[0]]
            if unit == preferred:
                continue
            refused = [index for index in members if preferred not in self.verdicts[index].allowed]
            for index in members:
                causes[index] = "outweighed" if refused else "too small"
            for index in refused:
                causes[index] = "refused"
            if unit == "GPU" and not refused:
                for index in members:
                    causes[index] = "runs"
        return causes


def costs_of(operations: Sequence[Operation]) -> list[Cost]:
    """The cost of every op, with what is fused into the op before it."""
    readers = [0] * len(operations)
    for operation in operations:
        for source in operation.reads:
            readers[source] += 1
    costs: list[Cost] = []
    for operation in operations:
        source = operation.reads[0] if len(operation.reads) == 1 else -1
        follows = operations[source] if source >= 0 else None
        alone = [
            stored_bytes(operations[maker].outputs)
            for maker in operation.reads
            if readers[maker] == 1 and operations[maker].kind in (*CONVOLUTIONS, *PRODUCTS)
        ]
        costs.append(cost_of(operation, follows, source >= 0 and readers[source] == 1, max(alone, default=0)))
    return costs


def _shares(amounts: dict[Unit, float]) -> dict[Unit, float]:
    whole = sum(amounts.values())
    return {unit: amount / whole if whole else 0.0 for unit, amount in amounts.items()}


_DIVISION = {
    "too small": "the Neural Engine would take it, but the segment is too small to be worth a launch",
    "outweighed": "the Neural Engine would take it, but refused ops around it make the changes cost more",
}


def _explained(
    unit: Unit, cause: Cause, verdict: PlacementVerdict, source: str
) -> tuple[str, Confidence, str]:
    """Reason, confidence and source for the place of one op."""
    if cause in _DIVISION:
        return _DIVISION[cause], "reported", source
    if unit == "GPU" and cause == "runs" and "ANE" in verdict.allowed:
        return "the GPU is estimated to be faster", "reported", source
    return verdict.reason, verdict.confidence, verdict.source


def shifted(interval: Interval, milliseconds: float) -> Interval:
    """The interval around a part of the same estimate, with the same relative width."""
    scale = milliseconds / interval.mid if interval.mid else 0.0
    low, high = sorted((interval.low * scale, interval.high * scale))
    return Interval(low, milliseconds, high)
