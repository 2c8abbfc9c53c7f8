"""The output formats by name, and where each goes: standard output and any number of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from convlint.errors import UsageError
from convlint.files import write_atomically
from convlint.nearest import did_you_mean
from convlint.outcome import Run
from convlint.text import shown_path

FORMATS = ("terminal", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown", "html", "svg")
PICTURES = frozenset(("html", "svg"))
"""The formats that show where a model would run."""

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
    """One file and the format that goes into it."""

    format: str
    path: str


def destination(text: str) -> Destination:
    """``sarif:out/report.sarif``, or a path alone whose ending names the format."""
    format_, colon, path = text.partition(":")
    if colon and path and format_ in FORMATS:
        return Destination(format_, path)
    if colon and format_.isalpha() and len(format_) > 1:
        known = ", ".join(FORMATS)
        hint = did_you_mean(format_, FORMATS)
        raise UsageError(
            f"--output-file {text}: there is no format {format_!r}.{hint} Known formats: {known}."
        )
    named = [name for ending, name in _ENDINGS.items() if text.lower().endswith(ending)]
    if not named:
        raise UsageError(
            f"--output-file {text}: its ending names no format; write FORMAT:PATH, for example sarif:{text}."
        )
    return Destination(max(named, key=lambda name: name == "sarif"), text)


def destinations(texts: Sequence[str]) -> tuple[Destination, ...]:
    """Every file that is asked for, its folder made, so that a long run does not end in a wrong path."""
    found = tuple(map(destination, texts))
    for each in found:
        folder = os.path.dirname(os.path.abspath(each.path))
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise _unwritable(each, error) from error
        if os.path.isdir(each.path):
            raise UsageError(f"--output-file {shown_path(each.path)} is a folder: name a file in it.")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"cannot write {shown_path(each.path)}: its folder may not be written to.")
    return found


def write_files(run: Run, files: Sequence[Destination]) -> None:
    """Write every file, each whole or not at all."""
    for each in files:
        text = RENDERERS[each.format](run)
        try:
            if os.path.exists(each.path) and not os.path.isfile(each.path):  # a device or a pipe
                with open(each.path, "w", encoding="utf-8") as stream:
                    stream.write(text)
            else:
                write_atomically(Path(each.path), text)
        except OSError as error:
            raise _unwritable(each, error) from error


def _unwritable(file: Destination, error: OSError) -> UsageError:
    return UsageError(f"cannot write {shown_path(file.path)}: {error.strerror}.")


def _late(module: str, function: str) -> Callable[[Run], str]:
    """The renderer of this name, imported when it is used."""

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
    "html": _late("html", "render_html"),
    "svg": _late("svg", "render_svg"),
}
"""Each format as a function of the whole run."""
