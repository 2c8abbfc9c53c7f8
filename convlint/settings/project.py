"""The configuration: what to check, and how, when the command line does not say.

It stands in ``[tool.convlint]`` of pyproject.toml or in a ``convlint.toml``. Environment variables
override the file, and the command line overrides both. Reading is strict: an unknown key, a wrong
type or a value outside its list is an error that names the file, the key and the nearest right
spelling, because a setting that is silently ignored is a check that silently does not happen.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from convlint.checking.options import Options
from convlint.errors import SettingsError, UsageError
from convlint.nearest import did_you_mean
from convlint.settings.jobs import Job
from convlint.settings.keys import MODEL, PROJECT, SETTINGS, Key, read_table
from convlint.text import one_line, shown_path
from convlint.toml_table import Problems, Table

OWN_FILE = "convlint.toml"
SHARED_FILE = "pyproject.toml"
PREFIX = "CONVLINT_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
_PATHS = ("cache_dir", "baseline")


SETTING_FIELDS = tuple(each.name for each in fields(Options) if each.name.replace("_", "-") in SETTINGS)
"""The options that the configuration knows."""


@dataclass(frozen=True, slots=True)
class Project:
    """The whole configuration.

    ``root`` is the folder that its relative paths start from, ``file`` the file that was read (None
    without one). ``options`` are the defaults of all models. ``origins`` is as in :class:`Options`, for
    ``cache``, ``cache_dir``, ``baseline``, ``chip`` and ``os``.
    """

    root: str | None = None
    options: Options = field(default_factory=Options)
    models: tuple[Job, ...] = ()
    cache: bool = True
    cache_dir: str | None = None
    baseline: str | None = None
    chip: str | None = None
    os: str | None = None
    file: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def rule_paths(self) -> tuple[str, ...]:
        """Files and folders of more rules."""
        return self.options.rule_paths

    def model(self, name: str) -> Job:
        """The configured model of this name."""
        for model in self.models:
            if model.name == name:
                return model
        if not self.models:
            where = self.file and shown_path(self.file)
            header = _header(where or SHARED_FILE, "models")
            raise UsageError(f"no model {name!r}: {where or SHARED_FILE} has no {header} table.")
        names = [model.name for model in self.models]
        raise UsageError(
            f"no model {name!r} is configured.{did_you_mean(name, names)} Known: {', '.join(names)}."
        )


def find_project(
    start: str | Path | None = None,
    file: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Project:
    """The nearest configuration upward from ``start``, or that of ``file``, with the environment over it."""
    variables = os.environ if environment is None else environment
    named = file or variables.get(FILE_VARIABLE)
    configuration = (
        _named(Path(named)) if named else _nearest(Path(start) if start is not None else Path.cwd())
    )
    project = _project(*configuration) if configuration is not None else Project()
    return _with_environment(_with_fitted(project), variables)


def _with_fitted(project: Project) -> Project:
    """``project`` with the numbers of chips that were fitted for it, in all its options."""
    root = Path.cwd() if project.root is None else Path(project.root)
    if not os.path.exists(root / ".convlint" / "chips.toml"):
        return project
    from convlint.placement.fitted import read_fitted

    fitted = read_fitted(root)
    models = tuple(replace(job, options=replace(job.options, fitted=fitted)) for job in project.models)
    return replace(project, options=replace(project.options, fitted=fitted), models=models)


def _named(file: Path) -> tuple[Mapping[str, Any], Path]:
    table = _read(file)
    if table is None:
        raise UsageError(f"{shown_path(str(file))} has no [tool.convlint] table.")
    return table, file.absolute()


def _nearest(folder: Path) -> tuple[Mapping[str, Any], Path] | None:
    for parent in (folder.absolute(), *folder.absolute().parents):
        own, shared = parent / OWN_FILE, parent / SHARED_FILE
        table = _read(shared) if shared.is_file() else None
        if own.is_file():
            if table is not None:
                raise UsageError(
                    f"{shown_path(str(own))} and [tool.convlint] of {shown_path(str(shared))} both hold a"
                    " configuration: keep one of them."
                )
            return _read(own) or {}, own
        if table is not None:
            return table, shared
    return None


def _read(file: Path) -> Mapping[str, Any] | None:
    """The table of settings in a file; None for a pyproject.toml without one."""
    try:
        document = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {shown_path(str(file))}: {error.strerror}.") from error
    except RecursionError as error:
        raise UsageError(f"{shown_path(str(file))} cannot be read: it is nested too deep.") from error
    except ValueError as error:  # of TOML, of UTF-8, of numbers of thousands of digits
        raise UsageError(f"{shown_path(str(file))} is not valid TOML: {one_line(str(error))}.") from error
    if file.name != SHARED_FILE:
        return document
    tool = document.get("tool")
    table = tool.get("convlint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{shown_path(str(file))}: tool.convlint must be a table.")
    return table


def _header(file: str, name: str) -> str:
    return f"[[{name}]]" if Path(file).name != SHARED_FILE else f"[[tool.convlint.{name}]]"


def _project(data: Mapping[str, Any], file: Path) -> Project:
    shown = shown_path(str(file))
    problems = Problems(shown)
    whole = Table(
        data,
        "tool.convlint" if file.name == SHARED_FILE else "",
        (*SETTINGS, *PROJECT, "models"),
        problems,
    )
    values = read_table(whole, {**SETTINGS, **PROJECT})
    own = {name: values.pop(name) for name in list(values) if name in SETTING_FIELDS}
    rule_paths = tuple(_inside(file.parent, path) for path in values.pop("rule_paths", ()))
    tables = whole.tables("models", (*MODEL, *SETTINGS))
    options = Options(rule_paths=rule_paths).over(own, shown)
    jobs = tuple(job_of(table, options, str(file.parent)) for table in tables)
    names = [job.name for job in jobs if job is not None]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        whole.problem("models", f"two models are named {name!r}")
    if problems.messages:
        raise SettingsError(problems.messages)
    for name in _PATHS:
        if name in values:
            values[name] = _inside(file.parent, values[name])
    return Project(
        str(file.parent),
        options,
        tuple(job for job in jobs if job is not None),
        **values,
        file=str(file),
        origins=dict.fromkeys(values, shown),
    )


def job_of(table: Table, options: Options, root: str) -> Job | None:
    """The model that one table describes, with the project's options as defaults.

    None where something in the table is wrong, which the table notes.
    """
    before = len(table.problems.messages)
    values = read_table(table, {**MODEL, **SETTINGS})
    if "spec" not in table:
        table.problem("spec", 'missing; it names the model: spec = "my/models.py:Segmenter"')
    if len(table.problems.messages) > before:
        return None
    own = {name: values.pop(name) for name in list(values) if name in SETTING_FIELDS}
    origin = f"{table.problems.path}: {table.key}" if table.key else table.problems.path
    options = replace(options.over(own, origin), outputs=values.pop("outputs", ()))
    values.setdefault("name", values["spec"])
    return Job(**values, options=options, root=root)


def _inside(folder: Path, path: str) -> str:
    return str(folder / os.path.expanduser(path))


def _with_environment(project: Project, environment: Mapping[str, str]) -> Project:
    """``project`` with the variables ``CONVLINT_TARGET`` and so on over what its file says.

    A variable without a key belongs to somebody else, unless its name is close to that of a key.
    """
    keys = {_variable(name): (name, key) for name, key in {**SETTINGS, **PROJECT}.items() if key.of_text}
    for name in environment:
        if name.startswith(PREFIX) and name not in keys and name != FILE_VARIABLE:
            hint = did_you_mean(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in keys])
            if hint:
                hint = hint.replace("mean ", f"mean {PREFIX}").replace(" or ", f" or {PREFIX}")
                raise UsageError(f"there is no setting for the environment variable {name}.{hint}")
    for variable, (name, key) in keys.items():
        if environment.get(variable):
            value = {name.replace("-", "_"): _of_variable(variable, key, environment[variable])}
            project = _overlaid(project, value, variable)
    return project


def _overlaid(project: Project, value: Mapping[str, Any], variable: str) -> Project:
    if next(iter(value)) in SETTING_FIELDS:
        models = tuple(replace(job, options=job.options.over(value, variable)) for job in project.models)
        return replace(project, options=project.options.over(value, variable), models=models)
    changed: dict[str, Any] = {
        name: _inside(Path.cwd(), v) if name in _PATHS else v for name, v in value.items()
    }
    return replace(project, **changed, origins={**project.origins, **dict.fromkeys(value, variable)})


def _of_variable(variable: str, key: Key, text: str) -> Any:
    assert key.of_text is not None
    table = Table({variable: key.of_text(text)}, "", (variable,), Problems("the environment"))
    value = key.parse(table, variable)
    if table.problems.messages:
        raise SettingsError(table.problems.messages)
    return value


def _variable(name: str) -> str:
    return PREFIX + name.replace("-", "_").upper()
