"""The start of a search where torch.export gives no program, or one with sizes that Core ML cannot know.

The model is recorded, cut, and exported again from the recording. The assumptions are reported as steps,
each at its line, so that nothing is decided silently.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from convlint import torch_adapter
from convlint.capture.build import borrowed
from convlint.capture.failures import asserts
from convlint.capture.methods import Inputs
from convlint.capture.recording import RecordedModule, Recording, record
from convlint.capture.walk import node_meta, node_place, op_name
from convlint.model import Site, TrialFailure
from convlint.model.applied import Applied, CutTensor, LeftCall, LeftOut
from convlint.numerics.comparison import fixed_inputs
from convlint.numerics.samples import own
from convlint.repair.applied import add_call
from convlint.repair.recorded.reference import FROZEN, Reference, frozen_for, replays
from convlint.sandbox import time_limit, user_code
from convlint.text import single_line
from convlint.torch_adapter import pytree
from convlint.usercode.sites import choose_frames


@dataclass(frozen=True, slots=True)
class Replay:
    """A recorded model: the module to export, its reference, and its assumptions.

    ``problem`` says why it may not replace the model at all.
    """

    module: RecordedModule | None
    reference: nn.Module
    steps: tuple[Applied, ...] = ()
    left_out: LeftOut | None = None
    problem: str = ""

    @property
    def safe(self) -> bool:
        """Whether it computes the same as the model for all inputs of these shapes, as far as was tried."""
        return all(step.safety == "safe" for step in self.steps)


def replay_of(
    module: nn.Module, inputs: Inputs, refused: TrialFailure | None, limit: float | None, seeds: int
) -> Replay:
    """Record ``module``; ``refused`` is the refusal of torch.export, None where sizes are unknown."""
    try:
        with time_limit(limit), borrowed(module), user_code(), torch_adapter.stack_frames(choose_frames):
            args, kwargs = fixed_inputs(inputs, 0)
            recording = record(module, *pytree.tree_map(own, (args, kwargs)))
            if recording.cut is not None and not recording.cut.ends:
                line = recording.cut.first[0]
                text = f"nothing is computed before {op_name(line.target)}, whose sizes follow from data"
                return Replay(None, module, problem=text)
            problem = replays(module, recording, (args, kwargs))
            if not problem and recording.decisions and frozen_for(module, recording, inputs, seeds):
                problem = FROZEN
    except Exception as error:  # user code and torch may raise anything
        text = f"recording one run raised {type(error).__name__}: {single_line(error, 300)}"
        return Replay(None, module, problem=text)
    steps = tuple(_steps(recording, refused))
    if problem:
        return Replay(None, module, steps, problem=problem)
    whole = recording.cut is None and not recording.decisions
    reference = module if whole else Reference(module, recording)
    return Replay(RecordedModule(module, recording), reference, steps, left_out(recording))


def _steps(recording: Recording, refused: TrialFailure | None) -> Iterator[Applied]:
    if refused is not None:
        yield Applied(
            "torch.export",
            "record",
            f"captured by one recorded run, since torch.export refuses the model: {refused.error[:160]}",
            site=refused.site,
            caller=refused.caller,
        )
    changes: dict[tuple[Any, ...], Applied] = {}
    for decision in recording.decisions:
        place = node_place(decision.node)
        if asserts(place.site) or asserts(place.caller):
            title = "the assertion held for the example input, and the program checks nothing"
            add_call(changes, decision.node, "branch", title, "safe")
            continue
        title = (
            f"the value that Python reads here was {decision.value!r} for the example input, and is"
            " assumed to be that always"
        )
        add_call(changes, decision.node, "branch", title, "unsafe")
    for node in recording.cut.first if recording.cut is not None else ():
        title = "left out of the model with all that follows from it: its sizes follow from data"
        add_call(changes, node, "split", title, "unsafe")
    yield from changes.values()


def left_out(recording: Recording) -> LeftOut | None:
    """The part of the model that a recording leaves out; None where it is complete."""
    cut = recording.cut
    if cut is None:
        return None
    outputs = []
    for end in cut.ends:
        place, meta = node_place(end), node_meta(end)
        assert meta is not None
        outputs.append(CutTensor("", _variable(place.site), meta, place.site, place.caller))
    calls: dict[tuple[str, Site | None], LeftCall] = {}
    kept_modules, left_modules = set(), {}
    for node in recording.run.traced.graph.nodes:
        if node.op != "call_function":
            continue
        parts = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path]
        if node not in cut.left:
            kept_modules.update(parts)
            continue
        left_modules.update(dict.fromkeys(parts))
        if getattr(node.target, "_schema", None) is None:
            continue
        place, op = node_place(node), op_name(node.target)
        old = calls.get((op, place.site))
        calls[op, place.site] = LeftCall(op, old.calls + 1 if old else 1, place.site, place.caller)
    gone = [path for path in left_modules if path not in kept_modules]
    outermost = tuple(path for path in gone if path.rpartition(".")[0] not in gone)
    return LeftOut(tuple(outputs), tuple(calls.values()), outermost)


def _variable(site: Site | None) -> str:
    """The variable that a line assigns to: "scores" of ``scores = x.sigmoid()``."""
    try:
        (statement,) = ast.parse(site.source.strip() if site is not None else "").body
    except (SyntaxError, ValueError):
        return ""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""
