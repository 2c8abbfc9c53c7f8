"""What people see who wait: a progress line, and nothing of what libraries have to say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from convlint.text import visible


class Progress:
    """One line on stderr that says what is being done, gone when it is done. Silent without a terminal."""

    def __init__(self, name: str, *, enabled: bool) -> None:
        self._name = name
        self._enabled = enabled and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Callable[[str], None]:
        return self._say

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def _say(self, text: str) -> None:
        if self._enabled:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            line = visible(f"{self._name}: {text} ...")[: columns - 1]
            sys.stderr.write(f"\r\x1b[2K\x1b[2m{line}\x1b[0m")
            sys.stderr.flush()


def silence_libraries() -> None:
    """Keep what torch and coremltools log and warn of to themselves: the report says what matters of it."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "torch":  # torch gives its loggers levels of their own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("coremltools").setLevel(logging.ERROR)
