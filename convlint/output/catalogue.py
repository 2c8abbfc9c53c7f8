"""The catalogue for people: a table of entries, and all that was measured of one, in plain words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from convlint.catalogue.entry import Door, Entry, Place
from convlint.catalogue.store import as_dict
from convlint.model.plain import SCHEMA_VERSION
from convlint.text import count, named, quantity, significant

CONVERTS: Mapping[str, str] = {
    "as-is": "converts as it is",
    "fixed": "converts after changes",
    "in-part": "converts in part, after changes",
    "no": "does not convert",
    "unbuilt": "could not be measured",
}
"""Each answer of an entry in words, as the end of a sentence."""
REDUCED = "measured with fewer layers or smaller widths than what people train"
Installed = Mapping[str, str | None]
"""The versions that are installed here, by package; None for one that is not."""


def table(entries: Sequence[Entry], chip: str, total: int, installed: str | None) -> str:
    """One line for each entry, and under them what the figures are."""
    if not entries:
        return f"None of the {total} entries of the catalogue is that.\n"
    head = ("name", "task", "converts", "parameters", "GFLOPs", f"ms on {chip}")
    rows = [head, *(_row(entry, chip, installed) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    right = (3, 4)
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *_foot(entries, total, installed)]) + "\n"


def _row(entry: Entry, chip: str, installed: str | None) -> tuple[str, ...]:
    place = entry.on(chip)
    marks = ("" if _is_of(entry, installed) else " *") + (" ~" if entry.reduced else "")
    return (
        named(entry.name) + marks,
        named(entry.task),
        entry.converts,
        quantity(entry.parameters) if entry.parameters else "",
        significant(entry.gflops, 3) if entry.gflops else "",
        "" if place is None else span(place),
    )


def _foot(entries: Sequence[Entry], total: int, installed: str | None) -> Iterator[str]:
    dates = sorted({entry.date for entry in entries if entry.date})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "at an unknown time"
    releases = sorted({version_of(entry, "coremltools") or "an unknown release" for entry in entries})
    yield (
        f"{len(entries)} of {count(total, 'entry', 'entries')}, measured {when} with coremltools"
        f" {', '.join(releases)}. Latencies are forecasts: the estimate, and in brackets its range."
    )
    if any(not _is_of(entry, installed) for entry in entries):
        yield f"* measured with another coremltools than the {installed} that is installed here."
    if any(entry.reduced for entry in entries):
        yield f"~ {REDUCED}."
    yield "`convlint catalogue show NAME` has all of one."


def version_of(entry: Entry, package: str) -> str:
    """The version of a package that an entry was measured with; empty where it does not say."""
    return dict(entry.versions).get(package, "")


def _is_of(entry: Entry, installed: str | None) -> bool:
    """Whether the entry was measured with this coremltools; where none is installed, there is no other."""
    release = version_of(entry, "coremltools")
    return installed is None or not release or release == installed


def span(place: Place, unit: str = "") -> str:
    """``"3.07 (2.1 to 4.6)"``: the estimate in milliseconds and its range."""
    low, high = significant(place.lowest, 2), significant(place.highest, 2)
    return f"{significant(place.milliseconds, 3)}{unit} ({low} to {high})"


def entries_to_dict(entries: Iterable[Entry], chip: str) -> dict[str, Any]:
    """The entries for programs, each with its answer in a word; ``chip`` is the one that was asked about."""
    rows = [{"converts": entry.converts, **as_dict(entry)} for entry in entries]
    return {"schema_version": SCHEMA_VERSION, "chip": chip, "entries": rows}


def entry_to_dict(entry: Entry) -> dict[str, Any]:
    """One entry for programs."""
    return {"schema_version": SCHEMA_VERSION, "converts": entry.converts, **as_dict(entry)}


def page(entry: Entry, installed: Installed) -> str:
    """Everything that was measured of one entry, a line for each fact."""
    rows = [*facts(entry, installed)]
    width = max(len(label) for label, _ in rows) + 2
    family = f", family {named(entry.family)}" if entry.family else ""
    lines = [
        f"{named(entry.name)}  {named(entry.task)}, {named(entry.source)}{family}",
        headline(entry),
        "",
        *(f"{label:{width}}{named(text)}" for label, text in rows),
    ]
    return "\n".join(lines) + "\n"


def headline(entry: Entry) -> str:
    """The answer of an entry as a sentence."""
    if entry.unbuilt:
        return f"Could not be measured: {named(entry.unbuilt)}"
    words = CONVERTS[entry.converts]
    if entry.converts == "as-is":
        through = [
            door.frontend
            for door in entry.doors
            if door.converts and door.coremltools == entry.doors[0].coremltools
        ]
        but = ", but not to what you would ship" if entry.but else ""
        return f"{words.capitalize()}, through {' and '.join(through)}{but}."
    if entry.repairs is not None and entry.repairs.changes and entry.converts != "no":
        unsafe = " --unsafe" if entry.repairs.unsafe else ""
        return f"{words.capitalize()}: {count(entry.repairs.changes, 'change')} by `convlint fix{unsafe}`."
    return f"{words.capitalize()}."


def _sizes(bytes_at: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Each size in words; 4 bits come in blocks of 32, and what they do not divide keeps its 16 bits."""
    eight = dict(bytes_at).get(8)
    for bits, size in bytes_at:
        blocks = bits == 4 and eight is not None and size > eight
        remark = ", as blocks of 32 fit few of its weights" if blocks else ""
        yield f"{quantity(size)}B with {bits} bits a weight{remark}"


def facts(entry: Entry, installed: Installed) -> Iterator[tuple[str, str]]:
    """What was measured, as labels and texts, with what differs from the versions that are installed."""
    if entry.inputs:
        yield "takes", ", ".join(entry.inputs)
    if entry.parameters:
        flops = f", {significant(entry.gflops, 3)} GFLOPs" if entry.gflops else ""
        reduced = f": {REDUCED}" if entry.reduced else ""
        yield "size", f"{quantity(entry.parameters)} parameters{flops}{reduced}"
    if entry.bytes_at:
        yield "package", ", ".join(_sizes(entry.bytes_at))
    if entry.form:
        yield "form", entry.form
    for door in entry.doors:
        yield door.frontend, _door(door)
    if entry.but:
        yield "but", entry.but
    yield from _repairs(entry)
    if entry.equal is not None:
        yield "numbers", _equal(entry)
    for place in entry.places:
        share = f"{place.engine_share:.0%} of the time on the Neural Engine"
        yield place.chip, f"forecast of {span(place, ' ms')}, {share}"
    if entry.static_agrees is not None:
        yield (
            "rules",
            (
                "alone say what the conversion said"
                if entry.static_agrees
                else "alone say something else than the conversion"
            ),
        )
    shown, confirmed = entry.warnings
    if shown:
        yield "warnings", f"{shown} about the Neural Engine, {confirmed} of them borne out by the forecast"
    if entry.features:
        pairs = (f"{each.channels} channels at 1/{each.stride}" for each in entry.features)
        yield "features", ", ".join(pairs)
    if entry.classes:
        yield "classes", ", ".join(entry.classes)
    yield from _measured(entry, installed)


def _door(door: Door) -> str:
    release = f" (coremltools {door.coremltools})" if door.coremltools else ""
    if door.converts:
        return f"converts{release}"
    return f"refused{release}" + (f": {', '.join(door.refused)}" if door.refused else "")


def _repairs(entry: Entry) -> Iterator[tuple[str, str]]:
    repairs = entry.repairs
    if repairs is None:
        return
    made = count(repairs.changes, "change") + (" with --unsafe" if repairs.unsafe else "")
    yield (
        "changes",
        {
            "source": f"{made}, which the source can hold",
            "graph": f"{made}, in the captured program",
            "part": f"{made}; a part of the model is left to be written by hand",
            "no": f"{made}, after which it is still refused" if repairs.changes else "none is known",
        }[repairs.how],
    )
    for left in repairs.left:
        what = " ".join(filter(None, (left.rule, left.op))) + (f" x{left.times}" if left.times > 1 else "")
        yield "left", f"{what}: {left.why}" if left.why else what


def _equal(entry: Entry) -> str:
    equal = entry.equal
    assert equal is not None
    words = {
        "equal": "the program computes what PyTorch does",
        "differs": "the program computes something else than PyTorch",
        "not compared": "were not compared with PyTorch",
    }[equal.conclusion]
    error = (
        f", largest error {equal.error:.2g} of an output's largest value" if equal.error is not None else ""
    )
    return f"{words}{error}" + (f": {equal.why}" if equal.why else "")


def _measured(entry: Entry, installed: Installed) -> Iterator[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in entry.versions)
    took = f", in {significant(entry.seconds, 2)} s" if entry.seconds else ""
    yield (
        "measured",
        f"{entry.date or 'at an unknown time'}{took}" + (f", with {versions}" if versions else ""),
    )
    other = [
        f"{name} {installed[name]}"
        for name, version in entry.versions
        if installed.get(name) not in (None, version)
    ]
    if other:
        yield "note", f"installed here: {', '.join(other)}; it may answer otherwise"
    missing = [name for name, _ in entry.versions if name in installed and installed[name] is None]
    if missing:
        yield "note", f"not installed here: {', '.join(missing)}"
    if entry.command:
        yield "again", f"convlint check {shlex.join(entry.command)}"
