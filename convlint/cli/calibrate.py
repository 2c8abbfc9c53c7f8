"""``convlint calibrate``: fit the numbers of a chip to what was measured on it. No model is run."""

from __future__ import annotations

import argparse
import datetime
import os
from typing import TYPE_CHECKING, TextIO

from convlint.destination import checked_place, make_folder_of
from convlint.errors import UsageError
from convlint.settings.project import find_project
from convlint.text import count, shown_path

if TYPE_CHECKING:
    from convlint.model.calibrated import Calibrated
    from convlint.model.fitted import Fitted

_OPTION = "the file"


def add_calibrate_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint calibrate`` takes."""
    text = "a plan with a measurement: what `convlint plan` wrote as JSON with --compare-with or --measure"
    parser.add_argument("files", nargs="+", metavar="PLAN", help=text)
    text = "say what would be fitted, and write nothing"
    parser.add_argument("--dry-run", action="store_true", help=text)
    text = "read this configuration instead of the nearest; the numbers are written beside it"
    parser.add_argument("--config", metavar="FILE", help=text)


def calibrate(options: argparse.Namespace, out: TextIO) -> int:
    """Fit each chip that was measured, show how well that does on models left out, and write the file."""
    from convlint.placement.fitted import KIND, fitted_path, fitted_text
    from convlint.placement.fitting import LEAST_MODELS
    from convlint.placement.fitting import calibrate as fit
    from convlint.placement.measured_plans import HOW, read_samples

    project = find_project(file=options.config)
    path = fitted_path(project.root or os.getcwd())
    place = None if options.dry_run else checked_place(_OPTION, str(path), KIND)
    samples = read_samples(options.files)
    for chip, own in samples.items():
        models = {sample.key for sample in own}
        if len(models) < LEAST_MODELS:
            raise UsageError(
                f"{chip} has measurements of {count(len(models), 'model')}, and a fit takes at least"
                f" {LEAST_MODELS}: each is left out once, to see whether the others foretell it. Measure more"
                f" models of yours: {HOW}."
            )
    date = datetime.date.today().isoformat()
    found = [fit(chip, own, date) for chip, own in samples.items()]
    kept = _merged(project.options.fitted, found)
    if place is not None and (kept or path.exists()):
        make_folder_of(place)
        place.write(fitted_text(kept))
    _write(found, shown_path(str(path)), place is not None, options.format, out)
    return 0


def _merged(before: tuple[Fitted, ...], found: list[Calibrated]) -> list[Fitted]:
    """The numbers for the file: those of other chips stay, and a chip whose fit is no better has none."""
    chips = {each.chip for each in found}
    return [
        *(each for each in before if each.chip not in chips),
        *(each.fitted for each in found if each.fitted.factors),
    ]


def _write(found: list[Calibrated], path: str, written: bool, form: str, out: TextIO) -> None:
    if form == "json":
        from convlint.model.plain import SCHEMA_VERSION, plain
        from convlint.output.json import dumps

        fits = [plain(each) | {"error_before": each.before, "error_after": each.after} for each in found]
        out.write(dumps({"schema_version": SCHEMA_VERSION, "path": path if written else None, "chips": fits}))
        return
    from convlint.output.calibration import render_calibrated
    from convlint.output.terminal import console_of

    console = console_of(out)
    for each in found:
        render_calibrated(each, path, written, console)
