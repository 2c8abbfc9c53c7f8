"""What every function that people call promises: no trace, no noise, errors that speak of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from convlint.capture.quiet import quiet_torch
from convlint.untouched import leaves_no_trace, one_at_a_time
from convlint.wording import speaks_of_arguments

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def hushed() -> Iterator[None]:
    """Without the bars, log lines and warnings of torch and coremltools, which notebooks would show."""
    from convlint.coremltools_adapter.passes import without_bars

    with one_at_a_time, quiet_torch(), without_bars():
        yield


def called(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """``function`` as one that people call."""

    @wraps(function)
    def quiet(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with hushed():
            return function(*args, **kwargs)

    return speaks_of_arguments(leaves_no_trace(quiet))
