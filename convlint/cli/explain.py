"""``convlint explain``: what an error means that somebody has in front of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from convlint.errors import UsageError
from convlint.settings.project import find_project

LONGEST = 200_000
"""Letters of a text that are read: the end of a log says what went wrong."""

_NOTHING = (
    "Nothing is known of this text. `convlint check MODEL --input SHAPE` finds what is refused, and why, from"
    " the model itself.\n"
)


def explain(options: argparse.Namespace, out: TextIO) -> int:
    """Explain a text; exit code 1 where nothing is known of it."""
    from convlint.output.explained import explained_to_dict, render_explained
    from convlint.output.page import Page
    from convlint.output.terminal import console_of
    from convlint.rules.error_texts import explain as explained
    from convlint.rules.rulebook import load_rulebook

    text = _text(options.text)
    paths = (*find_project().rule_paths, *(options.rule_path or ()))
    found = explained(text, load_rulebook([Path(path) for path in paths]))
    if options.format == "json":
        from convlint.output.json import dumps

        out.write(dumps(explained_to_dict(text, found)))
    elif not found:
        out.write(_NOTHING)
    else:
        render_explained(found, Page(console_of(out)))
    return 0 if found else 1


def _text(words: list[str]) -> str:
    """The words of the command line, or the standard input for ``-``."""
    text = " ".join(words) if words != ["-"] else sys.stdin.read()
    text = text[-LONGEST:].strip()
    if not text:
        raise UsageError("explain needs a text: the error in quotes, or - and the error as standard input.")
    return text
