"""One conversion to try, and what its process reports of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convlint.coreml.precision import Precision
from convlint.model import Frontend, TrialLevel
from convlint.text import single_line

Reader = Callable[[Any], tuple[Sequence[Any], Sequence[str]]]
"""Makes plain picklable operations of a MIL program, and says the origin of each (:func:`stack_text`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion. ``model`` is an ``ExportedProgram``, or a traced ``ScriptModule`` with ``inputs``.

    ``read`` looks at the MIL program after all passes, in the process of the conversion.
    """

    model: Any
    frontend: Frontend
    target: str
    level: TrialLevel
    output: str | None = None
    known: frozenset[str] = frozenset()
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    weight_bytes: int = 0
    precision: Precision | None = None
    read: Reader | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure that belongs to no single node of the frontend."""

    stage: str
    error_type: str
    error: str
    op: str = ""
    node: str = ""
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The conversion ran to its end; ``mil_ops`` counts the operations of the MIL program.

    ``unwritten`` says why its package could not be written: no fault of the model.
    """

    mil_ops: dict[str, int]
    output: str = ""
    unwritten: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What :attr:`Job.read` made of the converted program."""

    operations: Sequence[Any]
    origins: Sequence[str]


@dataclass(frozen=True, slots=True)
class Passed:
    """The operations, without overload, of which the frontend converted a call before it ended."""

    operations: tuple[str, ...]


def failed(stage: str, error: BaseException) -> Failed:
    """What ``error`` says of a stage."""
    return Failed(stage, type(error).__name__, single_line(error, 800))


def call_nodes(job: Job) -> list[Any]:
    """The calls of an exported program; a trace has none that torch.fx knows."""
    if job.frontend != "export":
        return []
    return [node for node in job.model.graph.nodes if node.op == "call_function"]
