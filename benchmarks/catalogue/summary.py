"""What all entries come to: the verdict by rules against the trial, fix, parity, warnings, and times.

Everything follows from the data of the catalogue, so that the blocks in the documentation can be held to it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from convlint.catalogue.entry import Entry

DOCS = Path(__file__).resolve().parents[2] / "docs"
STOPPED = "convlint stopped: "
"""How ``unbuilt`` begins where convlint itself crashed."""
LATE = "no report in time: "
"""How ``unbuilt`` begins where the limit ended the check."""


def summary(entries: Sequence[Entry]) -> str:
    """Every figure, with the disagreements by name."""
    return f"{rates(entries)}\n{times(entries)}\n{wrong(entries)}"


def rates(entries: Sequence[Entry]) -> str:
    """Rates by source, as Markdown."""
    lines = [
        "| source | entries | cannot be built | as it is | by export | by TorchScript | next coremltools |"
        " after fix | in part | not at all |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for source, mine in (*_by_source(entries), ("all", list(entries))):
        built = _built(mine)
        cells = [
            len(mine),
            len(mine) - len(built),
            _count(built, lambda entry: entry.converts == "as-is"),
            _through(built, "export"),
            _through(built, "torchscript"),
            _count(built, _converts_next),
            _count(built, lambda entry: entry.converts == "fixed"),
            _count(built, lambda entry: entry.converts == "in-part"),
            _count(built, lambda entry: entry.converts == "no"),
        ]
        lines.append(f"| {source} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def accuracy(entries: Sequence[Entry]) -> str:
    """The figures about what convlint says, as Markdown."""
    built = _built(entries)
    judged = [entry for entry in built if entry.static_agrees is not None]
    refused = [entry for entry in built if entry.converts != "as-is"]
    compared = [entry for entry in built if entry.equal and entry.equal.conclusion != "not compared"]
    placed = [entry for entry in built if entry.places]  # without a program there is nothing to confirm by
    printed = sum(entry.warnings[0] for entry in placed)
    confirmed = sum(entry.warnings[1] for entry in placed)
    rows = [
        ("rules alone say what the export frontend does", len(judged), _count(judged, _agrees)),
        (
            "refused by both frontends: converts after `fix`",
            len(refused),
            _count(refused, lambda entry: entry.converts == "fixed"),
        ),
        (
            "refused by both frontends: converts after `fix`, in part counted",
            len(refused),
            _count(refused, lambda entry: entry.converts in ("fixed", "in-part")),
        ),
        (
            "refused by both frontends: converts after `fix`, parts set apart",
            _count(refused, lambda entry: entry.converts != "in-part"),
            _count(refused, lambda entry: entry.converts == "fixed"),
        ),
        (
            "compared at float32: outputs equal",
            len(compared),
            _count(compared, lambda entry: entry.equal is not None and entry.equal.conclusion == "equal"),
        ),
        ("warnings about the Neural Engine that the forecast confirms", printed, confirmed),
        (
            "a report within the limit, of models that can be built",
            len(built) + _count(entries, _stopped) + _count(entries, _late),
            len(built),
        ),
        ("no crash of convlint", len(entries), len(entries) - _count(entries, _stopped)),
    ]
    lines = ["| what | of | holds | share |", "|---|---|---|---|"]
    lines += [
        f"| {what} | {of} | {holds} | {f'{holds / of:.3f}' if of else '-'} |" for what, of, holds in rows
    ]
    return "\n".join(lines) + "\n"


def times(entries: Sequence[Entry]) -> str:
    """Seconds an entry, as Markdown."""
    lines = ["| source | measured | median | nine of ten within | longest |", "|---|---|---|---|---|"]
    for source, mine in (*_by_source(entries), ("all", list(entries))):
        seconds = sorted(entry.seconds for entry in _built(mine))
        if not seconds:
            continue
        tenth = seconds[min(len(seconds) - 1, int(0.9 * len(seconds)))]
        median = statistics.median(seconds)
        lines.append(f"| {source} | {len(seconds)} | {median:.0f} s | {tenth:.0f} s | {seconds[-1]:.0f} s |")
    return "\n".join(lines) + "\n"


def wrong(entries: Sequence[Entry]) -> str:
    """What does not hold, by name."""
    lines = []
    for entry in entries:
        if entry.unbuilt.startswith((STOPPED, LATE)):
            lines.append(f"* `{entry.name}`: {entry.unbuilt}")
        elif entry.static_agrees is False:
            export = next(door for door in entry.doors if door.frontend == "export")
            said = "the rules refuse it" if export.converts else "the rules see no error"
            truth = "converts" if export.converts else f"refuses {', '.join(export.refused[:3])}"
            lines.append(f"* `{entry.name}`: {said}, and the export frontend {truth}")
        if entry.equal is not None and entry.equal.conclusion == "differs":
            lines.append(f"* `{entry.name}`: differs by {entry.equal.error}: {_plain(entry.equal.why)}")
        if entry.converts == "no" and entry.repairs is not None:
            left = "; ".join(f"{each.op or each.rule} {each.why}".strip() for each in entry.repairs.left[:2])
            lines.append(f"* `{entry.name}`: does not convert after `fix`: {_plain(left)}")
    return "\n".join(lines) + "\n" if lines else "Nothing differs.\n"


def write_pages(entries: Sequence[Entry]) -> None:
    """Put the generated blocks into the documentation."""
    for page, begin, end, text in blocks(entries):
        before = page.read_text(encoding="utf-8")
        head, _, rest = before.partition(begin)
        page.write_text(f"{head}{begin}\n{text}{end}{rest.partition(end)[2]}", encoding="utf-8")


def blocks(entries: Sequence[Entry]) -> Iterable[tuple[Path, str, str, str]]:
    """Each generated block: its page, its marks, and its text."""
    versions = dict(max((entry.versions for entry in _built(entries)), default=()))
    dates = sorted({entry.date for entry in entries if entry.date})
    what = ", ".join(f"{name} {versions[name]}" for name in ("coremltools", "torch") if name in versions)
    head = (
        f"{len(entries)} entries, {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, {what}.\n\n"
        if dates
        else ""
    )
    yield (
        DOCS / "accuracy.md",
        "<!-- catalogue-accuracy: begin -->",
        "<!-- catalogue-accuracy: end -->",
        f"{head}{accuracy(entries)}\n{wrong(entries)}",
    )
    yield (
        DOCS / "benchmarks.md",
        "<!-- catalogue: begin -->",
        "<!-- catalogue: end -->",
        f"{head}{rates(entries)}\n{times(entries)}",
    )


def _built(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.unbuilt]


def _by_source(entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.source, []).append(entry)
    return sorted(groups.items())


def _count(entries: Iterable[Entry], holds: Callable[[Entry], bool]) -> int:
    return sum(map(holds, entries))


def _through(entries: Iterable[Entry], frontend: str) -> str:
    """How many convert through a frontend, of those that it was tried on."""
    doors = [
        door
        for entry in entries
        for door in entry.doors
        if door.frontend == frontend and door.coremltools == entry.doors[0].coremltools
    ]
    return f"{sum(door.converts for door in doors)} of {len(doors)}"


def _converts_next(entry: Entry) -> bool:
    return any(door.converts for door in entry.doors if door.coremltools != entry.doors[0].coremltools)


def _agrees(entry: Entry) -> bool:
    return entry.static_agrees is True


def _stopped(entry: Entry) -> bool:
    return entry.unbuilt.startswith(STOPPED)


def _late(entry: Entry) -> bool:
    return entry.unbuilt.startswith(LATE)


def _plain(text: str) -> str:
    """The text as one line of Markdown, not too long."""
    line = " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")
    return line if len(line) <= 200 else f"{line[:199]}…"
