"""What people see who wait, on a real terminal, and what programs see: nothing."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from convlint.runs.progress import Progress, Tally


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """The reading end of a terminal that stderr is on, for as long as this is open."""
    main, side = pty.openpty()
    before = sys.stderr
    with os.fdopen(side, "w") as sys.stderr:
        try:
            yield main
        finally:
            sys.stderr = before
    os.close(main)


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def shown(end: int) -> str:
    return os.read(end, 65536).decode()


def test_a_bar_says_how_many_are_done_and_goes() -> None:
    with terminal() as end:
        with Tally(4, enabled=True) as tally:
            assert "convlint: ···················· 0 of 4 models" in shown(end)
            tally.add()
            assert "convlint: █████··············· 1 of 4 models, about 0 s left" in shown(end)
            tally.add(3)
            assert "████████████████████ 4 of 4 models\x1b" in shown(end)
        assert shown(end) == "\r\x1b[2K"


def test_a_line_says_what_is_done_and_goes() -> None:
    with terminal() as end:
        with Progress("net", enabled=True) as progress:
            progress("importing")
            assert "net: importing ..." in shown(end)
        assert shown(end) == "\r\x1b[2K"


def test_programs_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Tally(4, enabled=True) as tally, Progress("net", enabled=True) as progress:
        tally.add()
        progress("importing")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_one_model_has_no_bar() -> None:
    with terminal() as end:
        with Tally(1, enabled=True) as tally:
            tally.add()
        print("end", file=sys.stderr, end="", flush=True)
        assert shown(end) == "end"
