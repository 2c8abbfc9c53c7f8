"""Generated lines of a documentation page, between their two marks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def write_between(page: Path, begin: str, end: str, lines: Iterable[str]) -> None:
    """Put ``lines`` in the place of what stands between ``begin`` and ``end``."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text("\n".join([before + begin, *lines, end]) + rest.partition(end)[2], encoding="utf-8")
