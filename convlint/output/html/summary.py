"""The head of a model's page: verdict, numbers, shares of the units; and the legend of the picture."""

from __future__ import annotations

from collections.abc import Mapping

from convlint.model import Report
from convlint.model.placement import UNITS, Plan, Unit
from convlint.model.verdict import Kind, tally, verdict
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.html.picture import Picture

_SIGNS: dict[Kind, tuple[str, str]] = {
    "converts": ("✓", "yes"),
    "converts-differently": ("≠", "no"),
    "converts-after-fixes": ("✕", "no"),
    "does-not-convert": ("✕", "no"),
    "unknown": ("?", "unknown"),
}
"""The sign of a verdict, and the class that colours it."""


def summary(report: Report | None, plan: Plan | None, picture: Picture | None, prefix: str) -> Markup:
    """Verdict, facts, and where the time goes."""
    return tag(
        "div",
        _verdict(report) if report is not None else None,
        _shares(plan, report) if plan is not None else None,
        _facts(report, plan, picture),
        # Where the page is narrow, the picture stands under the findings.
        tag("p", tag("a", "To the picture and the table of ops", href=f"#{prefix}-picture"), class_="jump")
        if picture is not None
        else None,
        class_="summary",
    )


def _verdict(report: Report) -> Markup:
    result = verdict(report)
    sign, colour = _SIGNS[result.kind]
    return tag(
        "div",
        tag("span", sign, class_="sign", aria_hidden="true"),
        tag("h2", result.headline),
        tag("p", result.next_step.replace(" above", " below")),  # on the page the findings are below
        tag("p", tally(report), class_="quiet"),
        class_=f"verdict {colour}",
    )


def _shares(plan: Plan, report: Report | None) -> Markup:
    when = when_of(report)
    return tag(
        "div",
        tag("h2", "Where it would run" + (f" {when}" if when else "")),
        share_bar("of the time", plan.share.by_time),
        share_bar("of the ops", plan.share.by_op),
        tag("p", "A forecast from public measurements, not a measurement of this model.", class_="quiet"),
        class_="shares",
    )


def when_of(report: Report | None) -> str:
    """What has to happen before a forecast is about the model: nothing where it converts as it is."""
    if report is None or report.convertible != "no":
        return ""
    changed = report.repair is not None and report.repair.converts
    return "after the changes" if changed else "if all of it converted"


def share_bar(of: str, parts: Mapping[Unit, float]) -> Markup:
    """The share of each unit as a bar, and in words under it."""
    shown = [(unit, parts.get(unit, 0.0)) for unit in UNITS if parts.get(unit, 0.0) > 0]
    words = ", ".join(f"{unit} {_percent(part)}" for unit, part in shown)
    at = 0.0
    bands: list[Child] = []
    for unit, part in shown:
        bands.append(
            tag(
                "rect",
                class_=f"bar unit-{unit}",
                x=f"{at * 100:.3f}%",
                width=f"{part * 100:.3f}%",
                height="100%",
            )
        )
        at += part
    return tag(
        "div",
        tag(
            "svg", tag("title", f"{words} {of}"), bands, class_="share", role="img", width="100%", height="10"
        ),
        tag("p", [_band(unit, part) for unit, part in shown], tag("span", of, class_="quiet")),
    )


def _band(unit: Unit, part: float) -> Markup:
    return tag("span", tag("i", class_=f"key unit-{unit}"), f"{unit} {_percent(part)}", class_="part")


def _percent(part: float) -> str:
    return "<1 %" if 0 < part < 0.01 else f"{part * 100:.0f} %"


def _facts(report: Report | None, plan: Plan | None, picture: Picture | None) -> Markup:
    facts: list[tuple[str, str | None]] = []
    if plan is not None:
        facts += [
            (f"latency {when}" if (when := when_of(report)) else "latency", str(plan.latency_ms)),
            ("chip", f"{plan.chip}, {plan.os}"),
            ("compute units", plan.compute_units),
            ("ANE islands", str(sum(1 for island in plan.islands if island.unit == "ANE"))),
            ("crossings", str(len(plan.crossings))),
            ("compute", _large(plan.flops, "FLOP") if plan.flops else None),
        ]
    if report is not None:
        graph = report.graph
        facts += [
            ("target", report.target),
            ("parameters", _large(graph.parameter_count, "") if graph is not None else None),
        ]
    if picture is not None:
        ops = sum(1 for node in picture.nodes if node.kind == "op")
        modules = sum(1 for box in picture.boxes if box.kind == "module")
        facts.insert(
            1 if plan is not None else 0,
            (
                "size",
                f"{ops:,} {_plural('op', ops)} in {modules:,} {_plural('module', modules)}",
            ),
        )
    rows: list[Child] = [
        tag("div", tag("dt", name), tag("dd", value), class_="fact") for name, value in facts if value
    ]
    return tag("dl", rows, class_="facts")


def _large(number: int, unit: str) -> str:
    for step, letter in ((10**12, "T"), (10**9, "G" if unit else "B"), (10**6, "M"), (10**3, "k")):
        if number >= step:
            return f"{number / step:.3g} {letter}{unit}"
    return f"{number} {unit}".strip()


def legend(picture: Picture) -> Markup:
    """The legend of the colours and shapes of the picture."""
    parts: list[Child] = []
    if any(node.unit for node in picture.nodes):
        names = {"ANE": "Neural Engine", "GPU": "GPU", "CPU": "CPU"}
        parts += [tag("span", tag("i", class_=f"key unit-{unit}"), names[unit]) for unit in UNITS]
        parts += [
            tag("span", tag("i", "!", class_="key blocker"), "blocks the Neural Engine"),
            tag("span", tag("i", "⇄", class_="key crossing"), "crossing"),
        ]
    parts += [
        tag("span", tag("i", "×", class_="key error"), "error"),
        tag("span", tag("i", "!", class_="key warning"), "warning"),
        tag(
            "span",
            "Click opens a module; drag or scroll moves, Ctrl+scroll zooms. Keys: arrows, Enter, / t f + -"
            + (" b (next blocker)" if picture.blockers else "")
            + " e (next error)",
            class_="keys",
        ),
    ]
    return tag("div", parts, class_="legend")


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"
