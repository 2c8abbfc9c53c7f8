"""``python -m benchmarks.catalogue``: measure what is missing or stale, and write the catalogue.

    python -m benchmarks.catalogue --state FOLDER --next .venv/coremltools-9.1.dev1
    python -m benchmarks.catalogue --state FOLDER --sources torchvision,timm --minutes 60 --workers 2
    python -m benchmarks.catalogue --state FOLDER --only timm/fastvit_t8 --again
    python -m benchmarks.catalogue --state FOLDER --minutes 0 --write    # the catalogue of what is there

Each model is measured in a process of its own, with a limit of time and memory. One JSON file a model is
kept in FOLDER, so that a second run goes on where the first one stopped, and measures anew what has other
versions, or was ended by a smaller limit. What the catalogue has of the same versions counts as measured.
``--packages FOLDER`` has packages that are installed without their dependencies. ``--write`` writes the data
of the catalogue and the generated blocks of the documentation.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.engine import Limits, run
from benchmarks.catalogue.sources import SOURCES, candidates, installed_version
from benchmarks.catalogue.state import State, entries, entry
from benchmarks.catalogue.summary import STOPPED, summary, write_pages
from convlint.catalogue.entry import Entry
from convlint.catalogue.store import DATA, read, write
from convlint.errors import ConvlintError


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then print the summary; exit code 1 where convlint itself stopped on an entry."""
    options = _parser().parse_args(arguments)
    if options.packages:
        sys.path.append(os.path.abspath(options.packages))
    chosen = candidates([name for name in SOURCES if name in options.sources.split(",")])
    if options.only:
        chosen = [candidate for candidate in chosen if candidate.name in options.only]
    state = State(options.state, _versions(chosen, options.next), _shipped())
    waiting = [each for each in chosen if not state.is_done(each, options.seconds, options.again)]
    limits = Limits(
        options.seconds,
        int(options.memory * 2**30),
        os.path.abspath(options.next) if options.next else "",
        os.path.abspath(options.packages) if options.packages else "",
    )
    try:
        _measure(waiting, state, limits, options)
    except KeyboardInterrupt:
        print(f"stopped; {options.state} has what was measured, and the same command goes on from there")
        return 130
    found = entries(state, chosen)
    print(summary(found))
    if options.write:
        others = [each for each in _shipped() if each.name not in {candidate.name for candidate in chosen}]
        write(DATA, sorted([*found, *others] if _is_part(options) else found, key=lambda each: each.name))
        write_pages(read())
        print(f"{len(found)} entries, {DATA.stat().st_size / 1e3:.0f} kB in {DATA}")
    return int(any(each.unbuilt.startswith(STOPPED) for each in found))


def _shipped() -> tuple[Entry, ...]:
    """The catalogue as it is; nothing where there is none, or it is damaged."""
    try:
        return read()
    except ConvlintError:
        return ()


def _is_part(options: argparse.Namespace) -> bool:
    """Whether other entries than those that were asked for may be in the catalogue."""
    return bool(options.only) or set(options.sources.split(",")) != set(SOURCES)


def _measure(waiting: Sequence[Candidate], state: State, limits: Limits, options: argparse.Namespace) -> None:
    if not waiting or options.minutes == 0:
        return
    start = time.monotonic()
    until = start + 60 * options.minutes if options.minutes is not None else float("inf")
    for number, (candidate, row) in enumerate(
        run(waiting, limits, options.workers, options.scheduler, until), 1
    ):
        state.keep(candidate, row)
        spent = time.monotonic() - start
        left = spent / number * (len(waiting) - number)
        made = entry(candidate, row, state.of(candidate))
        said = _said(made.unbuilt, made.converts)
        print(
            f"{time.strftime('%H:%M:%S')} {number}/{len(waiting)} {candidate.name}: {said}"
            f" in {row['seconds']:.0f} s; {60 * number / spent:.1f} a minute, {left / 60:.0f} min left",
            flush=True,
        )


def _said(unbuilt: str, converts: str) -> str:
    return f"{converts} ({unbuilt[:120]})" if unbuilt else converts


def _versions(chosen: Sequence[Candidate], next_release: str) -> dict[str, str]:
    """The versions of everything that results depend on."""
    names = {"convlint", "torch", "coremltools", *(candidate.distribution for candidate in chosen)}
    found = {name: installed_version(name) for name in names if name}
    if not found.get("convlint"):
        from convlint import __version__

        found["convlint"] = __version__
    if next_release:
        found["next coremltools"] = Path(next_release).name.rpartition("-")[2]
    return {name: version for name, version in sorted(found.items()) if version}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.catalogue",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, default=Path("benchmarks/results/catalogue"))
    parser.add_argument(
        "--sources", default=",".join(SOURCES), help="of these sources (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these entries alone")
    parser.add_argument(
        "--again",
        nargs="?",
        const="all",
        default="",
        choices=("all", "unbuilt"),
        help="measure anew all that is kept, or what could not be built",
    )
    parser.add_argument(
        "--minutes", type=float, help="begin no other model after so long; 0 measures nothing"
    )
    parser.add_argument("--workers", type=int, default=1, help="models at once (default: %(default)s)")
    parser.add_argument(
        "--scheduler", default="", help="the address of a dask cluster, instead of workers here"
    )
    parser.add_argument("--next", default="", metavar="FOLDER", help="with another release of coremltools")
    parser.add_argument("--packages", default="", metavar="FOLDER", help="with packages without dependencies")
    parser.add_argument("--seconds", type=float, default=300.0, help="limit of a model and a release")
    parser.add_argument("--memory", type=float, default=10.0, help="limit of a process in GB")
    parser.add_argument("--write", action="store_true", help="write the catalogue and the documentation")
    return parser


if __name__ == "__main__":
    sys.exit(main())
