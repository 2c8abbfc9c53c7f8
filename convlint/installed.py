"""Which files were installed, and so are not the user's to edit."""

from __future__ import annotations

import os
from functools import lru_cache


@lru_cache(maxsize=4096)
def is_library(path: str) -> bool:
    """Whether the file was installed, and is not the user's to edit."""
    return f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path
