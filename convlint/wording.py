"""Options of the command line, said as arguments of the Python functions.

Errors and verdicts are written once, for the command line. Who called a function gave arguments, and can only
change those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from convlint.errors import ConvlintError

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_ARGUMENTS = (
    (
        "`convlint fix` shows them, makes them in your source with --write, and compares the numbers.",
        "convlint.fix(model, example_inputs) makes them and compares the numbers; `convlint fix --write`"
        " makes them in your source.",
    ),
    ("with --emit PATH it writes a script", "`convlint fix --emit PATH` writes a script"),
    ("`convlint check` says what stopped it", "convlint.check says what stopped it"),
    ("`convlint fix`", "convlint.fix"),
    ("`convlint check`", "convlint.check"),
    ("`convlint plan`", "convlint.plan"),
    ("Run with --trial passes", 'Run with trial="passes"'),
    ("leave --trial none out", "leave trial=None out"),
    ("check again with --parity", 'check again with parity="float32"'),
    ("check with --parity", 'check with parity="float32"'),
    ("name trained weights by --checkpoint", "give the model with its trained weights"),
    ("give --input once for each tensor", "give one text for each tensor"),
    (
        "check --input (names, shapes, dtypes) first",
        "check example_inputs and kwargs (names, shapes, dtypes) first",
    ),
    (", with --arg where this is its own argument", ""),
    ("--unsafe allows it", "unsafe=True allows it"),
    ("--as-trained for the other", "as_trained=True for the other"),
    ("--unsafe", "unsafe=True"),
    ("try the other --frontend", "try the other frontend"),
    ("Raise --timeout", "Raise timeout"),
    ("--full shows them", "full=True shows them"),
    (": --full", ": full=True"),
    (": --format json", ": plan.to_dict()"),
)
"""Sentences and clauses for which an argument alone would be no good English."""

_OPTION = re.compile(
    r"--(?P<name>input|target|frontend|trial|parity|precision|timeout|chip|os|output|select|ignore"
    r"|output-type|compute-units)(?![\w-])"
    r"(?: (?P<value>'[^']*'|(?:iOS|macOS|watchOS|tvOS)\d+|cpu(?:\+gpu|\+ane)?|full|passes|torchscript|export)"
    r"(?![\w-]))?"
)
_NAMES = {"input": "example_inputs", "output-type": "outputs", "compute-units": "compute_units"}
_LISTS = ("input", "output-type", "select", "ignore")


def in_python(text: str) -> str:
    """``text`` with the options that it speaks of said as arguments, as in ``target="iOS18"``."""
    if "--" not in text and "`convlint" not in text:
        return text
    for option, argument in _ARGUMENTS:
        text = text.replace(option, argument)
    return _OPTION.sub(_argument, text)


def _argument(found: re.Match[str]) -> str:
    name, value = _NAMES.get(found["name"], found["name"]), (found["value"] or "").strip("'")
    if not value:
        return name
    return f'{name}=["{value}"]' if found["name"] in _LISTS else f'{name}="{value}"'


@contextmanager
def said_in_python() -> Iterator[None]:
    """Errors that leave here speak of arguments."""
    try:
        yield
    except ConvlintError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (in_python(error.args[0]), *error.args[1:])
        raise


def speaks_of_arguments(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """``function``, whose errors speak of its arguments."""

    @wraps(function)
    def speaking(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with said_in_python():
            return function(*args, **kwargs)

    return speaking
