"""The keys of the configuration: how each is read, what it may be, and what it means.

The reader, the environment variables, ``convlint config`` and the JSON schema for editors all use one
table, so none of them can know a key that the others do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from convlint.coreml.targets import TARGETS, normalise_target
from convlint.errors import UsageError
from convlint.interface.images import LAYOUTS, Image, make_image
from convlint.interface.inputs import (
    DEFAULT_DTYPE,
    InputSpec,
    WrongInput,
    distinct,
    make_input,
    parse_input,
)
from convlint.interface.outputs import OUTPUT_LAYOUTS, OutputSpec, distinct_outputs, parse_output
from convlint.model import SEVERITIES, FrontendChoice, TrialLevel
from convlint.toml_table import Table, type_name

FRONTENDS: tuple[FrontendChoice, ...] = get_args(FrontendChoice)
TRIAL_LEVELS: tuple[TrialLevel, ...] = get_args(TrialLevel)
NO_TRIAL = "none"
"""The word for no trial in a file; TOML has no null."""

Parser = Callable[[Table, str], Any]
"""Reads the value of an existing key of a table; None for a wrong one, which the table notes."""
Parse = Callable[[str], Any]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``of_text`` turns the text of an environment variable into a value."""

    parse: Parser
    schema: Schema
    help: str
    of_text: Callable[[str], Any] | None = None


def read_table(table: Table, keys: Mapping[str, Key]) -> dict[str, Any]:
    """The values of ``table`` by the names of their fields, each as its key reads it."""
    read = {name: key.parse(table, name) for name, key in keys.items() if name in table}
    return {name.replace("-", "_"): value for name, value in read.items()}


def _text(table: Table, name: str) -> str:
    return table.text(name)


def _texts(table: Table, name: str) -> tuple[str, ...]:
    return table.texts(name)


def _switch(table: Table, name: str) -> bool | None:
    value: bool | None = table.get(name, bool)
    return value


def _seconds(table: Table, name: str) -> float | None:
    value: float | None = table.get(name, float)
    if value is not None and not 0 < value < float("inf"):
        table.problem(name, f"must be a number of seconds above 0, not {value:g}")
    return value


def _choice(*choices: str) -> Parser:
    return lambda table, name: table.choice(name, choices)


def _trial(table: Table, name: str) -> str | None:
    level: str | None = table.choice(name, (*TRIAL_LEVELS, NO_TRIAL))
    return None if level == NO_TRIAL else level


def _checked(table: Table, name: str, check: Callable[..., Any], *arguments: Any) -> Any:
    """The result of ``check`` for the arguments; an error that it raises is noted at ``name``."""
    try:
        return check(*arguments)
    except (UsageError, WrongInput) as error:
        table.problem(name, f"{str(error).removesuffix('.')}.")
        return None


def _target(table: Table, name: str) -> str | None:
    text = table.text(name)
    target: str | None = _checked(table, name, normalise_target, text) if text else None
    return target


def _arguments(table: Table, name: str) -> Mapping[str, Any]:
    arguments: Mapping[str, Any] = table.get(name, dict) or {}
    for argument in arguments:
        if not argument.isidentifier():
            table.problem(name, f"{argument!r} cannot be the name of an argument")
    return arguments


def _expressions(table: Table, name: str) -> Mapping[str, str]:
    arguments = table.table(name, _arguments(table, name))
    expressions = {argument: arguments.text(argument) for argument in arguments.data}
    if any(expressions.values()):
        from convlint.usercode.arguments import compile_expression

        for argument, text in expressions.items():
            if text:
                _checked(arguments, argument, compile_expression, argument, text)
    return expressions


def _items(
    table: Table, name: str, of_text: Parse, keys: Mapping[str, Key], of_table: Callable[[Table], Any]
) -> list[Any]:
    """The items of a list, written as texts or as tables; wrong ones are noted and left out."""
    items = []
    for index, item in enumerate(table.get(name, list) or (), 1):
        place = f"{name}[{index}]"
        read = None
        if type(item) is dict:
            read = of_table(Table(item, table.path(place), keys, table.problems))
        elif type(item) is str and item:
            read = _checked(table, place, of_text, item)
        else:
            table.problem(place, f"a string or a table is needed, not {type_name(item)}")
        items += [read] if read is not None else []
    return items


def _inputs(table: Table, name: str) -> tuple[InputSpec, ...]:
    inputs = _items(table, name, parse_input, INPUT, _input)
    return _checked(table, name, distinct, inputs) or ()


def _outputs(table: Table, name: str) -> tuple[OutputSpec, ...]:
    outputs = _items(table, name, parse_output, OUTPUT, _output)
    return _checked(table, name, distinct_outputs, outputs) or ()


def _input(table: Table) -> InputSpec | None:
    """The input that a table describes; None where it is wrong."""
    parts = read_table(table, INPUT)
    if not parts.get("shape"):
        table.problem("shape", 'missing, such as shape = "1x3x224x224"') if "shape" not in table else None
        return None
    layout, mean, std = parts.get("layout"), parts.get("mean") or (), parts.get("std") or ()
    values = str(parts.get("values") or "").strip()
    if not parts.get("image"):
        if layout or mean or std:
            table.problem("", "layout, mean and std are for pictures: add image = true")
    elif "dtype" in parts:
        table.problem("", "both dtype and image = true; the numbers of a picture are float32")
    elif values:
        table.problem("", "both values and image = true; a picture is random")

    def picture(shape: tuple[int, ...]) -> Image:
        return make_image(shape, layout, mean, std)

    spec: InputSpec | None = _checked(
        table,
        "",
        make_input,
        parts.get("name") or None,
        parts["shape"],
        parts.get("dtype") or DEFAULT_DTYPE,
        values if values[:1] in ("", "=", "<") else f"={values}",
        picture if parts.get("image") else None,
    )
    return spec


def _output(table: Table) -> OutputSpec | None:
    """The output that a table describes; None where it is wrong."""
    parts = read_table(table, OUTPUT)
    if not parts.get("image"):
        table.problem("", "image = true is missing, the one thing to declare of an output")
        return None
    return OutputSpec(parts.get("name") or None, parts.get("layout"))


def _numbers(table: Table, name: str) -> tuple[float, ...]:
    value = table.data[name]
    numbers = value if isinstance(value, list) and value else [value]
    if not all(type(item) in (int, float) for item in numbers):
        table.problem(name, f"a number or a list of numbers is needed, not {type_name(value)}")
        return ()
    return tuple(map(float, numbers))


def _per_module(table: Table, name: str) -> Mapping[str, tuple[str, ...]]:
    patterns = table.table(name, table.data[name] if isinstance(table.data[name], dict) else ())
    return {pattern: patterns.texts(pattern) for pattern in patterns.data}


def _list_of_text(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _number_of_text(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _switch_of_text(text: str) -> Any:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    return words.get(text.strip().lower(), text)


_STRING: Schema = {"type": "string", "minLength": 1}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_NUMBERS: Schema = {"type": ["number", "array"], "items": {"type": "number"}}

SETTINGS: Mapping[str, Key] = {
    "target": Key(
        _target,
        {"enum": list(TARGETS), "default": "iOS17"},
        "the oldest system that the model is to run on",
        str,
    ),
    "frontend": Key(
        _choice(*FRONTENDS),
        {"enum": list(FRONTENDS), "default": "auto"},
        "the frontend of coremltools that converts",
        str,
    ),
    "trial": Key(
        _trial,
        {"enum": [*TRIAL_LEVELS, NO_TRIAL], "default": "passes"},
        "how far to convert; none: run the rules alone",
        str,
    ),
    "select": Key(
        _texts,
        _STRINGS,
        "use only these rules: codes, beginnings of codes, names or categories",
        _list_of_text,
    ),
    "ignore": Key(_texts, _STRINGS, "use all rules but these", _list_of_text),
    "per-module-ignores": Key(
        _per_module,
        {"type": "object", "additionalProperties": _STRINGS},
        "rules not reported inside modules whose path matches a pattern: { 'encoder.*' = ['CL201'] }",
    ),
    "fail-on": Key(
        _choice(*SEVERITIES),
        {"enum": list(SEVERITIES), "default": "error"},
        "the lowest severity that makes the exit code 1",
        str,
    ),
    "converters": Key(
        _texts,
        _STRINGS,
        "modules or files that register converters of your own ops with coremltools",
        _list_of_text,
    ),
    "as-trained": Key(
        _switch,
        {"type": "boolean", "default": False},
        "judge a model that has a deployed form in the form it is trained in",
        _switch_of_text,
    ),
    "timeout": Key(
        _seconds,
        {"type": "number", "exclusiveMinimum": 0, "default": 120},
        "seconds that the user's code and the trial may each take",
        _number_of_text,
    ),
}
"""How to check. Each key may stand in the table for all models and in that of one model."""

PROJECT: Mapping[str, Key] = {
    "rule-paths": Key(_texts, _STRINGS, "files and folders of more rules, relative to this file", None),
    "cache": Key(
        _switch, {"type": "boolean", "default": True}, "cache results of unchanged models", _switch_of_text
    ),
    "cache-dir": Key(_text, {**_STRING, "default": ".convlint_cache"}, "the folder of cached results", str),
    "baseline": Key(_text, _STRING, "the file of known findings, written by `convlint baseline write`", str),
    "chip": Key(_text, _STRING, "the chip that plans and pictures forecast for: A17Pro, M4", str),
    "os": Key(_text, _STRING, "the system of that chip: iOS17, macOS14", str),
}
"""Settings for all models together."""

INPUT: Mapping[str, Key] = {
    "name": Key(_text, _STRING, "the argument of forward; a positional one where there is no name"),
    "shape": Key(_text, _STRING, "sizes joined by x: 1x3x224x224, 1x3x[224..512]x224, 1x3x{224,256}x224"),
    "dtype": Key(_text, _STRING, "default: float32"),
    "values": Key(_text, _STRING, "what it holds: 100, 10,6,3, 0..31999 or <32000; integers are zeros else"),
    "image": Key(_switch, {"type": "boolean", "default": False}, "Core ML takes a picture here"),
    "layout": Key(_choice(*LAYOUTS), {"enum": list(LAYOUTS)}, "the order of a picture's channels"),
    "mean": Key(_numbers, _NUMBERS, "what the model was trained with, for values from 0 to 1"),
    "std": Key(_numbers, _NUMBERS, "the same; one number, or one for each channel"),
}
"""An input written as a table, not as a text."""

OUTPUT: Mapping[str, Key] = {
    "name": Key(_text, _STRING, "the key or position in the result of forward, or its name in the graph"),
    "image": Key(_switch, {"type": "boolean", "default": False}, "Core ML gives a picture here"),
    "layout": Key(
        _choice(*OUTPUT_LAYOUTS), {"enum": list(OUTPUT_LAYOUTS)}, "the order of its channels; gray16: float16"
    ),
}
"""An output written as a table, not as a text."""


def _list_of(keys: Mapping[str, Key], required: str) -> Schema:
    """The schema of a list of texts and tables."""
    table = {
        "type": "object",
        "properties": {name: {**key.schema, "description": key.help} for name, key in keys.items()},
        "required": [required],
        "additionalProperties": False,
    }
    return {"type": "array", "items": {"anyOf": [_STRING, table]}}


MODEL: Mapping[str, Key] = {
    "name": Key(_text, _STRING, "the name of the model; default: its spec"),
    "spec": Key(
        _text,
        _STRING,
        "module:attr or path.py:attr, where attr is a model or builds one; or a name such as timm:resnet50",
    ),
    "args": Key(_arguments, {"type": "object"}, "arguments of the constructor"),
    "arg-exprs": Key(
        _expressions,
        {"type": "object", "additionalProperties": _STRING},
        "arguments of the constructor as Python expressions",
    ),
    "inputs": Key(
        _inputs,
        _list_of(INPUT, "shape"),
        "one text for each tensor, [NAME=]SHAPE[:DTYPE[=VALUES]|:image], or a table with these as keys",
    ),
    "outputs": Key(
        _outputs,
        _list_of(OUTPUT, "image"),
        "outputs that Core ML gives as pictures, [NAME:]image[(LAYOUT)], or a table with these as keys",
    ),
    "depends": Key(
        _texts, _STRINGS, "patterns of other files that the model reads; a change of one checks it anew"
    ),
}
"""Settings that only a model has."""
