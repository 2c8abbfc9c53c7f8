"""``[tool.convlint]`` in pyproject.toml: what to check, and how, when the command line does not say.

Reading is strict. An unknown key, a wrong type or a value outside its list is an error that names
the file, the key and the nearest right spelling, because a setting that is silently ignored is a
check that silently does not happen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from convlint.arguments import compile_expression
from convlint.errors import UsageError
from convlint.inputs import InputSpec, parse_inputs
from convlint.model import SEVERITIES, FrontendChoice, Severity, TrialLevel
from convlint.nearest import did_you_mean
from convlint.targets import DEFAULT_TARGET, normalise_target
from convlint.text import shown_path

FRONTENDS: tuple[FrontendChoice, ...] = get_args(FrontendChoice)
TRIAL_LEVELS: tuple[TrialLevel, ...] = get_args(TrialLevel)
NO_TRIAL = "none"
"""How a file says that no trial shall run; TOML has no null."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to check. Every field has the name of its key and of its command line option."""

    target: str = DEFAULT_TARGET
    frontend: FrontendChoice = "auto"
    trial: TrialLevel | None = "frontend"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = "error"
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One configured model; ``settings`` are the project's, with the model's own keys over them."""

    name: str
    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    arg_exprs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputSpec, ...] = ()
    settings: Settings = Settings()


@dataclass(frozen=True, slots=True)
class Project:
    """The whole table, and the folder that its relative paths start from (None without a file)."""

    root: str | None = None
    settings: Settings = Settings()
    rule_paths: tuple[str, ...] = ()
    models: tuple[ModelSettings, ...] = ()

    def model(self, name: str) -> ModelSettings:
        """The configured model of this name."""
        for model in self.models:
            if model.name == name:
                return model
        if not self.models:
            raise UsageError(f"no model {name!r}: pyproject.toml has no [[tool.convlint.models]] table.")
        names = [model.name for model in self.models]
        raise UsageError(
            f"no model {name!r} is configured.{did_you_mean(name, names)} Known: {', '.join(names)}."
        )


def find_project(start: str | Path | None = None) -> Project:
    """Read the nearest pyproject.toml, upward from ``start``, that has a ``[tool.convlint]`` table."""
    folder = Path(start) if start is not None else Path.cwd()
    for parent in (folder.absolute(), *folder.absolute().parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            table = _read(file)
            if table is not None:
                return _project(table, file)
    return Project()


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        document = tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {shown_path(str(file))}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown_path(str(file))} is not valid TOML: {error}.") from error
    tool = document.get("tool")
    table = tool.get("convlint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{shown_path(str(file))}: tool.convlint must be a table.")
    return table


@dataclass(frozen=True, slots=True)
class _Key:
    """Where a value stands, as its error messages name it: ``pyproject.toml: tool.convlint.target``."""

    place: str

    def under(self, name: str) -> _Key:
        return _Key(f"{self.place}.{name}")

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.place} {why}.")

    def told(self, error: UsageError) -> UsageError:
        return UsageError(f"{self.place}: {error}")


Parser = Callable[[_Key, Any], Any]


def _text(key: _Key, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise key.wrong(f"must be a string that is not empty, not {_shown(value)}")
    return value


def _texts(key: _Key, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise key.wrong(f"must be a list of strings, not {_shown(value)}")
    return tuple(value)


def _seconds(key: _Key, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise key.wrong(f"must be a number of seconds above 0, not {_shown(value)}")
    return float(value)


def _choice(*choices: str) -> Parser:
    def parse(key: _Key, value: Any) -> str:
        if value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise UsageError(f"{key.place} must be one of {', '.join(choices)}, not {_shown(value)}.{hint}")
        return str(value)

    return parse


def _trial(key: _Key, value: Any) -> str | None:
    level = _choice(*TRIAL_LEVELS, NO_TRIAL)(key, value)
    return None if level == NO_TRIAL else str(level)


def _target(key: _Key, value: Any) -> str:
    name = _text(key, value)
    try:
        return normalise_target(name)
    except UsageError as error:
        raise key.told(error) from error


def _arguments(key: _Key, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise key.wrong(f"must be a table of arguments, not {_shown(value)}")
    for name in value:
        if not name.isidentifier():
            raise key.wrong(f"has {name!r}, which cannot be the name of an argument")
    return value


def _expressions(key: _Key, value: Any) -> Mapping[str, str]:
    expressions = {name: _text(key.under(name), text) for name, text in _arguments(key, value).items()}
    for name, text in expressions.items():
        try:
            compile_expression(name, text)
        except UsageError as error:
            raise key.told(error) from error
    return expressions


def _inputs(key: _Key, value: Any) -> tuple[InputSpec, ...]:
    texts = _texts(key, value)
    try:
        return parse_inputs(texts)
    except UsageError as error:
        raise key.told(error) from error


def _tables(key: _Key, value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise key.wrong("must be tables, each headed [[tool.convlint.models]]")
    return tuple(value)


_SETTINGS: Mapping[str, Parser] = {
    "target": _target,
    "frontend": _choice(*FRONTENDS),
    "trial": _trial,
    "select": _texts,
    "ignore": _texts,
    "fail-on": _choice(*SEVERITIES),
    "timeout": _seconds,
}
_MODEL: Mapping[str, Parser] = {
    "name": _text,
    "spec": _text,
    "args": _arguments,
    "arg-exprs": _expressions,
    "inputs": _inputs,
}


def _project(table: Mapping[str, Any], file: Path) -> Project:
    key = _Key(f"{shown_path(str(file))}: tool.convlint")
    values = _parse(key, table, {**_SETTINGS, "rule-paths": _texts, "models": _tables})
    tables = values.pop("models", ())
    rule_paths = tuple(str(file.parent / path) for path in values.pop("rule_paths", ()))
    settings = Settings(**values)
    models = tuple(
        _model(key.under(f"models[{index}]"), table, settings) for index, table in enumerate(tables)
    )
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise key.under("models").wrong(f"has two models named {name!r}")
    return Project(str(file.parent), settings, rule_paths, models)


def _model(key: _Key, table: Mapping[str, Any], project: Settings) -> ModelSettings:
    values = _parse(key, table, {**_MODEL, **_SETTINGS})
    if "spec" not in values:
        raise key.wrong("has no key 'spec', which names the model: spec = \"my/models.py:Segmenter\"")
    own = {name: values.pop(name) for name in list(values) if name in Settings.__slots__}
    values.setdefault("name", values["spec"])
    return ModelSettings(**values, settings=replace(project, **own))


def _parse(key: _Key, table: Mapping[str, Any], parsers: Mapping[str, Parser]) -> dict[str, Any]:
    """Every value of ``table`` through the parser of its key, under the name of its field."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in parsers:
            hint = did_you_mean(name.replace("_", "-"), parsers) or f" Known keys: {', '.join(parsers)}."
            raise UsageError(f"{key.place} has an unknown key {name!r}.{hint}")
        values[name.replace("-", "_")] = parsers[name](key.under(name), value)
    return values


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "\u2026"
