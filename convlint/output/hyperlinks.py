"""Links from a report to the lines that it names, in terminals that support them.

Most terminals without OSC 8 ignore it, but some show it as garbage, so it is used only in terminals that
are known to support it: https://github.com/Alhadis/OSC8-Adoption
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_PROGRAMS = frozenset(("iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio", "Tabby"))
_TERMS = re.compile("kitty|alacritty|foot|ghostty|wezterm|contour")
_OLDEST_VTE = 5000
"""The first release of VTE that supports links, 0.50."""


def follows_links(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the terminal that these variables describe is known to support links."""
    variables = os.environ if environment is None else environment
    forced = variables.get("FORCE_HYPERLINK")
    if forced is not None:
        return forced not in ("", "0")
    if variables.get("TERM") == "dumb" or "CI" in variables or "STY" in variables:
        return False
    vte = variables.get("VTE_VERSION", "")
    return (
        variables.get("TERM_PROGRAM") in _PROGRAMS
        or bool(_TERMS.search(variables.get("TERM", "")))
        or "WT_SESSION" in variables
        or "KONSOLE_VERSION" in variables
        or (vte.isdigit() and int(vte) >= _OLDEST_VTE)
    )


def link_to(path: str, line: int) -> str:
    """The address of a line; terminals without support for lines open the file."""
    return f"{Path(os.path.abspath(path)).as_uri()}#L{line}"
