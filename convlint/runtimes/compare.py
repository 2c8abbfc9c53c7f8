"""Tries every runtime on one model, each in a process of its own with a time limit."""

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
from convlint.model.runtimes import Comparison, RuntimeResult, RuntimeStatus, Tried
from convlint.runtimes.subject import RuntimeSubject
from convlint.runtimes.table import Runtime
from convlint.text import one_line


def compare_runtimes(
    name: str,
    source: Source,
    target: str,
    runtimes: Sequence[Runtime],
    timeout: float,
    progress: Callable[[str], None] = lambda stage: None,
) -> Comparison:
    """Try the runtimes one after another, after running the model itself, whose errors are its own fault."""
    with quiet_torch(), tempfile.TemporaryDirectory() as folder:
        subject = RuntimeSubject(source, target, timeout, Path(folder))
        _ = subject.module
        results = []
        for runtime in runtimes:
            progress(f"trying {runtime.title}")
            results.append(_result(runtime, subject, timeout))
    return Comparison(name, target, tuple(results), source.form)


def _result(runtime: Runtime, subject: RuntimeSubject, timeout: float) -> RuntimeResult:
    if not runtime.installed:
        return RuntimeResult(runtime.name, runtime.title, "not installed", runtime.install)
    start = time.perf_counter()
    release = installed_version(runtime.package) or ""
    if not hasattr(os, "fork"):
        why = "this system cannot fork a process for it"
        return RuntimeResult(runtime.name, runtime.title, "crashed", runtime.install, release, detail=why)
    outcome = run_in_child(lambda channel: _work(runtime, subject, channel), timeout)
    tried = next((sent for sent in outcome.sent if isinstance(sent, Tried)), Tried())
    status: RuntimeStatus
    if outcome.ending != "finished":
        status = "timed out" if outcome.ending == "timeout" else "crashed"
    elif tried.blockers or tried.error:
        status = "refuses"
    else:
        status = "accepts in part" if tried.left else "accepts"
    seconds = time.perf_counter() - start
    return RuntimeResult(
        runtime.name, runtime.title, status, runtime.install, release, tried, outcome.detail, seconds
    )


def _work(runtime: Runtime, subject: RuntimeSubject, channel: Channel) -> None:
    """Run in the child: an exception of the runtime counts as its refusal."""
    try:
        with quiet_torch():
            channel.send(runtime.function()(subject))
    except ConvlintError as error:
        channel.send(Tried(error=one_line(str(error))[:400]))
    except Exception as error:
        channel.send(Tried(error=f"{type(error).__name__}: {one_line(str(error))[:400]}"))
