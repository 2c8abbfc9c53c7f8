"""Reads plans with a measurement, as ``convlint plan --format json`` writes them, into samples of a fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlint.errors import FileError
from convlint.model.placement import COMPUTE_UNITS
from convlint.placement.chips import chips
from convlint.placement.dumped import is_time
from convlint.placement.estimate import ON_CPU, ON_GPU
from convlint.placement.fitting import Sample, parts_of

HOW = (
    "`convlint plan MODEL --compare-with FILE --format json` joins what was measured with the plan of its"
    " model, and on a Mac `convlint plan MODEL --measure --format json` measures"
)


def read_samples(paths: Sequence[str]) -> dict[str, list[Sample]]:
    """The samples in these files by chip, each once; a FileError names every file that has none."""
    found: dict[str, dict[Any, Sample]] = {}
    problems = []
    for path in paths:
        try:
            chip, samples = _read(path)
        except FileError as error:
            problems += error.problems
            continue
        for sample in samples:
            same = (sample.key, sample.compute_units, sample.milliseconds)
            found.setdefault(chip, {}).setdefault(same, sample)
    if problems:
        raise FileError(problems)
    return {chip: list(samples.values()) for chip, samples in found.items()}


def _read(path: str) -> tuple[str, list[Sample]]:
    if Path(path).is_dir():
        raise FileError([f"{path}: a folder, and no plan with a measurement: {HOW}"])
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    except json.JSONDecodeError as error:
        raise FileError([f"{path}:{error.lineno}: not JSON: {error.msg}"]) from error
    except (RecursionError, ValueError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    try:
        return _samples(path, data if isinstance(data, dict) else {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError([f"{path}: no plan with a measurement in it: {HOW}"]) from error


def _samples(path: str, data: dict[str, Any]) -> tuple[str, list[Sample]]:
    ops, choices = data["ops"], data["choices"]
    chip = chips()[data["chip"]].name
    measured = data.get("measured") or data.get("compared") or {}
    times = {words: ms for words, ms in measured.get("predict_ms", {}).items() if words in COMPUTE_UNITS}
    if not times:
        raise FileError([f"{path}: a plan, but no time of a prediction beside it: {HOW}"])
    for words, milliseconds in times.items():
        if not is_time(milliseconds):
            raise FileError([f"{path}: {milliseconds!r} is no time of a prediction with {words}"])
    if data["level"] != "mil":
        raise FileError([f"{path}: a plan of PyTorch's own ops: what was measured is another program"])
    if any("parts" not in op for op in ops) or any(len(each["units"]) != len(ops) for each in choices):
        raise FileError([f"{path}: an earlier convlint wrote it, without the parts of its times: plan again"])
    factors = (data.get("fitted") or {}).get("factors", {})
    calls = data["calls_ms"]
    key = f"{data['model']} {len(ops)} {data['flops']}"
    samples = [
        _sample(key, path, data["model"], each, float(times[each["compute_units"]]), ops, calls, factors)
        for each in choices
        if each["compute_units"] in times
    ]
    return chip, samples


def _sample(
    key: str,
    file: str,
    model: str,
    choice: Mapping[str, Any],
    milliseconds: float,
    ops: Sequence[Mapping[str, Any]],
    calls: Mapping[str, float],
    factors: Mapping[str, float],
) -> Sample:
    """The sample of one choice of units; ``factors`` are those that the plan was made with."""
    letters = choice["units"]
    on_ane, each = parts_of([op["parts"] for op, unit in zip(ops, letters, strict=True) if unit == "A"])

    def busy(unit: str) -> float:
        spent = sum(op["times"][unit] for op, letter in zip(ops, letters, strict=True) if letter == unit[0])
        return float(spent) / float(factors.get(unit, 1.0))

    return Sample(
        key,
        file,
        model,
        choice["compute_units"],
        milliseconds,
        on_ane,
        busy(ON_GPU),
        busy(ON_CPU),
        sum(milliseconds for unit, milliseconds in calls.items() if unit[0] in letters),
        choice["copies_ms"] + each,
    )
