"""Every door tried on one model, each in a process of its own with a limit of time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from convlint.capture.methods import Source, quiet_torch
from convlint.checking.doctor import installed_version
from convlint.child import Channel, run_in_child
from convlint.errors import ConvlintError
from convlint.model.runtimes import Comparison, DoorResult, DoorStatus, Tried
from convlint.runtimes.subject import DoorSubject
from convlint.runtimes.table import Door
from convlint.text import one_line


def compare_doors(
    name: str,
    source: Source,
    target: str,
    doors: Sequence[Door],
    timeout: float,
    progress: Callable[[str], None] = lambda stage: None,
) -> Comparison:
    """Try the doors one after another, after the model itself: what that raises is no door's fault."""
    with quiet_torch(), tempfile.TemporaryDirectory() as folder:
        subject = DoorSubject(source, target, timeout, Path(folder))
        _ = subject.module
        results = []
        for door in doors:
            progress(f"trying {door.title}")
            results.append(_result(door, subject, timeout))
    return Comparison(name, target, tuple(results))


def _result(door: Door, subject: DoorSubject, timeout: float) -> DoorResult:
    if not door.installed:
        return DoorResult(door.name, door.title, "not installed", door.install)
    start = time.perf_counter()
    release = installed_version(door.package) or ""
    if not hasattr(os, "fork"):
        why = "this system cannot fork a process for it"
        return DoorResult(door.name, door.title, "crashed", door.install, release, detail=why)
    outcome = run_in_child(lambda channel: _work(door, subject, channel), timeout)
    tried = next((sent for sent in outcome.sent if isinstance(sent, Tried)), Tried())
    status: DoorStatus
    if outcome.ending != "finished":
        status = "timed out" if outcome.ending == "timeout" else "crashed"
    elif tried.blockers or tried.error:
        status = "refuses"
    else:
        status = "accepts in part" if tried.left else "accepts"
    seconds = time.perf_counter() - start
    return DoorResult(door.name, door.title, status, door.install, release, tried, outcome.detail, seconds)


def _work(door: Door, subject: DoorSubject, channel: Channel) -> None:
    """In the child: whatever a door raises is its refusal."""
    try:
        with quiet_torch():
            channel.send(door.function()(subject))
    except ConvlintError as error:
        channel.send(Tried(error=one_line(str(error))[:400]))
    except Exception as error:
        channel.send(Tried(error=f"{type(error).__name__}: {one_line(str(error))[:400]}"))
