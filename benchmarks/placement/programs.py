"""The converted programs of the placement benchmark, kept in one file so that they are made only once."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

from benchmarks.corpora.one_op import programs, published
from benchmarks.corpora.timed_models import builders, timed, unseen

Collected = dict[str, Any]
"""``one_op`` and ``models`` hold operations by name, ``failed`` the reasons of what did not convert."""


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

    kept: Collected = {"one_op": {}, "models": {}, "failed": {}}
    if path.exists():
        with path.open("rb") as file:
            kept = pickle.load(file)
    for name, kind, make_program in programs(set(published()) - set(kept["one_op"])):
        try:
            kept["one_op"][name] = (kind, read_mil(make_program())[0])
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}"[:300], flush=True)
    print(len(kept["one_op"]), "one-op programs", flush=True)
    start = time.monotonic()
    wanted = {row.key for row in [*timed(), *unseen()]} - set(kept["models"]) - set(kept["failed"])
    for key, build, make in builders(wanted):
        if time.monotonic() - start > seconds:
            print("out of time: run --collect again, it goes on where it ended", flush=True)
            break
        try:
            captured = capture(Source(build, None, lambda make=make: ((make(),), {})))
            tried = run_trial(
                captured.program, captured.graph, "export", "iOS17", "passes", 170, read=read_mil
            )
            kept["models"][key] = with_modules(tried.operations)
            reason = "; ".join(failure.error for failure in tried.failures[:1])
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            kept["models"].pop(key, None)
            kept["failed"][key] = reason
            print(key, reason[:150], flush=True)
        with path.open("wb") as file:
            pickle.dump(kept, file)
    print(len(kept["models"]), "models", flush=True)
