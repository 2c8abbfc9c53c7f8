"""Parity in a card: the verdict, the first difference at its line, and every run."""

from __future__ import annotations

from convlint.model.parity import Divergence, Errors, Parity
from convlint.model.verdict import what_differs
from convlint.output.html.findings import source_lines
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.notebook.parts import head
from convlint.text import count, one_line


def parity_parts(parity: Parity) -> list[Child]:
    """The card of a parity."""
    equal = parity.status == "equal"
    told = parity.status in ("refused", "unsupported")
    kind = "yes" if equal else "unknown" if told else "nearly" if parity.severity != "error" else "no"
    headline = {
        "equal": "Computes what PyTorch computes.",
        "refused": "Not compared: the model does not convert.",
        "unsupported": "Not compared: the program cannot be run here.",
    }.get(parity.status) or f"The program {what_differs(parity)}."
    facts = (
        parity.target,
        parity.precision,
        f"{parity.frontend} frontend",
        count(parity.seeds, "run"),
        "" if told else f"largest error {parity.max_rel_error:.2g} of an output's largest value",
    )
    return [head(kind, headline, one_line(parity.detail), facts), *_errors(parity)]


def parity_part(parity: Parity) -> Markup:
    """Parity as a part of another card."""
    return tag("section", tag("p", tag("b", "Parity: "), parity.summary), _errors(parity), class_="parity")


def _errors(parity: Parity) -> list[Child]:
    runs = (
        [("executor", parity.status, parity.errors)]
        if parity.status not in ("refused", "unsupported")
        else []
    )
    runs += [(run.sizes, run.status, run.errors) for run in parity.sizes]
    runs += [(run.unit, run.status, run.errors) for run in parity.devices]
    rows = [_row(*run) for run in runs]
    titles = tag("tr", [tag("th", word) for word in ("run", "result", "largest relative error", "absolute")])
    first = parity.first_divergence
    return [
        _divergence(first) if first is not None else None,
        tag("table", titles, list(rows)) if len(rows) > 1 else None,
        [tag("p", remark, class_="quiet") for remark in parity.remarks],
    ]


def _row(name: str, status: str, errors: Errors) -> Markup:
    cells = (name, status, f"{errors.max_rel_error:.2g}", f"{errors.max_abs_error:.2g}")
    return tag("tr", [tag("td", cell) for cell in cells])


def _divergence(first: Divergence) -> Markup:
    became = f"converted to {first.mil_op or 'an operation'} {first.mil_name!r}" if first.mil_name else ""
    module = f"in {first.module}" if first.module else ""
    return tag(
        "article",
        tag("h4", tag("span", "first difference", class_="severity error"), tag("code", first.op)),
        tag("p", first.example_text) if first.example_text else None,
        source_lines(first.site, first.caller),
        tag("p", ", ".join(filter(None, (module, became))), class_="quiet"),
        class_="finding error",
    )
