"""The blockers, which keep ops off the Neural Engine, ordered by the gain of removing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convlint.model.placement import Blocker, Plan
from convlint.placement.estimate import change_ms
from convlint.placement.planner import Division, Planner, shifted

MOST = 24
"""How many blockers are priced; each price needs a new division of the whole program."""


def blockers_of(
    planner: Planner, division: Division, plan: Plan, replacements: Mapping[str, Sequence[str]]
) -> tuple[Blocker, ...]:
    """The blockers, most expensive first. Ops refused at one line for one reason are one blocker."""
    if "ANE" not in planner.asked or not planner.device.chip.ane_tflops:
        return ()
    groups: dict[object, list[int]] = {}
    for op in plan.ops:
        if op.refused and op.times["CPU"] + op.times["ANE"] > 0:
            groups.setdefault((op.kind, op.reason, op.site), []).append(op.index)
    change = change_ms(planner.device.chip)
    dearest = sorted(groups.values(), key=lambda members: -_estimate(plan, members, change))
    blockers = [_blocker(planner, division, plan, members, replacements) for members in dearest[:MOST]]
    return tuple(sorted(blockers, key=lambda blocker: -blocker.win_ms.mid))


def _estimate(plan: Plan, members: Sequence[int], change: float) -> float:
    """The possible gain of a group, before it is priced: its own time, and a change of unit for each op."""
    return sum(plan.ops[index].latency_ms.mid + change for index in members)


def _blocker(
    planner: Planner,
    division: Division,
    plan: Plan,
    members: list[int],
    replacements: Mapping[str, Sequence[str]],
) -> Blocker:
    freed = planner.division(freed=frozenset(members))
    op = plan.ops[members[0]]
    return Blocker(
        kind=op.kind,
        op=op.op,
        ops=tuple(members),
        reason=op.reason,
        confidence=op.confidence,
        source=op.source,
        win_ms=shifted(plan.latency_ms, max(division.milliseconds - freed.milliseconds, 0.0)),
        islands=(division.ane_islands, freed.ane_islands),
        crossings=(len(division.crossings), len(freed.crossings)),
        rule=op.rule,
        site=op.site,
        caller=op.caller,
        modules=tuple(dict.fromkeys(plan.ops[index].module for index in members)),
        replacements=tuple(replacements.get(op.rule, ())),
    )
