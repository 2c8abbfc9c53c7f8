"""Numbers of chips that a user fitted to measurements: ``.convlint/chips.toml`` beside the configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from convlint.destination import FileKind
from convlint.errors import SettingsError
from convlint.model.fitted import Fitted
from convlint.placement.chips import Device
from convlint.placement.estimate import FACTORS
from convlint.text import one_line, shown_path
from convlint.toml_table import Problems, Table

FOLDER, NAME = ".convlint", "chips.toml"
MARKER = "# convlint: numbers of chips, fitted to measurements"
KIND = FileKind("numbers of chips that convlint fitted", lambda head: head.startswith(MARKER.encode()))
_HEAD = f"""{MARKER}
# `convlint calibrate` writes this file, and plans for these chips use it. To go back, delete it, or a table.
# Each factor is what a planned time is multiplied by.
"""


def fitted_path(root: str | Path) -> Path:
    """Where the numbers of the project in this folder are."""
    return Path(root) / FOLDER / NAME


def read_fitted(root: str | Path) -> tuple[Fitted, ...]:
    """The numbers of the project in this folder; none where it has no such file.

    A SettingsError for a file that says something else.
    """
    path = fitted_path(root)
    shown = shown_path(str(path))
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise SettingsError([f"cannot read {shown}: {error.strerror}."]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{shown} is not valid TOML: {one_line(str(error))}."]) from error
    problems = Problems(shown)
    whole = Table(data, "", ("chip",), problems)
    keys = ("name", "date", "measurements", "models", "factors")
    found = [_fitted(table) for table in whole.tables("chip", keys)]
    if problems.messages:
        hint = f"{shown}: plans take numbers of chips from this file; delete it, or move it where it is yours"
        raise SettingsError([*problems.messages, hint])
    return tuple(found)


def fitted_text(fitted: Iterable[Fitted]) -> str:
    """The text of the file."""
    tables = [
        f'[[chip]]\nname = "{each.chip}"\ndate = "{each.date}"\nmeasurements = {each.measurements}\n'
        f"models = {each.models}\n"
        f"factors = {{ {', '.join(f'{name} = {value!r}' for name, value in each.factors.items())} }}\n"
        for each in fitted
    ]
    return "\n".join([_HEAD, *tables])


def with_fitted(device: Device, fitted: Sequence[Fitted]) -> Device:
    """The device, with the numbers that were fitted for its chip."""
    own = next((each for each in fitted if each.chip == device.chip.name), None)
    return device if own is None else replace(device, chip=replace(device.chip, fitted=own))


def _fitted(table: Table) -> Fitted:
    factors = table.table("factors", FACTORS)
    values = {name: factors.get(name, float) for name in factors.data if name in FACTORS}
    for name, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            factors.problem(name, f"a number above 0 is needed, not {value:g}")
    counts = [table.get(name, int) or 0 for name in ("measurements", "models")]
    return Fitted(table.text("name"), values, counts[0], counts[1], table.text("date"))
