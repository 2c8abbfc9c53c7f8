"""Silence where torch and user code would warn and log about what is not asked."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_torch(level: int = logging.WARNING) -> Iterator[None]:
    """Without the warnings and log lines of torch and of user code, which are not about this check."""
    previous = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings(), without_trace_log():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


@contextmanager
def without_trace_log() -> Iterator[None]:
    """Without torch's log for tlparse, unless TORCH_TRACE asks for it.

    That logger says that it is enabled whatever :func:`logging.disable` says, and pytest listens to all.
    """
    log = logging.getLogger("torch.__trace")
    before = log.disabled
    log.disabled = before or "TORCH_TRACE" not in os.environ
    try:
        yield
    finally:
        log.disabled = before
