"""The modules of a model as one SVG, for papers and READMEs: no script, no font, no network."""

from __future__ import annotations

from convlint.model.placement import UNITS
from convlint.model.run import Run
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.html.module_diagram import Part, diagram_of
from convlint.output.html.picture import Picture, picture_of
from convlint.text import count, significant

UNIT_COLOURS = {"ANE": "#0072b2", "GPU": "#b5548f", "CPU": "#d98200"}
"""Colours that colour-blind people can distinguish, after https://jfly.uni-koeln.de/color/"""

_INK, _SOFT, _LINE, _PAPER, _FRAME, _NONE = "#1b2129", "#5d6876", "#c4ccd6", "#ffffff", "#f4f6f9", "#8c97a5"
_DARK = """@media (prefers-color-scheme: dark){.paper{fill:#14181e}.frame{fill:#1b2028;stroke:#3a434f}
.part{fill:#232a33;stroke:#465160}.ink{fill:#e7ebf0}.soft{fill:#9aa6b5}.edge{stroke:#5b6878}.head{fill:#5b6878}}"""
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
_MARGIN, _FOOT = 8.0, 34.0


def render_svg(run: Run) -> str:
    """The drawing of the first captured model of a run; a drawing that says so where none was captured."""
    for outcome in run.outcomes:
        picture = picture_of(outcome.report, outcome.plan)
        if picture is not None:
            return f"{drawing(picture, themed=True)}\n"
    return f"{_empty()}\n"


def drawing(picture: Picture, *, themed: bool = False) -> Markup:
    """The drawing; ``themed`` adds dark colours, for a drawing that is a file of its own."""
    root = diagram_of(picture)
    width, height = max(root.width, 320.0), root.height
    shapes: list[Child] = []
    _inner(root, (width - root.width) / 2, 0.0, picture, shapes)
    return _document(picture, [*shapes, *_key(picture, height)], width, height + _FOOT, themed)


def _document(
    picture: Picture | None, shapes: list[Child], width: float, height: float, themed: bool
) -> Markup:
    full_width, full_height = width + 2 * _MARGIN, height + 2 * _MARGIN
    name = picture.boxes[0].name if picture is not None else "no model"
    head = tag("marker", tag("path", d="M0,1L7,4L0,7Z", fill=_NONE, class_="head"), id="head", **_HEAD)
    return tag(
        "svg",
        tag("title", f"{name}: its modules"),
        tag("style", Markup(_DARK)) if themed else None,
        tag("defs", head),
        tag("rect", width="100%", height="100%", rx=10, fill=_PAPER, class_="paper"),
        tag("g", shapes, transform=f"translate({_MARGIN:g},{_MARGIN:g})"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {full_width:.0f} {full_height:.0f}",
        width=f"{full_width:.0f}",
        height=f"{full_height:.0f}",
        font_family=_FONT,
        role="img",
    )


_HEAD = {
    "viewBox": "0 0 8 8",
    "refX": "7",
    "refY": "4",
    "markerWidth": "8",
    "markerHeight": "8",
    "orient": "auto",
    "markerUnits": "userSpaceOnUse",
}


def _empty() -> Markup:
    return _document(
        None, [_text(16, 30, "Nothing was captured, so there is nothing to draw.")], 380, 40, True
    )


def _inner(part: Part, x: float, y: float, picture: Picture, shapes: list[Child]) -> None:
    """The children of an open part, and the edges between them."""
    bows = 0
    for source, target in part.edges:
        one, other = part.parts[source], part.parts[target]
        hidden = [
            each for each in part.parts if one.y + one.height < each.y and each.y + each.height < other.y
        ]
        bow = 0.0
        if any(_between(one, other, each) for each in hidden):
            right = max(each.x + each.width for each in hidden)
            bow = x + right + 12 + 6 * (bows % 3)
            bows += 1
        shapes.append(_edge(one, other, x, y, bow))
    for child in part.parts:
        _part(child, x + child.x, y + child.y, picture, shapes)


def _between(one: Part, other: Part, each: Part) -> bool:
    """Whether a straight line from one to the other would run through a third."""
    ends = sorted((one.x + one.width / 2, other.x + other.width / 2))
    return each.x - 4 < ends[1] and ends[0] < each.x + each.width + 4


def _edge(one: Part, other: Part, x: float, y: float, bow: float) -> Markup:
    x1, y1 = x + one.x + one.width / 2, y + one.y + one.height
    x2, y2 = x + other.x + other.width / 2, y + other.y
    if bow:
        path = (
            f"M{x1:.1f},{y1:.1f}C{x1:.1f},{y1 + 18:.1f} {bow:.1f},{y1 + 4:.1f} {bow:.1f},{y1 + 26:.1f}"
            f"L{bow:.1f},{y2 - 26:.1f}C{bow:.1f},{y2 - 4:.1f} {x2:.1f},{y2 - 18:.1f} {x2:.1f},{y2:.1f}"
        )
    else:
        middle = (y1 + y2) / 2
        path = f"M{x1:.1f},{y1:.1f}C{x1:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{y2:.1f}"
    return tag("path", d=path, fill="none", stroke=_NONE, class_="edge", marker_end="url(#head)")


def _part(part: Part, x: float, y: float, picture: Picture, shapes: list[Child]) -> None:
    rect = {"rx": 9 if part.boxes else part.height / 2, "stroke": _LINE}
    if part.repeats > 1:
        for step in (6, 3):
            shapes.append(_rect(x + step, y - step, part.width, part.height, _PAPER, "part", **rect))
    kind, fill = ("frame", _FRAME) if part.parts else ("part", _PAPER)
    shapes.append(_rect(x, y, part.width, part.height, fill, kind, **rect))
    if not part.boxes:
        shapes.append(_text(x + part.width / 2, y + 17, part.title, anchor="middle", soft=True))
        return
    line = [tag("tspan", part.title, font_weight="600")]
    if part.subtitle:
        line.append(tag("tspan", part.subtitle, dx=7, font_size="11", fill=_SOFT, class_="soft"))
    shapes.append(tag("text", list(line), x=f"{x + 13:.1f}", y=f"{y + 20:.1f}", **_TEXT))
    if part.repeats > 1:
        times = f"×{part.repeats}"
        shapes.append(_text(x + part.width - 12, y + 20, times, anchor="end", bold=True))
    if part.parts:
        _inner(part, x, y, picture, shapes)
        return
    shapes.append(_text(x + 13, y + 37, _tally(part, picture), soft=True))
    _bar(part, x + 12, y + part.height - 9, part.width - 24, picture, shapes)


_TEXT = {"font_size": "12.5", "fill": _INK, "class_": "ink"}


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", soft: bool = False, bold: bool = False
) -> Markup:
    style = {"font_size": "11", "fill": _SOFT, "class_": "soft"} if soft else _TEXT
    weight = "600" if bold else None
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, font_weight=weight, **style)


def _rect(
    x: float, y: float, width: float, height: float, fill: str, class_: str, **more: str | float
) -> Markup:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    return tag("rect", fill=fill, class_=class_, **place, **more)


def _tally(part: Part, picture: Picture) -> str:
    ops = [node for node in part.nodes if picture.nodes[node].kind == "op"]
    words = count(len(ops), "op")
    if not picture.timed:
        return words
    spent = sum(picture.nodes[node].latency.mid for node in ops)
    return f"{words} · {significant(spent, 3)} ms"


def _bar(part: Part, x: float, y: float, width: float, picture: Picture, shapes: list[Child]) -> None:
    weights: dict[str, float] = {}
    for number in part.nodes:
        node = picture.nodes[number]
        if node.kind == "op":
            weights[node.unit or ""] = weights.get(node.unit or "", 0.0) + (
                node.latency.mid if picture.timed else 1.0
            )
    all_ = sum(weights.values())
    for unit in (*UNITS, ""):
        if weights.get(unit) and all_:
            length = width * weights[unit] / all_
            shapes.append(_rect(x, y, length, 4, UNIT_COLOURS.get(unit, _NONE), "bar"))
            x += length


def _key(picture: Picture, y: float) -> list[Child]:
    """The colours of the units that occur; nothing where no unit is known."""
    shapes: list[Child] = []
    x = 16.0
    for unit in UNITS:
        if any(node.unit == unit for node in picture.nodes):
            shapes += [_rect(x, y + 10, 12, 12, UNIT_COLOURS[unit], "key", rx=3), _text(x + 18, y + 20, unit)]
            x += 72
    words = "by time" if picture.timed else "by ops"
    return [*shapes, _text(x, y + 20, words, soft=True)] if shapes else []
