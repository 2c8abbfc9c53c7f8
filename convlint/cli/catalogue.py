"""``convlint catalogue``: which architectures convert, as they were measured. No model is run."""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Sequence
from typing import TextIO

from convlint.catalogue.entry import Entry
from convlint.catalogue.selection import CONVERTS, SORTS, Query, chips_of, find, select
from convlint.errors import UsageError
from convlint.nearest import nearest_names
from convlint.placement.chips import DEFAULT_CHIP

SHOW = "show"


def add_catalogue_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint catalogue`` takes."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="PATTERN",
        help="entries with this in their name (swin, 'timm/*vit*'); or: show NAME, for all of one",
    )
    parser.add_argument("--task", default="", help="entries for this task: classification, detection, ...")
    parser.add_argument("--source", default="", help="entries of this package: torchvision, timm, ...")
    parser.add_argument("--converts", default="", choices=CONVERTS, help="entries with this answer")
    text = f"the chip whose latency is shown, sorted by and limited; default: {DEFAULT_CHIP}"
    parser.add_argument("--chip", default=None, help=text)
    text = "entries whose estimated latency on that chip is at most this"
    parser.add_argument("--max-ms", type=float, default=None, metavar="MS", help=text)
    parser.add_argument("--sort", choices=SORTS, default="name", help="order of the table; default: name")


def catalogue(options: argparse.Namespace, out: TextIO) -> int:
    """Write the table of the entries that were asked for, or one entry."""
    from convlint.catalogue.store import read
    from convlint.output import catalogue as shown
    from convlint.output.json import dumps

    entries = read()
    if options.words[:1] == [SHOW]:
        entry = find(entries, _only(options.words[1:], "convlint catalogue show takes one name"))
        if options.format == "json":
            out.write(dumps(shown.entry_to_dict(entry)))
        else:
            packages = [name for name, _ in entry.versions if " " not in name]  # some are words of their own
            out.write(shown.page(entry, {name: _installed(name) for name in packages}))
        return 0
    pattern = _only(options.words, "convlint catalogue takes one pattern") if options.words else ""
    query = Query(
        pattern,
        options.task,
        options.source,
        options.converts,
        _chip(options.chip, entries),
        _limit(options.max_ms),
        options.sort,
    )
    chosen = select(entries, query)
    if options.format == "json":
        out.write(dumps(shown.entries_to_dict(chosen, query.chip)))
    else:
        out.write(shown.table(chosen, query.chip, len(entries), _installed("coremltools")))
    return 0


def _only(words: Sequence[str], what: str) -> str:
    if len(words) != 1:
        raise UsageError(f"{what}, not {len(words)}. See `convlint catalogue --help`.")
    return words[0]


def _limit(milliseconds: float | None) -> float | None:
    if milliseconds is not None and not milliseconds > 0:
        raise UsageError(f"--max-ms takes milliseconds above 0, not {milliseconds:g}.")
    return milliseconds


def _chip(word: str | None, entries: Sequence[Entry]) -> str:
    """The chip as entries name it; a UsageError for one that nothing was forecast for."""
    if word is None:
        return DEFAULT_CHIP
    known = {name.replace(" ", "").casefold(): name for name in chips_of(entries)}
    folded = word.replace(" ", "").casefold()
    if folded not in known:
        near = [known[each] for each in nearest_names(folded, known)]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        names = ", ".join(known.values()) or "none"
        raise UsageError(f"the catalogue has no forecasts for the chip {word!r}.{hint} It has: {names}.")
    return known[folded]


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
