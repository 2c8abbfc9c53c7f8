"""Fixes in a card: the edited cells, the other changes, and what is left."""

from __future__ import annotations

import difflib
from itertools import islice

from convlint.cells import name_of_cell
from convlint.model.applied import Applied, EditedCell
from convlint.model.fixed import Fixed
from convlint.output.html.findings import source_lines
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.notebook.findings import finding_part, refusal_part
from convlint.output.notebook.parity import parity_part
from convlint.output.notebook.parts import fold, head, unfolded
from convlint.output.order import joined
from convlint.text import count
from convlint.wording import in_python


def fixed_parts(fixed: Fixed) -> list[Child]:
    """The card of a fix."""
    kind = "yes" if fixed.ships and fixed.left_out is None else "nearly" if fixed.ships else "no"
    step = "convlint.check(model, example_inputs) shows the rules of what is left." if fixed.remaining else ""
    if fixed.ships:
        step = (
            "fixed.module computes the same in PyTorch; convlint.convert(model, example_inputs) converts it."
        )
    compared = f"compared: {', '.join(fixed.checked)}" if fixed.checked else ""
    error = f"largest difference {fixed.max_abs_error:.3g}" if fixed.max_abs_error is not None else ""
    left = [refusal_part(failure) for failure in fixed.remaining]
    notes = [*(f"rolled back: {each}" for each in fixed.rolled_back), *map(in_python, fixed.notes)]
    return [
        head(kind, fixed.headline, step, (fixed.target, compared, error)),
        [_cell(cell, whole=fixed.converts == "yes") for cell in fixed.cells],
        *_changes(fixed),
        *unfolded([_change(change, proposed=True) for change in fixed.proposed], "more change"),
        *unfolded([*left, *map(finding_part, joined(fixed.wrong))], "more refusal"),
        tag("p", f"Left to you: {fixed.left_out}") if fixed.left_out is not None else None,
        parity_part(fixed.parity) if fixed.parity is not None else None,
        fold(count(len(notes), "note"), [tag("p", note, class_="quiet") for note in notes]),
    ]


def _cell(cell: EditedCell, *, whole: bool) -> Markup:
    """The lines of a cell that change, and the cell to copy; ``whole``: the fixed module converts."""
    lines = difflib.unified_diff(cell.before.splitlines(), cell.after.splitlines(), lineterm="", n=2)
    kinds = {"-": "before", "+": "after"}
    shown: list[Child] = [
        tag("span", f"{line[:1]} {line[1:]}\n", class_=kinds.get(line[:1]))
        for line in islice(lines, 2, None)
        if not line.startswith("@@")
    ]
    then = "coremltools converts it"
    if cell.refused:
        then = f"coremltools still refuses {', '.join(cell.refused)}"
        then += "; fixed.module is changed there too" if whole else ""
    said = f"With this edit the model computes and trains the same on your inputs, and {then}."
    return tag(
        "article",
        tag(
            "h4",
            tag("span", "edited", class_="severity good"),
            tag("code", name_of_cell(cell.path) or "the cell"),
        ),
        tag("p", said),
        tag("div", tag("pre", shown), class_="replacement"),
        fold("The whole cell, to copy", [tag("pre", cell.after, class_="whole")]),
        class_="finding good",
    )


def _changes(fixed: Fixed) -> list[Child]:
    """The changes, those that an edited cell shows folded."""
    in_cells = {change for cell in fixed.cells for change in cell.changes}
    said = [_change(change) for change in fixed.applied if change in in_cells]
    others = [_change(change) for change in fixed.applied if change not in in_cells]
    return [*unfolded(others, "more change"), fold(f"{count(len(said), 'change')} in the cell", said)]


def _change(change: Applied, *, proposed: bool = False) -> Markup:
    times = f" ×{change.calls}" if change.calls > 1 else ""
    safety = "may differ for some inputs" if change.safety == "unsafe" else ""
    return tag(
        "article",
        tag(
            "h4",
            tag(
                "span",
                "proposed" if proposed else "changed",
                class_="severity note" if proposed else "severity good",
            ),
            tag("code", f"{change.op}{times}"),
            tag("span", safety, class_="quiet") if safety else None,
        ),
        tag("p", change.title),
        source_lines(change.site, change.caller),
        class_="finding note" if proposed else "finding good",
    )
