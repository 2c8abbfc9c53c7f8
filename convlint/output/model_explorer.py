"""Node data for Model Explorer: the unit of each node of the exported program, and its microseconds.

Model Explorer draws a program that ``torch.export.save`` wrote, and colours its nodes by such a file.
https://github.com/google-ai-edge/model-explorer/wiki/2.-User-Guide#custom-node-data
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from convlint.destination import FileKind
from convlint.model.placement import Plan, Unit

COLOURS: dict[Unit, tuple[str, str]] = {
    "ANE": ("#0072b2", "#ffffff"),
    "GPU": ("#c95f5f", "#ffffff"),
    "CPU": ("#d97f3f", "#000000"),
}
"""Background and text of the nodes of each unit: those of the page."""

GRAPH = "graph"
"""The name that Model Explorer's adapter for exported programs gives to the graph."""

_HEAD = '{"graph": {"name": "convlint: '
NODE_DATA = FileKind("node data that convlint wrote", lambda head: head.startswith(_HEAD.encode()))


def render_node_data(plan: Plan) -> str:
    """The file, by the names of the nodes as ``torch.export.export`` gives them.

    A node that became several ops has their times together, and the colour of the unit with most of it.
    What the passes of coremltools made of no node of the model is left out.
    """
    times: dict[str, dict[Unit, float]] = defaultdict(lambda: defaultdict(float))
    for op in plan.ops:
        if op.node:
            times[op.node][op.unit] += 1000 * op.latency_ms.mid
    results: dict[str, Any] = {}
    for node, spent in times.items():
        background, text = COLOURS[max(spent, key=lambda unit: spent[unit])]
        value = float(f"{sum(spent.values()):.4g}")
        results[node] = {"value": value, "bgColor": background, "textColor": text}
    name = f"convlint: µs on {plan.chip} (blue ANE, red GPU, orange CPU)"
    return json.dumps({GRAPH: {"name": name, "results": results}}, ensure_ascii=False) + "\n"
