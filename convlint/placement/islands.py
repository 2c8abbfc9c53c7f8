"""The graph of a divided program: islands, crossings and the longest chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from convlint.model.placement import Crossing, Unit
from convlint.placement.operations import ITEM_BYTES, Operation, dense_bytes, stored_dtype

if TYPE_CHECKING:
    import networkx as nx


def graph_of(operations: Sequence[Operation]) -> nx.DiGraph[int]:
    """The program as a graph of indices; an edge goes from the producer of a value to its reader."""
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(operations)))
    graph.add_edges_from((source, index) for index, each in enumerate(operations) for source in each.reads)
    return graph


def islands_of(graph: nx.DiGraph[int], units: Sequence[Unit]) -> list[tuple[int, ...]]:
    """Islands: connected ops of one unit that run without leaving it, in the order of their first op.

    Each op has a phase: the most changes of unit on a path to it. Ops of one phase and unit never wait for
    an op of another unit between them, so connected ones form one segment.
    """
    import networkx as nx

    phases = phases_of(graph, units)
    same = nx.Graph()
    same.add_nodes_from(graph)
    same.add_edges_from(
        (source, target)
        for source, target in graph.edges
        if units[source] == units[target] and phases[source] == phases[target]
    )
    return sorted(tuple(sorted(members)) for members in nx.connected_components(same))


def phases_of(graph: nx.DiGraph[int], units: Sequence[Unit]) -> list[int]:
    """The most changes of unit on a path to each op."""
    phases = [0] * len(units)
    for index in range(len(units)):  # program order is a topological order
        for source in graph.predecessors(index):
            phases[index] = max(phases[index], phases[source] + (units[source] != units[index]))
    return phases


def crossings_of(
    operations: Sequence[Operation],
    units: Sequence[Unit],
    islands: Iterable[tuple[int, ...]],
    switch_ms: float,
    gb_s: float,
) -> list[Crossing]:
    """Every value that changes its unit, once for each island that reads it.

    The first value between two islands has the price of the change; each has the price of copying it.
    """
    island = {index: number for number, members in enumerate(islands) for index in members}
    seen: set[tuple[int, int]] = set()
    paid: set[tuple[int, int]] = set()
    crossings = []
    for target, operation in enumerate(operations):
        for source in operation.reads:
            if units[source] == units[target] or (source, island[target]) in seen:
                continue
            seen.add((source, island[target]))
            pair = (island[source], island[target])
            price = 0.0 if pair in paid else switch_ms
            paid.add(pair)
            size = sum(
                dense_bytes(meta, ITEM_BYTES.get(stored_dtype(meta.dtype), 2))
                for meta in operations[source].outputs
            )
            cost = price + size / (gb_s * 1e6)
            crossings.append(Crossing(source, target, units[source], units[target], size, cost))
    return crossings


def longest_chain(graph: nx.DiGraph[int], times: Sequence[float]) -> tuple[int, ...]:
    """The slowest path through the graph, which no parallelism could shorten."""
    ends: list[float] = []
    before: list[int] = []
    for index, time in enumerate(times):
        source = max(graph.predecessors(index), key=lambda maker: ends[maker], default=-1)
        ends.append(time + (ends[source] if source >= 0 else 0.0))
        before.append(source)
    if not ends:
        return ()
    index = max(range(len(ends)), key=lambda number: ends[number])
    chain = []
    while index >= 0:
        chain.append(index)
        index = before[index]
    return tuple(reversed(chain))
