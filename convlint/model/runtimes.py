"""The nouns of a comparison of runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convlint.model.form import Form
from convlint.model.graph import Site

RuntimeStatus = Literal["accepts", "accepts in part", "refuses", "not installed", "timed out", "crashed"]


@dataclass(frozen=True, slots=True)
class RefusedOp:
    """An op that a runtime refuses, or keeps off its accelerator."""

    op: str
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying one runtime.

    ``bytes`` is the size of its file. ``max_rel_error`` compares a run of that with PyTorch, relative to the
    largest value; it is None where the file was not run, and ``not_run`` says why. ``left`` are the ops that
    run outside the accelerator. ``first_only``: the runtime stops at its first refusal.
    """

    bytes: int = 0
    max_rel_error: float | None = None
    not_run: str = ""
    blockers: tuple[RefusedOp, ...] = ()
    left: tuple[RefusedOp, ...] = ()
    error: str = ""
    first_only: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeResult:
    """One row of the table."""

    runtime: str
    title: str
    status: RuntimeStatus
    install: str
    release: str = ""
    tried: Tried = Tried()
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runtimes side by side for one model."""

    model: str
    target: str
    results: tuple[RuntimeResult, ...]
    form: Form | None = None

    @property
    def accepted(self) -> bool:
        """Whether any runtime takes the model."""
        return any(result.status.startswith("accepts") for result in self.results)
