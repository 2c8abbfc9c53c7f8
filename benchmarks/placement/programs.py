"""The converted programs of the placement benchmark, kept in one file so that they are made only once."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.corpora import in_context
from benchmarks.corpora.one_op import programs, published
from benchmarks.corpora.timed_models import builders, timed, unseen
from benchmarks.corpora.whole_networks import TARGET, networks

Collected = dict[str, Any]
"""Operations by name in ``one_op``, ``context``, ``networks``, ``models``; ``failed``: why some have none."""


def collect(path: Path, seconds: float) -> None:
    """Convert what is not in the file yet, and keep the operations there."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from convlint.capture.methods import Source, capture
    from convlint.placement.mil_reader import read_mil
    from convlint.placement.operations import with_modules
    from convlint.trial.run import run_trial

    kept: Collected = {"one_op": {}, "context": {}, "networks": {}, "models": {}, "failed": {}}
    if path.exists():
        with path.open("rb") as file:
            kept |= pickle.load(file)
    for name, make_program in in_context.programs():
        if name not in kept["context"]:
            kept["context"][name] = read_mil(make_program())[0]
    for name, kind, make_program in programs(set(published()) - set(kept["one_op"])):
        try:
            kept["one_op"][name] = (kind, read_mil(make_program())[0])
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}"[:300], flush=True)
    print(len(kept["one_op"]), "one-op programs", flush=True)

    def convert(build: Callable[[], Any], make: Callable[[], Any], target: str) -> tuple[list[Any], str]:
        captured = capture(Source(build, None, lambda: ((make(),), {})))
        tried = run_trial(captured.program, captured.graph, "export", target, "passes", 170, read=read_mil)
        return with_modules(tried.operations), "; ".join(failure.error for failure in tried.failures[:1])

    for name, build, make in networks():
        if name not in kept["networks"]:
            kept["networks"][name] = convert(build, make, TARGET)[0]
            save(path, kept)
    start = time.monotonic()
    wanted = {row.key for row in [*timed(), *unseen()]} - set(kept["models"]) - set(kept["failed"])
    for key, build, make in builders(wanted):
        if time.monotonic() - start > seconds:
            print("out of time: run --collect again, it goes on where it ended", flush=True)
            break
        try:
            kept["models"][key], reason = convert(build, make, "iOS17")
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            kept["models"].pop(key, None)
            kept["failed"][key] = reason
            print(key, reason[:150], flush=True)
        save(path, kept)
    print(len(kept["models"]), "models", flush=True)


def save(path: Path, kept: Collected) -> None:
    """Write what was converted so far."""
    with path.open("wb") as file:
        pickle.dump(kept, file)
