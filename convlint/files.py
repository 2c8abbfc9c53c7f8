"""Files that others may be reading or writing at the same moment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that others see the old content or the new one, never a part."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file; that it is gone already, or may not be removed, does not matter."""
    with contextlib.suppress(OSError):
        path.unlink()
