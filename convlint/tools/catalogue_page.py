"""Puts the entries of the catalogue into its page when the site is built: a hook of mkdocs.

The data file of the package is the only place that has them. https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import logging
from typing import Any

from convlint.catalogue.entry import Entry
from convlint.catalogue.selection import chips_of
from convlint.catalogue.store import CatalogueError, read
from convlint.output.catalogue import CONVERTS, facts, headline
from convlint.output.html.markup import Markup, tag
from convlint.output.html.picture_data import script_data

PAGE = "catalogue.md"
MARK = '<div id="catalogue"></div>'
"""What stands in the page where the entries go."""
_LOG = logging.getLogger("mkdocs.hooks")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The page with the entries as data, for the script that is named beside them."""
    if page.file.src_uri != PAGE:
        return html
    try:
        return html.replace(MARK, content(read()))
    except CatalogueError as error:
        _LOG.warning("%s is built without its table: %s", PAGE, error)
        return html.replace(MARK, str(tag("p", f"The table is missing: {error}")))


def content(entries: tuple[Entry, ...]) -> str:
    """The place of the table and what it is made of."""
    document = {
        "chips": chips_of(entries),
        "answers": dict(CONVERTS),
        "entries": [_row(entry) for entry in entries],
    }
    words = f"{len(entries)} architectures. The table needs JavaScript; `convlint catalogue` shows the same."
    return "\n".join(
        (
            str(tag("div", tag("noscript", tag("p", words)), id="catalogue")),
            str(tag("script", script_data(document), type="application/json", id="catalogue-data")),
            str(tag("link", rel="stylesheet", href="../assets/catalogue.css")),
            str(tag("script", Markup(""), src="../assets/catalogue.js")),
        )
    )


def _row(entry: Entry) -> dict[str, Any]:
    """What the table sorts and filters by, and the facts in words that `convlint catalogue show` prints.

    Those of the forecasts are made of their numbers again, for they would be a third of the page.
    """
    left_out = {"classes", *(place.chip for place in entry.places)}
    return {
        "name": entry.name,
        "task": entry.task,
        "source": entry.source,
        "converts": entry.converts,
        "reduced": entry.reduced,
        "parameters": entry.parameters or None,
        "gflops": entry.gflops,
        "places": {
            place.chip: [place.milliseconds, place.lowest, place.highest, place.engine_share]
            for place in entry.places
        },
        "headline": headline(entry),
        "facts": [[label, text] for label, text in facts(entry, {}) if label not in left_out],
    }
