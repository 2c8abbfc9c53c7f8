"""The column beside the picture: the findings, and the failures of the capture and the trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from convlint.model import Finding, Replacement, Report, Site, TrialFailure
from convlint.model.remarks import code_of, remark_of
from convlint.model.verdict import unnamed_refusals
from convlint.output.compression import compression_rows, heading, remark
from convlint.output.excerpt import excerpt_of
from convlint.output.html.markup import Child, Markup, link, tag
from convlint.output.html.picture import Finder, Picture
from convlint.output.order import Wins
from convlint.output.places import shown_place
from convlint.text import count, one_line

_FIRST_LINKS, _MOST_LINKS = 3, 200


@dataclass(frozen=True, slots=True)
class Places:
    """The places of findings in the picture, and their permalinks.

    ``names`` and ``nodes`` have those of each finding, in the order of the page.
    ``wins`` are the times that blockers cost, by their rule and line.
    """

    names: tuple[str, ...]
    finder: Finder | None
    picture: Picture | None
    nodes: tuple[tuple[int, ...], ...] = ()
    wins: Wins = field(default_factory=dict)


def findings(report: Report, shown: Sequence[Finding], places: Places) -> Markup:
    """Every finding with its source, its replacements and links to its ops."""
    head = tag("h2", "Findings ", tag("span", str(len(shown)), class_="count"))
    if not shown:
        silenced = f" {count(len(report.suppressed), 'finding')} silenced." if report.suppressed else ""
        return tag("section", head, tag("p", f"Nothing was found.{silenced}", class_="quiet"), class_="found")
    return tag("section", head, [_finding(each, at, places) for at, each in enumerate(shown)], class_="found")


def _finding(finding: Finding, at: int, places: Places) -> Markup:
    rule = finding.rule
    wins = places.wins.get((rule.code, finding.site))
    title = tag(
        "h3",
        tag("span", finding.severity, class_=f"severity {finding.severity}"),
        tag("a", tag("code", rule.code), href=f"#{places.names[at]}", title="The permalink of this finding"),
        " ",
        tag("span", rule.name, class_="rule"),
        tag("span", f"wins {wins}", class_="win") if wins is not None else None,
    )
    why = tag(
        "details",
        tag("summary", "Why"),
        tag("p", rule.why),
        tag("p", f"Confidence: {rule.confidence}. ", [[link(source), " "] for source in rule.sources]),
        class_="why",
    )
    return tag(
        "article",
        title,
        tag("p", finding.message, class_="message"),
        source_lines(finding.site, finding.caller),
        _ways(places.nodes[at], finding, places),
        [instead(each) for each in finding.replacements],
        why,
        class_=f"finding {finding.severity}",
        id=places.names[at],
        tabindex="-1",
    )


def _ways(nodes: tuple[int, ...], finding: Finding, places: Places) -> Markup | None:
    """Links that move the picture to each op, or to its module where the picture does not have the op."""
    picture = places.picture
    if picture is None or places.finder is None:
        return None
    if not nodes:
        box = places.finder.box_of(finding.module)
        return tag("p", _to_box(box, picture), class_="ways") if box is not None else None
    return links_to(nodes, picture)


def links_to(nodes: Sequence[int], picture: Picture) -> Markup:
    """Links that move the picture to each of these nodes; all but a few are folded away."""
    links: list[Child] = [_to_node(number, picture) for number in nodes[:_MOST_LINKS]]
    first, rest = links[:_FIRST_LINKS], links[_FIRST_LINKS:]
    if not rest:
        return tag("div", first, class_="ways")
    more = f"and {len(nodes) - _MOST_LINKS} more" if len(nodes) > _MOST_LINKS else None
    words = tag("summary", f"and {count(len(nodes) - _FIRST_LINKS, 'other op')}")
    return tag("div", first, tag("details", words, tag("div", rest, more, class_="rest")), class_="ways")


def _to_node(number: int, picture: Picture) -> Markup:
    node = picture.nodes[number]
    words = " · ".join(filter(None, (picture.boxes[node.box].path, node.label)))
    return tag("a", words, href="#", data_show=f"n{number}")


def _to_box(number: int, picture: Picture) -> Markup:
    return tag("a", picture.boxes[number].path, href="#", data_show=f"b{number}")


def source_lines(site: Site | None, caller: Site | None) -> list[Child]:
    """The lines of a site, and those of the user's own call where the site is in a library."""
    shown: list[Child] = [_excerpt(site)]
    if caller is not None and caller != site:
        shown.append(_excerpt(caller, "called from "))
    return shown


def _excerpt(site: Site | None, before: str = "") -> Markup | None:
    if site is None:
        return None
    function = f" in {site.function}" if site.function and not site.function.startswith("<") else ""
    place = tag("figcaption", before, tag("span", shown_place(site), class_="path"), function)
    excerpt = excerpt_of(site)
    if excerpt is None:
        return tag("figure", place, class_="excerpt")
    lines: list[Child] = [
        tag(
            "span",
            tag("i", str(number)),
            f"{text}\n",
            class_="line here" if number == excerpt.line else "line",
        )
        for number, text in excerpt.lines
    ]
    return tag("figure", place, tag("pre", lines), class_="excerpt")


def instead(each: Replacement) -> Markup:
    """A replacement with its remarks, its code and its proof."""
    remarks = remark_of(each)
    code = code_of(each)
    sides = (("-", "before", code.before), ("+", "after", code.after)) if code is not None else ()
    lines: list[Child] = [
        tag("span", f"{sign} {line}\n", class_=kind)
        for sign, kind, text in sides
        for line in text.strip("\n").splitlines()
    ]
    return tag(
        "div",
        tag("p", tag("b", "Instead: "), each.title, tag("small", f" ({remarks})") if remarks else None),
        tag("p", code.heading, class_="quiet") if code is not None and code.heading else None,
        tag("pre", lines) if lines else None,
        tag("p", f"Proved: {each.proof}", class_="quiet") if each.proof else None,
        class_="replacement",
    )


def compression(report: Report) -> Markup | None:
    """The table of precisions and compressions; None where none was measured."""
    if report.compression is None:
        return None
    head, *rows = compression_rows(report.compression)
    return tag(
        "section",
        tag("h2", heading(report.compression)),
        tag(
            "table",
            tag("tr", [tag("th", cell) for cell in head]),
            [tag("tr", [tag("td", cell) for cell in row]) for row in rows],
        ),
        tag("p", said, class_="quiet") if (said := remark(report.compression)) else None,
    )


def others(report: Report) -> Markup | None:
    """What was measured and could be taken instead."""
    if not report.alternatives:
        return None
    parts = [
        tag("article", tag("h3", each.name), tag("p", f"{each.reason}: {each.facts}"), class_="finding")
        for each in report.alternatives
    ]
    return tag("section", tag("h2", "Other architectures"), list(parts))


def trouble(report: Report) -> Markup | None:
    """The failures of the capture, and the refusals of the trial that no finding names."""
    parts: list[Child] = [
        tag(
            "article",
            tag("h3", failure.method),
            tag("p", one_line(f"{failure.error_type}: {failure.message}"), class_="message"),
            source_lines(failure.site, failure.caller),
            class_="finding",
        )
        for failure in report.capture_failures
    ]
    parts += [_refusal(failure) for failure in unnamed_refusals(report) if not failure.follows]
    parts += [tag("p", note, class_="quiet") for note in report.notes]
    return tag("section", tag("h2", "From the capture and the trial"), parts) if parts else None


def _refusal(failure: TrialFailure) -> Markup:
    return tag(
        "article",
        tag("h3", tag("code", failure.op or failure.stage)),
        tag("p", one_line(f"{failure.error_type}: {failure.error}".removeprefix(": ")), class_="message"),
        source_lines(failure.site, failure.caller),
        class_="finding",
    )
