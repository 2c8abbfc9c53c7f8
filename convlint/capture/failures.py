"""Names for what stops a capture: the closed vocabulary that capture rules match on."""

from __future__ import annotations

import re

from convlint.model import CaptureFailure, Site
from convlint.text import single_line
from convlint.usercode.sites import place_of_exception, place_of_text

PATTERNS: tuple[tuple[str, str], ...] = (
    ("time-limit", r"^TimeLimit|time limit"),
    ("owned-name", r"^OwnedName:"),
    # A bare symbol is no comparison: float(), int() or math wanted the number itself.
    ("python-number", r"guard on data-dependent expression z?u\w*\d+ \("),
    ("data-dependent-branch", r"GuardOnDataDependentSymNode|guard on data-dependent expression"),
    ("tensor-text", r"FakeTensor\.__format__"),
    ("numpy-call", r"\.numpy\(\)|numpy\(\) is not supported|__array__|can't convert .* to numpy|to_numpy"),
    ("item-call", r"_local_scalar_dense|aten\.item|\.item\(\)|\.tolist\(\)|value out of (a )?tracing tensor"),
    (
        "data-dependent-shape",
        r"DynamicOutputShape|DataDependentOutput|aten\.nonzero|unbacked|aten\.masked_select",
    ),
    (
        "data-dependent-index",
        r"PendingUnbackedSymbol|slice indices must be integers.*Sym|indices.*data-dependent",
    ),
    (
        "unsupported-output",
        r"not supported (as|in) (an )?output|unsupported (type|output)|register_dataclass|pytree",
    ),
    ("no-fake-implementation", r"no fake impl registered|register_fake|register a fake"),
    (
        "fake-tensor",
        r"FakeTensor|fake tensor|[Mm]eta (device|tensor)|device meta|UnsupportedFakeTensor|data pointer",
    ),
    (
        "shape-error",
        r"shapes? cannot be multiplied|size mismatch|must match the size|must match except|"
        r"Expected .*D|expected input\[|invalid for input of size|channels?, but got",
    ),
    (
        "unsupported-python",
        r"Unsupported|torch\._dynamo|NotImplementedError|not traceable|TraceError|control flow",
    ),
)
"""Tried in order against "ExceptionType: message"; torch has no stable codes for these."""


_ASSERTIONS = ("assert ", "assert(", "torch._check", "torch._assert")


def failure_kind(error: BaseException) -> str:
    """The word for an exception, "unknown" where no pattern fits."""
    text = f"{type(error).__name__}: {error}"
    for kind, pattern in PATTERNS:
        if re.search(pattern, text):
            return kind
    return "unknown"


def describe_failure(method: str, error: BaseException) -> CaptureFailure:
    """What stopped ``method``, at the user's line."""
    place = place_of_exception(error)
    if place.site is None:
        place = place_of_text(str(error))
    site = getattr(error, "site", None) or place.site
    kind = failure_kind(error)
    if kind == "data-dependent-branch" and (asserts(site) or asserts(place.caller)):
        kind = "data-dependent-assertion"
    return CaptureFailure(
        method=method,
        kind=kind,
        error_type=type(error).__name__,
        message=_first_paragraph(str(error)),
        site=site,
        caller=place.caller,
    )


def asserts(line: Site | None) -> bool:
    """Whether a line is an assertion: what it reads is checked, and nothing is computed of it."""
    return line is not None and line.source.startswith(_ASSERTIONS)


def _first_paragraph(text: str) -> str:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        line = single_line(paragraph, 600)
        if line:
            return line
    return ""
