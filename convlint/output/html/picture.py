"""The model as a picture: modules as nested boxes, ops in them, and the values between them.

It is made from a plan where there is one, else from the captured graph, which knows no compute units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from convlint.model import Finding, Graph, OpCall, Report, Site, TensorMeta
from convlint.model.placement import Interval, Plan, Unit
from convlint.output.html.boxes import Box, Boxes
from convlint.output.html.calls import NOTHING, Calls, Given, given_to, tensors_in

FOLDED = "computed when the model is converted"

_NO_TIME = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Node:
    """An op, or an input of the model. ``name`` is its name in the program, ``label`` that in the picture."""

    box: int
    label: str
    name: str
    kind: Literal["op", "input"] = "op"
    op: str = ""
    outputs: tuple[TensorMeta, ...] = ()
    site: Site | None = None
    unit: Unit | None = None
    cause: str = ""
    reason: str = ""
    confidence: str = ""
    source: str = ""
    latency: Interval = _NO_TIME
    given: Given = NOTHING
    flops: int = 0
    weight_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes, each after the one around it; nodes in program order; edges as pairs of nodes.

    ``crossings`` gives the milliseconds of the edges where a value changes its unit. ``blockers`` are
    the nodes that keep others off the Neural Engine.
    """

    boxes: tuple[Box, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    crossings: Mapping[tuple[int, int], float] = field(default_factory=dict)
    blockers: tuple[int, ...] = ()
    timed: bool = False
    planned: tuple[int, ...] = ()
    """The node of each op of the plan."""


def picture_of(report: Report | None, plan: Plan | None = None) -> Picture | None:
    """The picture of a plan or of a report's graph; None without either.

    A plan of the captured ops is drawn on their graph, which also has the folded ops.
    """
    graph = report.graph if report is not None else None
    if plan is not None and plan.ops and (plan.level == "mil" or graph is None):
        return _of_plan(plan, Calls(graph))
    if report is not None and graph is not None and graph.tensor_calls:
        picture = _of_graph(report.model, graph)
        return picture if plan is None or not plan.ops else _placed(picture, plan)
    return None


class Finder:
    """Finds the nodes of a picture that a finding, or a line, is about."""

    def __init__(self, picture: Picture) -> None:
        self._by: dict[tuple[object, ...], list[int]] = {}
        self._boxes = {box.path: number for number, box in reversed(list(enumerate(picture.boxes)))}
        for number, node in enumerate(picture.nodes):
            if node.kind == "input":
                continue
            path = picture.boxes[node.box].path
            keys: list[tuple[object, ...]] = [("call", node.name, node.op)]
            if node.site is not None:
                line = (node.site.path, node.site.line)
                keys += [("op", node.op, path, *line), ("line", path, *line), ("site", *line)]
            for key in keys:
                self._by.setdefault(key, []).append(number)

    def of_finding(self, finding: Finding) -> tuple[int, ...]:
        """The nodes of its calls: of the same calls, else of their op and line, else of the line alone."""
        nodes: dict[int, None] = {}
        for call in finding.calls:
            nodes |= dict.fromkeys(self._of_call(call))
        if not nodes and finding.site is not None:
            nodes |= dict.fromkeys(self._by.get(("site", finding.site.path, finding.site.line), ()))
        return tuple(sorted(nodes))

    def box_of(self, path: str) -> int | None:
        """The innermost box that holds this module path, None for the model itself."""
        while path and path not in self._boxes:
            path = path.rpartition(".")[0]
        return self._boxes[path] if path else None

    def _of_call(self, call: OpCall) -> list[int]:
        keys: list[tuple[object, ...]] = [("call", call.name, call.op)]
        if call.site is not None:
            line = (call.site.path, call.site.line)
            keys += [("op", call.op, call.module, *line), ("line", call.module, *line)]
        return next((self._by[key] for key in keys if key in self._by), [])


def _of_plan(plan: Plan, calls: Calls) -> Picture:
    boxes = Boxes(plan.model)
    for op in plan.ops:
        boxes.put(op.index, op.path, op.module_type, op.site, op.op or op.kind)
    nodes = tuple(
        Node(box, op.kind, op.name, "op", op.op, op.outputs, op.site, given=given_to(calls.of(op)))
        for op, box in zip(plan.ops, boxes.placed(), strict=True)
    )
    return _placed(Picture(boxes.all(), nodes, tuple(plan.edges)), plan, range(len(nodes)))


def _placed(picture: Picture, plan: Plan, places: Sequence[int] = ()) -> Picture:
    """The picture with the plan's facts on its nodes, matched by name where ``places`` is empty.

    Nodes that the plan leaves out are computed when the model is converted, and cost nothing afterwards.
    """
    nodes = list(picture.nodes)
    if not places:
        number_of = {node.name: number for number, node in enumerate(nodes) if node.kind == "op"}
        places = [number_of[op.name] for op in plan.ops]
        nodes = [replace(node, cause=FOLDED) if node.kind == "op" else node for node in nodes]
    for place, op in zip(places, plan.ops, strict=True):
        nodes[place] = replace(
            nodes[place],
            unit=op.unit,
            cause=op.cause,
            reason=op.reason,
            confidence=op.confidence,
            source=op.source,
            latency=op.latency_ms,
            flops=op.flops,
            weight_bytes=op.weight_bytes,
        )
    blocking = {places[index] for blocker in plan.blockers for index in blocker.ops}
    return replace(
        picture,
        nodes=tuple(nodes),
        crossings={(places[each.source], places[each.target]): each.cost_ms for each in plan.crossings},
        blockers=tuple(sorted(blocking)),
        timed=any(op.latency_ms.mid for op in plan.ops),
        planned=tuple(places),
    )


def _of_graph(model: str, graph: Graph) -> Picture:
    boxes = Boxes(model)
    inputs = [port for port in graph.inputs if port.meta is not None]
    calls = graph.tensor_calls
    for number in range(len(inputs)):
        boxes.put(number, (), "", None)
    for number, call in enumerate(calls, len(inputs)):
        path = tuple(call.module.split(".")) if call.module else ()
        boxes.put(number, path, call.module_type, call.site, call.op)
    places = boxes.placed()
    nodes = [
        Node(
            box=places[number], label=port.name, name=port.name, kind="input", outputs=_tensors((port.meta,))
        )
        for number, port in enumerate(inputs)
    ]
    for call, place in zip(calls, places[len(inputs) :], strict=True):
        label = call.op.removeprefix("aten.").partition(".")[0]
        outputs = _tensors(call.outputs)
        nodes.append(Node(place, label, call.name, "op", call.op, outputs, call.site, given=given_to(call)))
    number_of = {node.name: number for number, node in enumerate(nodes)}
    edges: dict[tuple[int, int], None] = {}
    for call in calls:
        for argument in tensors_in(tuple(call.args.values())):
            source = number_of.get(argument.call or argument.name)
            if source is not None:
                edges[source, number_of[call.name]] = None
    return Picture(boxes.all(), tuple(nodes), tuple(edges))


def _tensors(outputs: Iterable[TensorMeta | None]) -> tuple[TensorMeta, ...]:
    return tuple(meta for meta in outputs if meta is not None)
