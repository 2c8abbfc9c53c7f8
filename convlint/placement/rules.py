"""Which units take an op, and why others do not: the rules of ``data/placement.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from convlint.model import Confidence
from convlint.model.placement import UNITS, Unit
from convlint.placement.chips import DATA, Device
from convlint.placement.operations import Operation
from convlint.rules.message import parse_template, render
from convlint.rules.where.language import Predicate, holds, parse

Precision = Literal["float16", "float32"]
ANY = "*"


@dataclass(frozen=True, slots=True)
class PlacementRule:
    """One entry of the table; ``measured`` is the generation of the chip that it was measured on."""

    kinds: tuple[str, ...]
    refuses: tuple[Unit, ...]
    reason: str
    confidence: Confidence
    sources: tuple[str, ...]
    when: tuple[Predicate, ...] = ()
    first: int = 0
    last: int = 99
    measured: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class PlacementTable:
    """The rules by the kind of their ops, and the sources of the kinds that run anywhere."""

    rules: Mapping[str, tuple[PlacementRule, ...]]
    runs: Mapping[str, tuple[str, int]]

    def about(self, kind: str) -> tuple[PlacementRule, ...]:
        """The rules for one kind, after the rules for every kind."""
        return self.rules.get(ANY, ()) + self.rules.get(kind, ())


@dataclass(frozen=True, slots=True)
class PlacementVerdict:
    """The table's answer for one op: the units that take it, and why the Neural Engine does not."""

    allowed: tuple[Unit, ...]
    reason: str
    confidence: Confidence
    source: str
    code: str = ""


@lru_cache(maxsize=1)
def placement_table() -> PlacementTable:
    """The shipped table."""
    with (DATA / "placement.toml").open("rb") as file:
        data = tomllib.load(file)
    links = data["sources"]
    rules: dict[str, list[PlacementRule]] = {}
    for entry in data["rule"]:
        rule = PlacementRule(
            kinds=tuple(entry["kinds"]),
            refuses=tuple(entry["refuses"]),
            reason=entry["reason"],
            confidence=entry["confidence"],
            sources=tuple(links[name] for name in entry["sources"]),
            when=tuple(parse(text) for text in entry.get("when", ())),
            first=entry.get("from", 0),
            last=entry.get("until", 99),
            measured=entry.get("measured"),
            code=entry.get("code", ""),
        )
        parse_template(rule.reason)
        for kind in rule.kinds:
            rules.setdefault(kind, []).append(rule)
    runs = {
        kind: (links[entry["source"]], entry["measured"]) for entry in data["runs"] for kind in entry["kinds"]
    }
    return PlacementTable({kind: tuple(some) for kind, some in rules.items()}, runs)


def judge_placement(
    operation: Operation, device: Device, precision: Precision = "float16"
) -> PlacementVerdict:
    """The units that take ``operation`` on this device. The CPU takes everything."""
    table = placement_table()
    generation = device.chip.generation
    names = _names(operation, precision)
    refused: set[Unit] = set()
    why: PlacementRule | None = None
    for rule in table.about(operation.kind):
        if not rule.first <= generation <= rule.last:
            continue
        if all(holds(condition, names) for condition in rule.when):
            refused.update(rule.refuses)
            if "ANE" in rule.refuses and (why is None or (_is_general(why) and not _is_general(rule))):
                why = rule
    allowed = tuple(unit for unit in UNITS if unit not in refused)
    if why is not None:
        reason = render(why.reason, names) + _assumed(why.measured, generation)
        return PlacementVerdict(allowed, reason, why.confidence, why.sources[0], why.code)
    known = table.runs.get(operation.kind)
    if known is None:
        text = f"nobody has published where Core ML runs {operation.kind}; it is assumed to be refused"
        return PlacementVerdict(tuple(unit for unit in allowed if unit != "ANE"), text, "reported", "")
    return PlacementVerdict(allowed, f"supported{_assumed(known[1], generation)}", "reported", known[0])


def _is_general(rule: PlacementRule) -> bool:
    return rule.kinds == (ANY,)


def _assumed(measured: int | None, generation: int) -> str:
    if measured is None or measured == generation:
        return ""
    return f" (measured on {_CHIPS.get(measured, 'another chip')}, assumed here)"


_WIDE_INTEGERS = frozenset({"int32", "int64", "uint32"})
_CHIPS = {13: "M1", 14: "M2", 15: "M3", 16: "M4", 17: "M5", 18: "M6"}
"""The Mac chip of each generation that the studies measured."""


def _names(operation: Operation, precision: Precision) -> dict[str, Any]:
    """The names for conditions: the attributes of the op, and its tensors."""
    tensors = tuple(operation.tensors)
    sizes = [size for tensor in tensors for size in tensor.shape if isinstance(size, int)]
    rows = [size for tensor in tensors for size in tensor.shape[-2:] if isinstance(size, int)]
    return {
        **operation.attributes,
        "kind": operation.kind,
        "op": operation.op,
        "precision": precision,
        "integers": any(tensor.dtype in _WIDE_INTEGERS for tensor in tensors),
        "rank": max((len(tensor.shape) for tensor in tensors), default=0),
        "out": operation.outputs[0] if operation.outputs else None,
        "dynamic": any(isinstance(size, str) for tensor in tensors for size in tensor.shape),
        "longest": max(sizes, default=0),
        "widest": max(rows, default=0),
    }
