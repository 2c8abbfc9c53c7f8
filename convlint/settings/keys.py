"""The keys of the configuration: how each is read, what it may be, and what it means.

One table serves the reader, the environment variables, ``--show-settings`` and the JSON schema for
editors, so that none of them can know a key that the others do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from convlint.coreml.targets import TARGETS, normalise_target
from convlint.errors import UsageError
from convlint.interface.images import LAYOUTS
from convlint.interface.inputs import InputSpec, parse_inputs
from convlint.interface.outputs import OUTPUT_LAYOUTS, OutputSpec, parse_outputs
from convlint.model import SEVERITIES, FrontendChoice, TrialLevel
from convlint.nearest import did_you_mean

FRONTENDS: tuple[FrontendChoice, ...] = get_args(FrontendChoice)
TRIAL_LEVELS: tuple[TrialLevel, ...] = get_args(TrialLevel)
NO_TRIAL = "none"
"""How a file says that no trial shall run; TOML has no null."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, as its error messages name it: ``pyproject.toml: tool.convlint.target``."""

    file: str
    key: str = ""

    def under(self, name: str) -> Place:
        return Place(self.file, f"{self.key}.{name}" if self.key else name)

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self} {why}.")

    def told(self, error: UsageError) -> UsageError:
        return UsageError(f"{self}: {error}")

    def __str__(self) -> str:
        return f"{self.file}: {self.key}" if self.key else self.file


Parser = Callable[[Place, Any], Any]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``of_text`` makes a value of the text of an environment variable."""

    parse: Parser
    schema: Schema
    help: str
    of_text: Callable[[str], Any] | None = None


def _text(place: Place, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise place.wrong(f"must be a string that is not empty, not {shown(value)}")
    return value


def _texts(place: Place, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise place.wrong(f"must be a list of strings, not {shown(value)}")
    return tuple(value)


def _switch(place: Place, value: Any) -> bool:
    if not isinstance(value, bool):
        raise place.wrong(f"must be true or false, not {shown(value)}")
    return value


def _seconds(place: Place, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise place.wrong(f"must be a number of seconds above 0, not {shown(value)}")
    return float(value)


def _choice(*choices: str) -> Parser:
    def parse(place: Place, value: Any) -> str:
        if value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise UsageError(f"{place} must be one of {', '.join(choices)}, not {shown(value)}.{hint}")
        return str(value)

    return parse


def _trial(place: Place, value: Any) -> str | None:
    level = _choice(*TRIAL_LEVELS, NO_TRIAL)(place, value)
    return None if level == NO_TRIAL else str(level)


def _target(place: Place, value: Any) -> str:
    name = _text(place, value)
    try:
        return normalise_target(name)
    except UsageError as error:
        raise place.told(error) from error


def _arguments(place: Place, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise place.wrong(f"must be a table of arguments, not {shown(value)}")
    for name in value:
        if not name.isidentifier():
            raise place.wrong(f"has {name!r}, which cannot be the name of an argument")
    return value


def _expressions(place: Place, value: Any) -> Mapping[str, str]:
    expressions = {name: _text(place.under(name), text) for name, text in _arguments(place, value).items()}
    if expressions:
        from convlint.usercode.arguments import compile_expression

        for name, text in expressions.items():
            try:
                compile_expression(name, text)
            except UsageError as error:
                raise place.told(error) from error
    return expressions


def _inputs(place: Place, value: Any) -> tuple[InputSpec, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str | dict) and item for item in value):
        raise place.wrong(f"must be a list of strings and tables, not {shown(value)}")
    texts = [
        item if isinstance(item, str) else _input_text(Place(place.file, f"{place.key}[{index}]"), item)
        for index, item in enumerate(value)
    ]
    try:
        return parse_inputs(texts)
    except UsageError as error:
        raise place.told(error) from error


def _outputs(place: Place, value: Any) -> tuple[OutputSpec, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str | dict) and item for item in value):
        raise place.wrong(f"must be a list of strings and tables, not {shown(value)}")
    texts = [
        item if isinstance(item, str) else _output_text(Place(place.file, f"{place.key}[{index}]"), item)
        for index, item in enumerate(value)
    ]
    try:
        return parse_outputs(texts)
    except UsageError as error:
        raise place.told(error) from error


def _output_text(place: Place, table: Mapping[str, Any]) -> str:
    """The text of an output that is written as a table."""
    given = _given(place, table, OUTPUT)
    if not given.get("image"):
        raise place.wrong("has no image = true, which is all that can be said of an output")
    kind = f"image({given['layout']})" if "layout" in given else "image"
    return f"{given['name']}:{kind}" if "name" in given else kind


def _given(place: Place, table: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    """The values of the table of one input or output, by key."""
    for name in table:
        if name not in keys:
            hint = did_you_mean(name, keys) or f" Known keys: {', '.join(keys)}."
            raise UsageError(f"{place} has an unknown key {name!r}.{hint}")
    return {name: key.parse(place.under(name), table[name]) for name, key in keys.items() if name in table}


def _input_text(place: Place, table: Mapping[str, Any]) -> str:
    """The text of an input that is written as a table."""
    given = _given(place, table, INPUT)
    if "shape" not in given:
        raise place.wrong("has no key 'shape', such as shape = \"1x3x224x224\"")
    image = given.get("image", False)
    words = [f"{name}={'/'.join(map(repr, given[name]))}" for name in ("mean", "std") if name in given]
    words = [given["layout"], *words] if "layout" in given else words
    if not image and words:
        raise place.wrong("has layout, mean or std, which are for pictures: add image = true")
    if image and "dtype" in given:
        raise place.wrong("has both dtype and image = true; the numbers of a picture are float32")
    values = str(given.get("values", "")).strip()
    if image and values:
        raise place.wrong("has both values and image = true; a picture is random")
    if values and values[0] not in "=<":
        values = f"={values}"
    kind = f"image({','.join(words)})" if image else given.get("dtype", "float32") + values
    return f"{given['name']}={given['shape']}:{kind}" if "name" in given else f"{given['shape']}:{kind}"


def _numbers(place: Place, value: Any) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) and value else [value]
    if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in numbers):
        raise place.wrong(f"must be a number or a list of numbers, not {shown(value)}")
    return tuple(map(float, numbers))


def _per_module(place: Place, value: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise place.wrong(f"must be a table such as {{ 'encoder.*' = ['CL201'] }}, not {shown(value)}")
    return {pattern: _texts(place.under(f'"{pattern}"'), rules) for pattern, rules in value.items()}


def _tables(place: Place, value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise place.wrong(f"must be tables, each headed [[{place.key}]]")
    return tuple(value)


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
        "the oldest system that the model shall run on",
        str,
    ),
    "frontend": Key(
        _choice(*FRONTENDS),
        {"enum": list(FRONTENDS), "default": "auto"},
        "the way into coremltools",
        str,
    ),
    "trial": Key(
        _trial,
        {"enum": [*TRIAL_LEVELS, NO_TRIAL], "default": "passes"},
        "how far to convert for real; none: the rules alone",
        str,
    ),
    "select": Key(
        _texts, _STRINGS, "only these rules: codes, beginnings of codes, names or categories", _list_of_text
    ),
    "ignore": Key(_texts, _STRINGS, "all but these rules", _list_of_text),
    "per-module-ignores": Key(
        _per_module,
        {"type": "object", "additionalProperties": _STRINGS},
        "rules not to be told inside modules whose path matches a pattern: { 'encoder.*' = ['CL201'] }",
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
    "timeout": Key(
        _seconds,
        {"type": "number", "exclusiveMinimum": 0, "default": 120},
        "seconds that the user's code and the trial may each take",
        _number_of_text,
    ),
}
"""How to check. Each may stand in the table of all models and in the table of one."""

PROJECT: Mapping[str, Key] = {
    "rule-paths": Key(_texts, _STRINGS, "files and folders of more rules, from the file's folder on", None),
    "cache": Key(
        _switch, {"type": "boolean", "default": True}, "keep results of unchanged models", _switch_of_text
    ),
    "cache-dir": Key(_text, {**_STRING, "default": ".convlint_cache"}, "the folder of kept results", str),
    "baseline": Key(_text, _STRING, "the file of known findings, written by `convlint baseline write`", str),
    "chip": Key(_text, _STRING, "the chip that plans and pictures forecast for: A17Pro, M4", str),
    "os": Key(_text, _STRING, "the system of that chip: iOS17, macOS14", str),
}
"""What holds for all models together."""

INPUT: Mapping[str, Key] = {
    "name": Key(_text, _STRING, "the argument of forward; a positional one where there is no name"),
    "shape": Key(_text, _STRING, "sizes joined by x: 1x3x224x224, 1x3x[224..512]x224, 1x3x{224,256}x224"),
    "dtype": Key(_text, _STRING, "float32 where it is left out"),
    "values": Key(_text, _STRING, "what it holds: 100, 10,6,3, 0..31999 or <32000; integers are zeros else"),
    "image": Key(_switch, {"type": "boolean", "default": False}, "Core ML shall take a picture here"),
    "layout": Key(_choice(*LAYOUTS), {"enum": list(LAYOUTS)}, "the order of a picture's channels"),
    "mean": Key(_numbers, _NUMBERS, "what the model was trained with, for values from 0 to 1"),
    "std": Key(_numbers, _NUMBERS, "the same; one number, or one for each channel"),
}
"""An input that is written as a table and not as a text."""

OUTPUT: Mapping[str, Key] = {
    "name": Key(_text, _STRING, "the key or position in the result of forward, or its name in the graph"),
    "image": Key(_switch, {"type": "boolean", "default": False}, "Core ML shall give a picture here"),
    "layout": Key(
        _choice(*OUTPUT_LAYOUTS), {"enum": list(OUTPUT_LAYOUTS)}, "the order of its channels; gray16: float16"
    ),
}
"""An output that is written as a table."""


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
    "name": Key(_text, _STRING, "how the model is called here; its spec where there is no name"),
    "spec": Key(_text, _STRING, "module:attr or path.py:attr, where attr builds the model or is it"),
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
        "outputs that Core ML shall give as pictures, [NAME:]image[(LAYOUT)], or a table with these as keys",
    ),
    "depends": Key(
        _texts, _STRINGS, "patterns of other files that the model reads; a change of one checks it anew"
    ),
}
"""What only one model has."""

MODELS = Key(_tables, {}, "the models that `convlint check` checks")


def parse_table(place: Place, table: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    """Every value of ``table`` as its key reads it, under the name of its field."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in keys:
            hint = did_you_mean(name.replace("_", "-"), keys) or f" Known keys: {', '.join(keys)}."
            raise UsageError(f"{place} has an unknown key {name!r}.{hint}")
        values[name.replace("-", "_")] = keys[name].parse(place.under(name), value)
    return values


def shown(value: Any) -> str:
    """A value in an error message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "\u2026"
