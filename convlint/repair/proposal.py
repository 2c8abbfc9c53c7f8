"""The changes that would make a refused program convert, searched without weights.

The search of ``convlint fix``, on the program that a check has captured. It tells what would help and what
program would ship; that the changed model computes the same is proved by ``fix`` alone, with weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.methods import quiet_torch
from convlint.coreml.targets import order
from convlint.model import Trial
from convlint.model.repair import Repair
from convlint.repair.changes import applied_changes
from convlint.repair.functional_states import functional_states
from convlint.repair.known_sizes import with_known_sizes
from convlint.repair.search.parameter_writes import without_parameter_writes
from convlint.repair.search.search import Search, convert_in_child
from convlint.repair.search.wrong_numbers import ask_rules
from convlint.repair.sparse_buffers import with_dense_buffers

if TYPE_CHECKING:
    from convlint.trial.job import Reader


@dataclass(frozen=True, slots=True)
class Proposal:
    """The changes, and the last trial of the changed program."""

    repair: Repair
    trial: Trial


def propose_repair(
    program: Any, target: str, timeout: float, read: Reader | None = None, tried: Trial | None = None
) -> Proposal:
    """Search for changes with which coremltools takes ``program``, an ``ExportedProgram`` without data.

    ``tried`` is what coremltools said of ``program`` before. No round begins after ``timeout`` seconds; each
    conversion has as long. The program is left as it is.
    """
    import torch

    with quiet_torch(), torch.no_grad():
        applied: tuple[Any, ...] = ()
        captured = program
        if order(target) < order("iOS18"):
            functional = functional_states(program, lambda name: _buffer(program, name))
            if functional is not None:
                program, applied = functional.program, functional.applied
        program, _ = without_parameter_writes(program)
        program, dense = with_dense_buffers(program)
        changed, known = with_known_sizes(program)
        searched = Search(
            changed,
            convert_in_child(target, timeout, read),
            ask_rules=ask_rules(target),
            seconds=timeout,
            first=tried if changed is captured and _is_of_calls(tried) else None,
        ).run()
    repair = Repair(
        searched.trial.status == "converted" and not searched.wrong,
        (*applied, *dense, *applied_changes(program, known), *applied_changes(changed, searched.changes)),
        searched.remaining,
    )
    return Proposal(repair, searched.trial)


def _is_of_calls(trial: Trial | None) -> bool:
    """Whether calls alone ended a trial, so that another one of the same program would say the same."""
    return (
        trial is not None
        and trial.frontend == "export"
        and trial.status == "failed"
        and all(failure.stage == "frontend" and failure.node for failure in trial.failures)
    )


def _buffer(program: Any, name: str) -> Any:
    """The buffer of this name, zeros of its shape where it has no data."""
    import torch

    value = program.state_dict.get(name, program.constants.get(name))
    return torch.zeros(tuple(map(int, value.shape)), dtype=value.dtype)
