"""Compares a plan with an earlier one of the same model, which ``convlint plan --format json`` wrote.

Lines move when code above them changes, so an op is known by its module and its kind, and the first of
those in one plan is the first in the other.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlint.errors import FileError, UsageError
from convlint.model.placement import Interval, PlacedOp, Plan
from convlint.model.since import Change, Forecast, MovedLine, Since


@dataclass(frozen=True, slots=True)
class EarlierOp:
    """An op of an earlier plan."""

    key: tuple[str, str, str]
    unit: str
    ms: float


@dataclass(frozen=True, slots=True)
class EarlierPlan:
    """What a file says of an earlier plan. ``asked`` is what it is a plan for: chip, system, units, level."""

    path: str
    asked: dict[str, str]
    forecast: Forecast
    ops: tuple[EarlierOp, ...]


def read_plan(path: str) -> EarlierPlan:
    """The plan in this file, or in the report of a check; a FileError for what is none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    except json.JSONDecodeError as error:
        raise FileError([f"{path}:{error.lineno}: not JSON: {error.msg}"]) from error
    data = data.get("plan") or data if isinstance(data, dict) else {}
    try:
        return EarlierPlan(
            path,
            {key: str(data[key]) for key in ("chip", "os", "compute_units", "level")},
            Forecast(
                Interval(**data["latency_ms"]),
                float(data["share"]["by_time"]["ANE"]),
                len(data["islands"]),
                len(data["crossings"]),
            ),
            tuple(_earlier(op) for op in data["ops"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            [f"{path}: no plan in it. `convlint plan --format json` writes one, on the other branch."]
        ) from error


def _earlier(op: dict[str, Any]) -> EarlierOp:
    return EarlierOp((op["module"], op["kind"], op["op"]), op["unit"], float(op["latency_ms"]["mid"]))


def compare_with_earlier(plan: Plan, earlier: EarlierPlan) -> Since:
    """The lines of the plan that changed their unit, those that cost most first.

    Raises a UsageError where the two plans are for different things.
    """
    mine = {"chip": plan.chip, "os": plan.os, "compute_units": plan.compute_units, "level": plan.level}
    for key, value in mine.items():
        if earlier.asked[key] != value:
            raise UsageError(
                f"{earlier.path} is a plan with {key} {earlier.asked[key]}, and this one has {value}:"
                " plan both for the same."
            )
    waiting: dict[tuple[str, str, str], deque[EarlierOp]] = defaultdict(deque)
    for op in earlier.ops:
        waiting[op.key].append(op)
    moved: dict[tuple[Any, ...], list[tuple[PlacedOp, float]]] = defaultdict(list)
    kinds: Counter[str] = Counter()
    for placed in plan.ops:
        before = waiting[(placed.module, placed.kind, placed.op)]
        then = before.popleft() if before else None
        if then is None:
            kinds[placed.kind] += 1
        change = _change(placed, then)
        if change:
            line = (change, placed.op or placed.kind, placed.site, placed.unit, placed.reason)
            moved[line].append((placed, placed.latency_ms.mid - (then.ms if then is not None else 0.0)))
    kinds.subtract(op.key[1] for left in waiting.values() for op in left)
    wins = {index: blocker.win_ms.mid for blocker in plan.blockers for index in blocker.ops}
    lines = [
        _line(
            change,
            [placed for placed, _ in members],
            wins.get(members[0][0].index) or sum(ms for _, ms in members),
        )
        for (change, *_), members in moved.items()
    ]
    lines.sort(key=lambda line: (line.change == "came", -line.ms))
    after = Forecast(plan.latency_ms, plan.share["ANE"], len(plan.islands), len(plan.crossings))
    changed = {kind: number for kind, number in sorted(kinds.items()) if number}
    return Since(earlier.path, earlier.forecast, after, tuple(lines), changed)


def _change(now: PlacedOp, then: EarlierOp | None) -> Change | None:
    """How an op moved; None for one that did not, or that takes no time where it is."""
    if now.unit == "ANE":
        return "came" if then is not None and then.unit != "ANE" else None
    if not now.latency_ms.mid:
        return None
    if then is None:
        return "new"
    return "left" if then.unit == "ANE" else None


def _line(change: Change, placed: list[PlacedOp], ms: float) -> MovedLine:
    first = placed[0]
    site = first.site or first.caller
    name = first.op or first.kind
    return MovedLine(change, name, len(placed), first.unit, ms, first.reason, first.rule, site, first.module)
