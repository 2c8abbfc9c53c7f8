"""The nouns of parity: the comparison of a converted program with PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convlint.model.findings import Frontend
from convlint.model.form import Form
from convlint.model.graph import Site
from convlint.model.rule import Severity
from convlint.model.shown import Shown
from convlint.text import count, shown_path, single_line

Precision = Literal["float16", "float32"]
Status = Literal["equal", "differs", "overflows", "refused", "unsupported"]


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of all outputs together.

    ``max_rel_error`` is relative to the largest value of its output. ``nonfinite`` counts values that are
    infinite or NaN and should not be, ``misplaced`` those that should be and are not, and ``poles`` those of
    the misplaced that are numbers. ``scale`` is the largest expected value.
    """

    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    snr_db: float = float("inf")
    psnr_db: float = float("inf")
    nonfinite: int = 0
    misplaced: int = 0
    scale: float = 0.0
    poles: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """One place where the two differ: the value in PyTorch, and the value in the program.

    ``arguments`` are the arguments of the call at that place, for calls that work element by element.
    """

    pytorch: float
    program: float
    arguments: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first operation of the converted program whose value is outside the tolerance.

    ``mil_op`` is empty where the value lacked the declared shape, and so could not be compared, and where a
    call wrote to memory that other values share, which the program did not follow. ``undefined`` says why
    PyTorch itself does not define the result of the call.
    """

    mil_op: str
    mil_name: str
    op: str
    module: str
    site: Site | None
    caller: Site | None
    errors: Errors
    script: str = ""
    example: Example | None = None
    undefined: str = ""

    @property
    def example_text(self) -> str:
        """``log(0) is -inf in PyTorch and -103.28 in the program``; empty where no place is known."""
        if self.example is None:
            return ""
        name = self.op.split(".")[1] if "." in self.op else self.op
        numbers = ", ".join(f"{value:.6g}" for value in self.example.arguments)
        arguments = f"({numbers})" if numbers else ""
        there, here = f"{self.example.pytorch:.6g}", f"{self.example.program:.6g}"
        return f"{name}{arguments} is {there} in PyTorch and {here} in the program"

    def __str__(self) -> str:
        where = f" at {self.site}" if self.site is not None else ""
        module = f" in {self.module}" if self.module else ""
        return f"{self.op}{where}{module}, converted to {self.mil_op or 'an operation'} {self.mil_name!r}"


@dataclass(frozen=True, slots=True)
class DeviceRun:
    """The run of the example through Core ML itself, on one compute unit."""

    unit: str
    status: Status
    errors: Errors = Errors()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SizeRun:
    """The run of a program with flexible sizes at ``sizes``, such as ``1x3x224x224 and 1x64``."""

    sizes: str
    status: Status
    errors: Errors = Errors()
    detail: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Parity(Shown):
    """The result of running the converted program and comparing it with PyTorch.

    ``status`` is the result of the executor, also at the ``sizes`` where these may vary; ``devices`` are the
    results of Core ML itself, on macOS only. "equal": every output is within tolerance for every seed.
    "overflows": infinities or NaN where PyTorch has numbers. "refused": torch or coremltools does not
    convert it; "unsupported": the executor cannot run it; ``detail`` says why. ``errors`` are those of the
    run that differs, if any. ``severity`` is that of the rule that names the differing call; a difference at
    special numbers only is a warning. ``remarks`` qualify equal outputs. ``form`` says which form was
    compared of a model that has more than one; in the parity of a report it is that of the report.
    """

    status: Status
    target: str
    precision: Precision
    frontend: Frontend
    seeds: int
    tolerance: float
    errors: Errors = Errors()
    first_divergence: Divergence | None = None
    detail: str = ""
    seconds: float = 0.0
    devices: tuple[DeviceRun, ...] = ()
    sizes: tuple[SizeRun, ...] = ()
    severity: Severity = "error"
    remarks: tuple[str, ...] = ()
    form: Form | None = None

    @property
    def ran_on(self) -> tuple[str, ...]:
        """The names of what ran the program."""
        return ("executor", *(run.unit for run in self.devices))

    def __bool__(self) -> bool:
        raise TypeError("a Parity has five states and no truth value; look at .status")

    @property
    def summary(self) -> str:
        """What came out at which precision: the largest error, or why there is none."""
        if self.status in ("refused", "unsupported"):
            return f"{self.status}: {single_line(self.detail)}"
        how = f"{self.status} at {self.precision} for {self.target}, {count(self.seeds, 'run')}"
        if self.status == "overflows":
            return f"{how}: {count(self.errors.nonfinite, 'value')} infinite or NaN that should not be"
        return f"{how}: largest error {self.max_rel_error:.2g} of an output's largest value{self._first}"

    @property
    def _first(self) -> str:
        """Where the first difference is, as the end of a sentence."""
        first = self.first_divergence
        if first is None:
            return ""
        site = first.site or first.caller
        return f", first in {first.op}" + (f" at {shown_path(site.path)}:{site.line}" if site else "")

    @property
    def max_abs_error(self) -> float:
        return self.errors.max_abs_error

    @property
    def max_rel_error(self) -> float:
        return self.errors.max_rel_error

    @property
    def snr_db(self) -> float:
        return self.errors.snr_db

    @property
    def psnr_db(self) -> float:
        return self.errors.psnr_db
