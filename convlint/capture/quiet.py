"""Silence where torch and user code would warn and log about what is not asked."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_torch(level: int = logging.WARNING) -> Iterator[None]:
    """Without the warnings and log lines of torch and of user code, which are not about this check."""
    previous = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
