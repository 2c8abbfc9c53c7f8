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
    """:func:`convlint.check` with inputs in words too, and without the warnings of torch and coremltools."""
    from convlint.check import check

    if parity not in (None, False, True, "float32", "float16"):
        raise UsageError(f"parity is True, 'float32' or 'float16', not {parity!r}.")
    if parity:
        options["parity"] = "float32" if parity is True else parity
    args, keywords = _tensors(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check(model, args, {**keywords, **(kwargs or {})}, **options)


def failure_text(report: Report) -> str:
    """The report under a line that says what was expected."""
    from convlint.output.terminal import render_text

    return f"{report.model} was to convert to Core ML for {report.target}\n\n{render_text(report)}"


def _tensors(inputs: Any) -> tuple[Any, dict[str, Any]]:
    """Positional and keyword arguments, made of texts where the inputs are texts."""
    texts = (inputs,) if isinstance(inputs, str) else inputs
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(each, str) for each in texts):
        return inputs, {}
    from convlint.inputs import make_tensors, parse_inputs

    return make_tensors(parse_inputs(texts))
