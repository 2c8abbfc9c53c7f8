"""Files that others may be reading or writing at the same moment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


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


def replace_file(path: Path, data: bytes, expected: bytes | None = None) -> None:
    """Make ``path`` hold ``data``, complete beside it first; what else the file is stays as it was.

    Its mode, owner, extended attributes and its other names (hard links) stay. ``path`` is no link.
    With ``expected``, a file that holds anything else by now is left alone: :class:`Changed`.
    """
    temporary = beside(path, ".tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        with _locked(path, needed=expected is not None), contextlib.suppress(FileNotFoundError):
            before = os.stat(path)
            if not _copy_attributes(temporary, path, before):
                _write_over(path, data, expected)
                return
            if expected is not None and path.read_bytes() != expected:
                raise Changed(str(path))
            os.replace(temporary, path)
            return
        if expected is not None:
            raise Changed(str(path))
        os.replace(temporary, path)
    finally:
        remove(temporary)


@contextlib.contextmanager
def _locked(path: Path, *, needed: bool) -> Iterator[None]:
    """Keep others who do the same out, between the last look at a file and its replacement.

    Whoever waited holds the lock of a file that was replaced meanwhile, and sees that when it looks.
    """
    if not needed or fcntl is None:
        yield
        return
    with open(path, "rb") as stream:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
        yield


class Changed(Exception):
    """A file is not what it was when it was read."""


def beside(path: Path, ending: str) -> Path:
    """A name in the folder of ``path`` that nobody has, short enough for every file system."""
    return path.with_name(f".convlint-{os.getpid()}-{os.urandom(4).hex()}{ending}")


def _copy_attributes(temporary: Path, path: Path, before: os.stat_result) -> bool:
    """Give the new file what the old one is beside its content; False where only the old one can have it."""
    if before.st_nlink > 1:
        return False
    after = os.stat(temporary)
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        try:
            os.chown(temporary, before.st_uid, before.st_gid)
        except OSError:
            return False
    os.chmod(temporary, before.st_mode & 0o7777)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # not every file system has them
            for name in os.listxattr(path):
                os.setxattr(temporary, name, os.getxattr(path, name))
    return True


def _write_over(path: Path, data: bytes, expected: bytes | None) -> None:
    """Write into the file itself, so that its other names show it too; the old content where that fails."""
    with open(path, "r+b") as stream:
        old = stream.read()
        if expected is not None and old != expected:
            raise Changed(str(path))
        try:
            _fill(stream.fileno(), data)
        except BaseException:
            _fill(stream.fileno(), old)
            raise


def _fill(descriptor: int, data: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)


def remove(path: Path) -> None:
    """Remove a file; that it is gone already, or may not be removed, does not matter."""
    with contextlib.suppress(OSError):
        path.unlink()
