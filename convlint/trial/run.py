"""From a captured model to a :class:`~convlint.model.Trial`, whatever the converter does."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convlint.capture.names import exported_name, located
from convlint.capture.walk import node_module, node_place, op_name
from convlint.child import ChildResult, run_in_child
from convlint.coreml.precision import Precision
from convlint.destination import UNWRITTEN, checked_package, put_package, reason_of
from convlint.files import beside
from convlint.model import Frontend, Graph, Trial, TrialFailure, TrialLevel, TrialStatus
from convlint.sandbox import stop_if_interrupted
from convlint.trial.conversion import convert
from convlint.trial.job import Failed, Finished, Job, Passed, Read, Reader
from convlint.trial.recorder import APART, NodeFailure, origin_of_traced
from convlint.trial.trace import WRAPPED
from convlint.usercode.sites import NOWHERE, Place, place_of_torchscript

# Ops that look at the shape and dtype of their argument alone: what they return is a constant.
CREATORS = (
    "aten.new_",
    "aten.zeros_like",
    "aten.ones_like",
    "aten.full_like",
    "aten.full",
    "aten.ones",
    "aten.zeros",
)


def run_trial(
    model: Any,
    graph: Graph | None,
    frontend: Frontend,
    target: str,
    level: TrialLevel,
    timeout: float | None,
    output: str | None = None,
    inputs: tuple[Any, ...] = (),
    precision: Precision | None = None,
    outputs: tuple[Any, ...] = (),
    read: Reader | None = None,
) -> Trial:
    """Convert ``model`` (an ``ExportedProgram``, or TorchScript) in a child process.

    A package for ``output`` is made beside it, and put in its place when it is complete. What ``read`` makes
    of the converted program is :attr:`Trial.operations`.
    """
    import coremltools

    package = checked_package("output", output) if output is not None else None
    temporary = beside(Path(package), ".mlpackage") if package is not None else None

    known = (
        frozenset(call.name for call in graph.calls if call.const or call.op.startswith(CREATORS))
        if graph
        else ()
    )
    job = Job(
        model=model,
        frontend=frontend,
        target=target,
        level=level,
        output=None if temporary is None else str(temporary),
        known=frozenset(known),
        inputs=inputs,
        outputs=outputs,
        precision=precision,
        read=read,
        weight_bytes=graph.parameter_bytes if graph else 0,
    )
    start = time.perf_counter()
    if not hasattr(os, "fork"):
        outcome = ChildResult("crashed", detail="this system cannot fork a process for the trial")
        return _trial(job, outcome, None, "", start, str(coremltools.__version__))
    try:
        outcome = run_in_child(lambda channel: convert(job, channel), timeout)
        problem = _kept(outcome, temporary, package)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return _trial(job, outcome, package, problem, start, str(coremltools.__version__))


def _kept(outcome: ChildResult, temporary: Path | None, package: str | None) -> str:
    """Put the package that was made in its place; why that was not possible, empty where it was."""
    finished = next((sent for sent in outcome.sent if isinstance(sent, Finished)), None)
    if outcome.ending != "finished" or finished is None:
        return ""
    if finished.unwritten or temporary is None or package is None:
        return finished.unwritten.rstrip(".")
    stop_if_interrupted()
    try:
        put_package(str(temporary), package)
    except OSError as error:
        return reason_of(error)
    return ""


def _trial(
    job: Job, outcome: ChildResult, package: str | None, unwritten: str, start: float, release: str
) -> Trial:
    """What came of the child, in the words of a report."""
    nodes = _Nodes(job)
    failures = [nodes.failure(sent) for sent in outcome.sent if isinstance(sent, (NodeFailure, Failed))]
    finished = next((sent for sent in outcome.sent if isinstance(sent, Finished)), None)
    passed = next((sent for sent in outcome.sent if isinstance(sent, Passed)), None)
    status: TrialStatus
    if outcome.ending == "finished":
        status = "converted" if finished is not None and not failures else "failed"
    else:
        status = outcome.ending
        failures.append(nodes.stopped(outcome))
    return Trial(
        status=status,
        failures=tuple(failures),
        seconds=time.perf_counter() - start,
        level=job.level,
        frontend=job.frontend,
        coremltools=release,
        detail=f"{UNWRITTEN}: {unwritten}" if unwritten else outcome.detail,
        output=package if package and status == "converted" and not unwritten else "",
        mil_ops=finished.mil_ops if finished else {},
        passed=passed.operations if passed else (),
        traced=tuple(sorted({_bare(kind) for kind, _, _ in nodes.places.values()})),
        operations=nodes.placed(outcome.sent) if status == "converted" else (),
    )


class _Nodes:
    """Finds the user's line and module of what the conversion names."""

    def __init__(self, job: Job) -> None:
        self.exported = job.frontend == "export"
        self.order: list[Any] = []
        self.places: dict[str, tuple[str, Place, str]] = {}
        if self.exported:
            self.order = [node for node in job.model.graph.nodes if node.op == "call_function"]
            self.by_name = {node.name: node for node in self.order}
        else:
            self.by_name = {}
            self.places = _torchscript_places(job.model)

    def failure(self, sent: NodeFailure | Failed) -> TrialFailure:
        if isinstance(sent, NodeFailure):
            if sent.traced is not None:
                op, place, module = _traced_place(*sent.traced)
            else:
                op, place, module = self.locate(sent.node, sent.kind)
            return TrialFailure(
                op,
                sent.error,
                sent.error_type,
                place.site,
                place.caller,
                module,
                sent.node,
                "frontend",
                sent.follows,
            )
        if APART in sent.node:
            op, place, module = _traced_place(*origin_of_traced(sent.node))
        else:
            op, place, module = self.locate(sent.node, sent.op)
        return TrialFailure(
            op,
            sent.error,
            sent.error_type,
            place.site,
            place.caller,
            module,
            sent.node,
            sent.stage,
            sent.follows,
        )

    def locate(self, name: str, kind: str) -> tuple[str, Place, str]:
        node = located(self.by_name, name)
        if node is not None:
            return op_name(node.target), node_place(node), node_module(node)[0]
        place = self.places.get(name)
        # coremltools numbers the values of a trace anew: the same name may be another node's.
        return place if place is not None and _bare(place[0]) == _bare(kind) else (kind, NOWHERE, "")

    def placed(self, messages: Sequence[Any]) -> tuple[Any, ...]:
        """The operations that were read, each with the op, the line and the module that it came from."""
        return tuple(
            replace(
                operation,
                op=op,
                site=place.site,
                caller=place.caller,
                module=module,
                module_type=kind,
                node=self.exported_from(origin),
            )
            for message in messages
            if isinstance(message, Read)
            for operation, origin in zip(message.operations, message.origins, strict=True)
            for op, place, module, kind in [self.origin(origin)]
        )

    def exported_from(self, text: str) -> str:
        """The node of the program that ``torch.export.export`` gives; empty where there is none."""
        node = self.by_name.get(text) if self.exported else None
        return exported_name(node) if node is not None else ""

    def origin(self, text: str) -> tuple[str, Place, str, str]:
        """Op, line, module and its type of what an operation came from."""
        if not text:
            return "", NOWHERE, "", ""
        if not self.exported:
            return *_traced_place(*origin_of_traced(text)), ""
        node = self.by_name.get(text)
        if node is None:  # the passes made it
            return "", NOWHERE, "", ""
        return op_name(node.target), node_place(node), *node_module(node)

    def stopped(self, outcome: ChildResult) -> TrialFailure:
        """The failure that stands for a conversion that hung or died."""
        doing = "before the first op"
        op, place, module, name = "", NOWHERE, "", ""
        if 0 <= outcome.position < len(self.order):
            node = self.order[outcome.position]
            name = node.name
            op, place, module = self.locate(name, "")
            doing = f"while it converted {op}"
            if outcome.position == len(self.order) - 1:
                doing = f"while or after it converted the last op, {op}"
        what = "timed out" if outcome.ending == "timeout" else "died"
        error = f"the conversion {what} {doing}: {outcome.detail}"
        kind = "TimeoutError" if outcome.ending == "timeout" else "ProcessDied"
        return TrialFailure(op, error, kind, place.site, place.caller, module, name, "process")


def _bare(kind: str) -> str:
    return kind.rpartition(".")[2].strip("_").lower()


def _traced_place(kind: str, source: str, scope: str) -> tuple[str, Place, str]:
    """Op, line and module of a node of a trace."""
    module = scope.rpartition("/")[2].removeprefix("__module.").removeprefix(WRAPPED).removeprefix(".")
    return (
        kind,
        place_of_torchscript(source.replace("\\n", "\n")),
        "" if module == "__module" else module,
    )


def _torchscript_places(traced: Any) -> dict[str, tuple[str, Place, str]]:
    places: dict[str, tuple[str, Place, str]] = {}

    def visit(block: Any) -> None:
        for node in block.nodes():
            kind = node.kind().replace("::", ".")
            place = _traced_place(kind, repr(node.sourceRange())[1:-1], node.scopeName())
            for output in node.outputs():
                places[output.debugName()] = place
            for inner in node.blocks():
                visit(inner)

    visit(traced.inlined_graph)
    return places
