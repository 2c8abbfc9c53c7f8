"""Findings and refusals in a card: errors with their lines and helps, all else in short."""

from __future__ import annotations

from collections.abc import Sequence

from convlint.model import Finding, Severity, Site, TrialFailure
from convlint.output.findings import best_helps
from convlint.output.html.findings import instead, source_lines
from convlint.output.html.markup import Child, Markup, link, tag
from convlint.output.modules import fold_modules
from convlint.output.notebook.parts import MOST, fold
from convlint.output.order import Said
from convlint.output.places import shown_place
from convlint.text import count, one_line


def finding_part(said: Said) -> Markup:
    """What is said of a line, with the line, two helps for each, and the reasons folded."""
    places = said.places[:MOST]
    more = len(said.places) - len(places)
    return tag(
        "article",
        [[_title(each), tag("p", each.message)] for each in said.findings],
        *(part for told in places for part in _place(told)),
        tag("p", f"and {count(more, 'more line')}", class_="quiet") if more else None,
        [[instead(help_) for help_ in best_helps(each.replacements)] for each in said.findings],
        [_why(each) for each in said.findings],
        class_=f"finding {said.severity}",
    )


def _why(finding: Finding) -> Markup | None:
    helps = best_helps(finding.replacements)
    more = [each for each in finding.replacements if each not in helps]
    rule = finding.rule
    return fold(
        f"Why {rule.code}" + (f", and {count(len(more), 'more help')}" if more else ""),
        [
            tag("p", rule.why),
            tag("p", f"{rule.confidence}: ", [[link(each), " "] for each in rule.sources]),
            [instead(each) for each in more],
        ],
    )


def _place(told: Sequence[Finding]) -> list[Child]:
    finding = told[0]
    paths = (call.module for call in finding.calls) if finding.calls else [finding.module]
    modules = ", ".join(path for path, _ in fold_modules(paths) if path)
    inside = tag("p", f"in {modules}", class_="quiet") if modules else None
    return [*source_lines(finding.site, finding.caller), inside]


def _title(finding: Finding) -> Markup:
    return tag(
        "h4",
        tag("span", finding.severity, class_=f"severity {finding.severity}"),
        tag("code", finding.rule.code),
        tag("span", finding.rule.name, class_="quiet"),
    )


def short_part(said: Said) -> Markup:
    """A warning or note in short: what it says, where, and the best help in words."""
    finding = said.places[0][0]
    places = list(dict.fromkeys(shown_place(told[0].site or told[0].caller) for told in said.places))
    more = f" and {count(len(places) - 1, 'more line')}" if len(places) > 1 else ""
    source = finding.site.source if finding.site is not None else ""
    where = tag("p", tag("code", places[0]), more, ": " if source else "", tag("code", source))
    return tag(
        "article",
        [[_title(each), tag("p", each.message)] for each in said.findings],
        where if places[0] else None,
        [
            tag("p", tag("b", "Instead: "), help_.title)
            for each in said.findings
            for help_ in best_helps(each.replacements)
        ],
        class_=f"finding {said.severity}",
    )


def tally_of(parts: Sequence[Said]) -> str:
    """``"1 warning, 5 notes"``."""
    words: tuple[Severity, ...] = ("warning", "note")
    told = [each for said in parts for place in said.places for each in place]
    numbers = {word: sum(each.severity == word for each in told) for word in words}
    return ", ".join(count(number, word) for word, number in numbers.items() if number)


def refusal_part(failure: TrialFailure) -> Markup:
    """What coremltools said of an op, with its line."""
    return failure_part(
        failure.op or failure.stage, failure.error_type, failure.error, failure.site, failure.caller
    )


def failure_part(name: str, error_type: str, error: str, site: Site | None, caller: Site | None) -> Markup:
    """An exception with the line that led to it."""
    words = ": ".join(filter(None, (error_type, one_line(error))))
    title = tag("h4", tag("code", name))
    return tag("article", title, tag("p", words), source_lines(site, caller), class_="finding error")
