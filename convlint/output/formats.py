"""The output formats by name, and where each goes: standard output and any number of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from convlint.destination import Place, checked_place, make_folder_of, refuse_shared_paths
from convlint.errors import UsageError
from convlint.model.run import Run
from convlint.nearest import did_you_mean

FORMATS = ("terminal", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown", "html", "svg")
PICTURES = frozenset(("html", "svg"))
"""The formats that include a forecast of where a model would run."""

REPORT_OPTION = "--report"
"""The option that names these files."""
TEXT_FORMATS = ("terminal", "json")
"""What commands write whose results are no findings."""

_SHORT = {"md": "markdown", "xml": "junit", "txt": "terminal"}
_ENDINGS = {
    ".txt": "terminal",
    ".sarif": "sarif",
    ".sarif.json": "sarif",
    ".json": "json",
    ".xml": "junit",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """One file and its format. ``place`` is set once the path was checked."""

    format: str
    path: str
    place: Place | None = None


def destination(text: str, formats: Sequence[str] = FORMATS) -> Destination:
    """Parse ``sarif:out/report.sarif``, or a path whose ending names the format."""
    word, colon, path = text.partition(":")
    format_ = _SHORT.get(word, word)
    if colon and format_ in FORMATS:
        if not path:
            raise UsageError(f"{REPORT_OPTION} {text} names no file: write {text}PATH.")
        return Destination(_written(format_, formats, text), path)
    if colon and word.isalpha() and len(word) > 1:
        hint = did_you_mean(word, formats)
        raise UsageError(
            f"{REPORT_OPTION} {text}: there is no format {word!r}.{hint} Known formats: {', '.join(formats)}."
        )
    named = [name for ending, name in _ENDINGS.items() if text.lower().endswith(ending)]
    if not named:
        example = "json" if "sarif" not in formats else "sarif"
        raise UsageError(
            f"{REPORT_OPTION} {text}: its ending names no format; write FORMAT:PATH, for example"
            f" {example}:{text}."
        )
    return Destination(_written(max(named, key=lambda name: name == "sarif"), formats, text), text)


def _written(format_: str, formats: Sequence[str], text: str) -> str:
    """The format, where the command that was asked writes it."""
    if format_ not in formats:
        raise UsageError(
            f"{REPORT_OPTION} {text}: this command writes no {format_}; it writes {', '.join(formats)}."
        )
    return format_


def destinations(texts: Sequence[str], formats: Sequence[str] = FORMATS) -> tuple[Destination, ...]:
    """The requested files, each checked, so that a long run does not end with a wrong path.

    Their folders are created once all of them may be written.
    """
    if not texts:
        return ()
    from convlint.output.earlier import REPORT

    requested = [destination(text, formats) for text in texts]
    looked_at = [checked_place(REPORT_OPTION, each.path, REPORT) for each in requested]
    refuse_shared_paths(looked_at)
    for place in looked_at:
        make_folder_of(place)
    return tuple(
        Destination(each.format, each.path, place) for each, place in zip(requested, looked_at, strict=True)
    )


def write_files(run: Run, files: Sequence[Destination]) -> None:
    """Write the reports of a run."""
    write_texts(files, lambda format_: RENDERERS[format_](run))


def write_texts(files: Sequence[Destination], render: Callable[[str], str]) -> None:
    """Write every file, each completely or not at all; failures are reported after the last file.

    ``render`` gives the text of a format.
    """
    problems: list[UsageError] = []
    for each in files:
        assert each.place is not None
        try:
            each.place.write(render(each.format))
        except UsageError as error:
            problems.append(error)
    if problems:
        raise UsageError(" ".join(map(str, problems)))


def _late(module: str, function: str) -> Callable[[Run], str]:
    """The renderer of this name, which is imported when it is used."""

    def render(run: Run) -> str:
        text = getattr(import_module(f"convlint.output.{module}"), function)(run)
        return str(text)

    return render


RENDERERS: Mapping[str, Callable[[Run], str]] = {
    "terminal": _late("terminal", "render_run"),
    "concise": _late("concise", "render_run"),
    "json": _late("json", "render_run"),
    "sarif": _late("sarif", "render_sarif"),
    "github": _late("github", "render_github"),
    "gitlab": _late("gitlab", "render_gitlab"),
    "junit": _late("junit", "render_junit"),
    "markdown": _late("markdown", "render_markdown"),
    "html": _late("html.page", "render_html"),
    "svg": _late("html.svg", "render_svg"),
}
"""The renderer of each format, a function of the whole run."""
