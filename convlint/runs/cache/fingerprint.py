"""Digests of what a result depends on beside the model's files: this program, its rules, releases.

All of it is read from the disk, without importing anything heavy.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from convlint.installed import is_library

_PACKAGE = Path(__file__).parent.parent.parent
JUDGES = ("torch", "coremltools", "numpy")
"""Packages whose releases decide every result."""


def digest_file(path: str) -> str | None:
    """A digest of a file's content; None where there is no such file."""
    try:
        with open(path, "rb") as stream:
            return blake2b(stream.read(), digest_size=16).hexdigest()
    except OSError:
        return None


def digest_texts(texts: Iterable[str]) -> str:
    """One digest of several texts in their order."""
    total = blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()


def described(value: Any) -> str:
    """An argument or setting as text: equal values give equal text, in whatever order they were written.

    Keys may be of any type, which JSON cannot sort, and the order of a set differs between processes.
    """
    if isinstance(value, Mapping):
        items = sorted(f"{described(key)}: {described(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, (set, frozenset)):
        return f"set({', '.join(sorted(map(described, value)))})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(described, value))})"
    return repr(value)


@lru_cache(maxsize=1)
def program_digest() -> str:
    """A digest of this convlint with its data and rules, and of the Python that runs it.

    An installed convlint has a list of its files with the digest of each. For a checkout, sizes and
    times of change count, because reading hundreds of files for every cached result would take too long.
    """
    texts = [sys.version, sys.platform]
    if is_library(str(_PACKAGE)) and (_PACKAGE / "_rules").is_dir():
        records = sorted(_PACKAGE.parent.glob("convlint-*.dist-info/RECORD"))
        if records:
            return digest_texts([*texts, *(digest_file(str(record)) or "" for record in records)])
    for root in (_PACKAGE, _PACKAGE.parent / "rules"):
        for path in _files(str(root), (".py", ".toml", ".json", ".json.xz")):
            state = os.stat(path)
            texts.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return digest_texts(texts)


def rules_digest(paths: Iterable[str]) -> str:
    """A digest of the rule files under these paths."""
    texts: list[str] = []
    for path in paths:
        files = _files(path, (".toml",)) if os.path.isdir(path) else [path]
        for file in files:
            texts += [file[len(path) :] or file, digest_file(file) or ""]
    return digest_texts(texts)


def _files(root: str, endings: tuple[str, ...]) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(endings))


@lru_cache(maxsize=4)
def installed_releases(search: tuple[str, ...] | None = None) -> Mapping[str, str]:
    """The release of every installed distribution, read from the names of the metadata folders.

    The answer is that of :mod:`importlib.metadata`, in a fraction of the time.
    """
    releases: dict[str, str] = {}
    for folder in search or tuple(sys.path):
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            if entry.endswith((".dist-info", ".egg-info")):
                name, _, release = entry.rpartition(".")[0].partition("-")
                releases.setdefault(re.sub("[-_.]+", "-", name).lower(), release)
    return releases


def judges() -> tuple[str, ...]:
    """The packages that decide every result, each with its release."""
    releases = installed_releases()
    return tuple(f"{name}=={releases.get(name, '')}" for name in JUDGES)
