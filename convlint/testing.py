"""The assertions for test-suites of any kind: pytest, unittest and plain scripts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from convlint.errors import UsageError
from convlint.model import Report
from convlint.model.placement import Plan
from convlint.wording import in_python

__unittest = True  # unittest leaves the frames of such modules out of its tracebacks


def assert_convertible(
    model: Any,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    parity: bool | str | None = None,
    full: bool = False,
    **options: Any,
) -> Report:
    """Raise an ``AssertionError`` whose text is the report, unless the model converts to Core ML.

    ``inputs`` are tensors, or texts such as ``"1x3x224x224"`` and ``"mask=1x16:bool"``. ``options``
    are those of :func:`convlint.check`: ``target``, ``select``, ``ignore``, ``fail_on``, ``trial``.
    ``parity`` (True, "float32" or "float16") also runs the converted program and compares it with PyTorch.
    A finding at or above ``fail_on`` fails too, even where the model converts. The text is the report in
    short, or all of it with ``full``; its first and its last line name the reasons. Returns the report.
    """
    __tracebackhide__ = True
    report = quiet_check(model, inputs, kwargs, parity=parity, **options)
    if fails(report):
        raise AssertionError(in_python(failure_text(report, full=full)))
    return report


def assert_placement(
    model: Any,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    chip: str | None = None,
    ane_share: float | None = None,
    outside: Iterable[str] | None = None,
    max_ms: float | None = None,
    full: bool = False,
    **options: Any,
) -> Plan:
    """Raise an ``AssertionError`` unless the model converts, and is forecast to run where it should.

    At least ``ane_share`` (0 to 1) of the time has to be on the Neural Engine of ``chip``, the estimate may
    be at most ``max_ms`` milliseconds, and ``outside`` names every op that the Neural Engine may refuse:
    ``{"topk"}``, as MIL or PyTorch call it; an empty set allows none. What is None is not looked at.
    ``inputs``, ``options`` and ``full`` are as in :func:`assert_convertible`. Returns the plan.
    """
    __tracebackhide__ = True
    wanted = Placement(ane_share, outside, max_ms)
    report = quiet_check(model, inputs, kwargs, chip=chip, **options)
    if problem := placement_failure(report, wanted, full=full):
        raise AssertionError(in_python(problem))
    assert report.plan is not None
    return report.plan


class Placement:
    """What a forecast has to keep; a UsageError for limits that nothing could keep."""

    def __init__(
        self,
        ane_share: float | None = None,
        outside: Iterable[str] | None = None,
        max_ms: float | None = None,
    ) -> None:
        if ane_share is not None and not 0 <= ane_share <= 1:
            raise UsageError(f"ane_share is a share from 0 to 1, not {ane_share!r}: write 0.95 for 95%.")
        if max_ms is not None and not max_ms > 0:
            raise UsageError(f"max_ms is in milliseconds and above 0, not {max_ms!r}.")
        self.ane_share = ane_share
        outside = [outside] if isinstance(outside, str) else outside
        self.outside = None if outside is None else frozenset(outside)
        self.max_ms = max_ms

    @property
    def asks(self) -> bool:
        """Whether there is anything to keep."""
        return any(each is not None for each in (self.ane_share, self.outside, self.max_ms))

    def broken_by(self, plan: Plan) -> str:
        """What the plan breaks, as one line; empty where it keeps everything."""
        from convlint.model.reasons import line_of, off_engine

        broken = []
        if self.ane_share is not None and plan.share["ANE"] < self.ane_share:
            broken.append(f"ANE {plan.share['ANE']:.1%}, {100 * self.ane_share:.4g}% asked")
        if self.outside is not None and (refused := off_engine(plan, self.outside)):
            broken.append(line_of("not on it", refused))
        if self.max_ms is not None and plan.latency_ms.mid > self.max_ms:
            broken.append(f"{plan.latency_ms}, at most {self.max_ms:g} asked")
        return f"placement: {'; '.join(broken)}" if broken else ""


def placement_failure(report: Report, wanted: Placement, *, full: bool = False) -> str:
    """The text of a failure: the model does not convert, or its plan breaks what is ``wanted``."""
    if report.trial is None:
        raise UsageError("a forecast is of a converted program: leave trial=None out.")
    if report.convertible != "yes":
        return failure_text(report, full=full)
    plan = report.plan
    if plan is None:
        raise UsageError(f"{report.model} converts, and there is no forecast for it: its sizes do not run.")
    broken = wanted.broken_by(plan)
    if not broken:
        return ""
    from convlint.output.plan import plan_text

    return f"{broken}\n\n{plan_text(plan)}\n{broken}"


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


def fails(report: Report) -> bool:
    """Whether a report fails a test."""
    return bool(report.exit_code) or report.convertible != "yes"


def failure_text(report: Report, *, full: bool = False) -> str:
    """The report between two lines with the reasons: pytest's summary shows the first, a console the last."""
    from convlint.model.reasons import reasons_line
    from convlint.output.page import Plain
    from convlint.output.terminal import render

    reasons = reasons_line(report)
    buffer = StringIO()
    render(report, Plain(buffer), full=full)
    return f"{reasons}\n\n{buffer.getvalue()}\n{reasons}"
