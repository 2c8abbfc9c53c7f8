"""One self-contained page: the findings, where the model would run, and the model as a picture.

The findings are plain HTML, so that the page can be read without scripts; the script of ``web`` draws the
picture from JSON. The page may load nothing, and tells the browser so
(https://www.w3.org/TR/CSP3/): a model's names cannot bring in code, nor can anything be fetched.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from convlint import __version__
from convlint.destination import checked_place, make_folder_of
from convlint.model import Finding, Report
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.earlier import REPORT
from convlint.output.html.findings import (
    Places,
    compression,
    findings,
    others,
    trouble,
)
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.html.picture import Finder, Picture, picture_of
from convlint.output.html.picture_data import Mark, picture_to_dict, script_data
from convlint.output.html.plan import advice, blockers, forecast
from convlint.output.html.summary import legend, summary
from convlint.output.html.svg import drawing
from convlint.output.order import shown_order, wins_of
from convlint.text import count


def render_html(run: Run) -> str:
    """The page of a run. Several models are on one page, and a list chooses between them."""
    sections = [_section(outcome, number) for number, outcome in enumerate(run.outcomes)]
    return page_of([outcome.model for outcome in run.outcomes], sections)


def write_page(result: Report | Plan, path: str | os.PathLike[str]) -> None:
    """Write the page of one result, as ``--report page.html`` does."""
    report, plan = (result, result.plan) if isinstance(result, Report) else (None, result)
    place = checked_place("html()", os.fspath(path), REPORT)
    make_folder_of(place)
    place.write(
        render_html(Run((Outcome(result.model, result.model, None, report, plan=plan),), os.getcwd()))
    )


def page_of(names: list[str], sections: list[Markup]) -> str:
    """The document around the sections of its models."""
    style, script = _asset("page.css"), _asset("picture.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    title = names[0] if len(names) == 1 else count(len(names), "model")
    options: list[Child] = [tag("option", name, value=f"m{number}") for number, name in enumerate(names)]
    choice = tag("select", options, class_="models", aria_label="Model")
    beside = tag(
        "select",
        tag("option", "nothing", value=""),
        options,
        class_="models",
        id="beside",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"convlint {__version__}"),
        tag("title", f"{title} - convlint"),
        tag("style", Markup(style)),
    )
    top = tag(
        "header",
        tag("span", "convlint", class_="brand"),
        [tag("h1", title, class_="unseen"), choice, tag("label", "beside it ", beside, class_="beside")]
        if len(names) > 1
        else tag("h1", title),
        tag("span", class_="themes"),
        class_="top",
    )
    body = tag("body", top, tag("main", list(sections)), tag("script", Markup(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _section(outcome: Outcome, number: int) -> Markup:
    if outcome.report is None and outcome.plan is None:
        problem = tag("p", str(outcome.error), class_="error-text")
        text = tag("div", tag("h2", "Not checked"), problem, class_="verdict unknown")
        return tag("section", text, class_="model", id=f"m{number}")
    return _model(outcome.model, outcome.report, outcome.plan, number)


def _model(name: str, report: Report | None, plan: Plan | None, number: int) -> Markup:
    picture = picture_of(report, plan)
    finder = Finder(picture) if picture is not None else None
    prefix = f"m{number}"
    wins = wins_of(plan)
    shown = shown_order(report.findings, wins) if report is not None else []
    marks = [
        Mark(
            name,
            each.severity,
            f"{each.rule.code} {each.rule.name}",
            finder.of_finding(each) if finder is not None else (),
        )
        for name, each in zip(_permalinks(shown, number), shown, strict=True)
    ]
    places = Places(
        tuple(mark.id for mark in marks), finder, picture, tuple(mark.nodes for mark in marks), wins
    )
    side = tag(
        "div",
        findings(report, shown, places) if report is not None else None,
        others(report) if report is not None else None,
        blockers(plan, places) if plan is not None else None,
        advice(plan) if plan is not None else None,
        compression(report) if report is not None else None,
        trouble(report) if report is not None else None,
        forecast(plan) if plan is not None else None,
        _versions(report.versions if report is not None else plan.versions if plan is not None else {}),
        class_="side",
    )
    work = tag("div", side, _stage(picture, marks, prefix), class_="work")
    return tag(
        "section", summary(report, plan, picture, prefix), work, class_="model", id=prefix, data_model=name
    )


def _permalinks(shown: Sequence[Finding], number: int) -> list[str]:
    """What leads to each finding: ``CL327`` to the first of a rule, ``CL327-2`` to the next.

    Those of the second model of a page and of later ones begin with the model: ``m1-CL327``.
    """
    seen: Counter[str] = Counter()
    names = []
    for finding in shown:
        code = finding.rule.code
        seen[code] += 1
        before = f"m{number}-" if number else ""
        names.append(f"{before}{code}" + (f"-{seen[code]}" if seen[code] > 1 else ""))
    return names


def _versions(versions: Mapping[str, str]) -> Markup:
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    return tag("p", f"convlint {__version__}" + (f" with {words}" if words else ""), class_="quiet made")


def _stage(picture: Picture | None, marks: list[Mark], prefix: str) -> Markup:
    if picture is None:
        text = "There is no picture, because nothing of the model was captured."
        return tag("div", tag("p", text), class_="picture none")
    bar = "Time by module" if picture.timed else "Ops by module"
    return tag(
        "div",
        tag(
            "div",
            tag("div", class_="turns", role="group", aria_label="Picture or table"),
            tag("div", class_="search", id=f"{prefix}-search"),
            tag("div", class_="tools", role="toolbar", aria_label="The picture"),
            class_="controls",
        ),
        tag("div", class_="overview", role="group", aria_label=bar, data_title=bar),
        tag("div", tag("div", class_="stage"), tag("div", class_="ops"), class_="views"),
        legend(picture),
        tag("noscript", drawing(picture)),
        tag("script", script_data(picture_to_dict(picture, marks)), type="application/json"),
        class_="picture",
        id=f"{prefix}-picture",
    )


@cache
def _asset(name: str) -> str:
    return files("convlint.output.html").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"
