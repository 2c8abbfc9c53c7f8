"""A progress line for people who wait, and silence from libraries."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from convlint.sandbox import stop_if_interrupted
from convlint.supervision import note
from convlint.text import visible

_DOING = {"capturing": "running the forward of", "tracing to TorchScript": "tracing the forward of"}
"""Words for what a process was doing when the model's own code ended it."""
_BAR = 20
"""How many characters a bar is long."""


class Progress:
    """One line on stderr that says what is being done, removed at the end. Silent without a terminal.

    ``tell`` is told the same.
    """

    def __init__(self, name: str, *, enabled: bool, tell: Callable[[str], None] | None = None) -> None:
        self._name = name
        self._line = _Line(enabled=enabled)
        self._tell = tell

    def __enter__(self) -> Callable[[str], None]:
        return self._begin

    def _begin(self, text: str) -> None:
        """Show what begins now; raise again where something swallowed a request to end."""
        stop_if_interrupted()
        note(_DOING.get(text, f"{text}:") + f" {self._name}")
        self._line.show(f"{self._name}: {text} ...")
        if self._tell is not None:
            self._tell(text)

    def __exit__(self, *_: object) -> None:
        self._line.clear()


class Tally:
    """A bar on stderr of how many of ``total`` are done. Silent without a terminal."""

    def __init__(self, total: int, *, enabled: bool) -> None:
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._line = _Line(enabled=enabled and total > 1)

    def __enter__(self) -> Tally:
        self.show()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def add(self, number: int = 1) -> None:
        """Count ``number`` more as done."""
        self._done += number
        self.show()

    def show(self) -> None:
        """Draw the bar, or draw it again after other output."""
        full = _BAR * self._done // max(self._total, 1)
        seconds = time.monotonic() - self._start
        left = ""
        if 0 < self._done < self._total:
            left = f", about {seconds / self._done * (self._total - self._done):.0f} s left"
        bar = f"{'█' * full}{'·' * (_BAR - full)}"
        self._line.show(f"convlint: {bar} {self._done} of {self._total} models{left}")

    def clear(self) -> None:
        """Remove the bar, so that something else can be written."""
        self._line.clear()


class _Line:
    """A line that is overwritten until it is cleared."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, text: str) -> None:
        if self._enabled:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            sys.stderr.write(f"\r\x1b[2K\x1b[2m{visible(text)[: columns - 1]}\x1b[0m")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._enabled:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def silence_libraries() -> None:
    """Silence the logs and warnings of torch and coremltools: the report has what matters of them."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "torch":  # torch gives its loggers levels of their own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("coremltools").setLevel(logging.ERROR)
