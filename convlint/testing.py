"""The assertion for test-suites of any kind: pytest, unittest and plain scripts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from convlint.errors import UsageError
from convlint.model import Report

__unittest = True  # unittest leaves the frames of such modules out of its tracebacks


def assert_convertible(
    model: Any,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    parity: bool | str | None = None,
    **options: Any,
) -> Report:
    """Raise an ``AssertionError`` whose text is the report, unless the model converts to Core ML.

    ``inputs`` are tensors, or texts such as ``"1x3x224x224"`` and ``"mask=1x16:bool"``. ``options``
    are those of :func:`convlint.check`: ``target``, ``select``, ``ignore``, ``fail_on``, ``trial``.
    ``parity`` (True, "float32" or "float16") also runs the converted program and compares it with PyTorch.
    A finding at or above ``fail_on`` fails too, even where the model converts. Returns the report.
    """
    __tracebackhide__ = True
    report = quiet_check(model, inputs, kwargs, parity=parity, **options)
    if report.exit_code or report.convertible != "yes":
        raise AssertionError(failure_text(report))
    return report


def quiet_check(
    model: Any,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    parity: bool | str | None = None,
    **options: Any,
) -> Report:
    """:func:`convlint.check` without the warnings of torch and coremltools."""
    from convlint.checking.check import check

    if parity not in (None, False, True, "float32", "float16"):
        raise UsageError(f"parity is True, 'float32' or 'float16', not {parity!r}.")
    if parity:
        options["parity"] = "float32" if parity is True else parity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check(model, inputs, kwargs, **options)


def failure_text(report: Report) -> str:
    """The report under a line with what was expected."""
    from convlint.output.terminal import render_text

    return f"{report.model} was to convert to Core ML for {report.target}\n\n{render_text(report)}"
