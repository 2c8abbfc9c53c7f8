"""The card of a result in a notebook: the verdict, findings at the user's lines, the units, the rest folded.

A card is HTML without a script, with its style in it, so that it can be shown and saved anywhere. It is light
or dark as the notebook is, or as the system is where the notebook says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from convlint.model import Finding, Report
from convlint.model.fixed import Fixed
from convlint.model.parity import Parity
from convlint.model.placement import Plan
from convlint.model.verdict import Kind, tally, trials_of, unnamed_refusals, verdict
from convlint.output.html.findings import compression
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.notebook.findings import failure_part, finding_part, refusal_part, short_part, tally_of
from convlint.output.notebook.fixed import fixed_parts
from convlint.output.notebook.parity import parity_part, parity_parts
from convlint.output.notebook.parts import fold, head, unfolded
from convlint.output.notebook.plan import forecast_part, plan_parts, units_part
from convlint.output.order import joined, shown_order, wins_of
from convlint.text import count
from convlint.wording import in_python

_KINDS: dict[Kind, str] = {
    "converts": "yes",
    "converts-differently": "no",
    "converts-after-fixes": "nearly",
    "does-not-convert": "no",
    "unknown": "unknown",
}


def card_of(result: Any) -> str:
    """The card of a report, finding, fix, plan or parity."""
    makers: dict[type, Callable[[Any], list[Child]]] = {
        Report: _report,
        Finding: lambda finding: [finding_part(said) for said in joined([finding])],
        Fixed: fixed_parts,
        Plan: plan_parts,
        Parity: parity_parts,
    }
    return tag("div", tag("style", Markup(_style())), makers[type(result)](result), class_="convlint")


@cache
def _style() -> str:
    return files("convlint.output.notebook").joinpath("card.css").read_text(encoding="utf-8")


def _report(report: Report) -> list[Child]:
    result = verdict(report)
    step = in_python(result.next_step).replace(" above", " below")
    told = joined(shown_order(report.findings, wins_of(report.plan)))
    errors = [finding_part(said) for said in told if said.severity == "error"]
    others = [said for said in told if said.severity != "error"]
    refused = [refusal_part(failure) for failure in unnamed_refusals(report) if not failure.follows]
    if report.graph is None:
        refused += [
            failure_part(each.method, each.error_type, each.message, each.site, each.caller)
            for each in report.capture_failures
        ]
    facts = (report.model, report.target, tally(report))
    return [
        head(_KINDS[result.kind], in_python(result.headline), step, facts),
        [tag("p", in_python(each.sentence), class_="quiet") for each in report.alternatives],
        units_part(report.plan, after=report.repair is not None) if report.plan is not None else None,
        *unfolded([*errors, *refused], "more error"),
        parity_part(report.parity) if report.parity is not None else None,
        compression(report),
        fold(tally_of(others), [short_part(said) for said in others]),
        forecast_part(report.plan) if report.plan is not None else None,
        fold("About this check", _about(report)),
    ]


def _about(report: Report) -> list[Child]:
    trials = [
        f"{trial.frontend} frontend, coremltools {trial.coremltools}: {trial.status} in {trial.seconds:.2f} s"
        for trial in trials_of(report)
    ]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    seconds = f"{report.seconds['total']:.2f} s in all" if "total" in report.seconds else ""
    silenced = f"{count(len(report.suppressed), 'finding')} silenced" if report.suppressed else ""
    apart = [
        f"{each.op or 'the whole model'}: the rules say {each.static}, the trial says {each.trial}"
        for each in report.disagreements
    ]
    lines = [*trials, *apart, silenced, *map(in_python, report.notes), seconds, versions]
    return [tag("p", line, class_="quiet") for line in lines if line]
