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
    """Write a file so that readers see the old content or the new one, never a part."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def replace_file(path: Path, data: bytes, expected: bytes | None = None) -> None:
    """Replace the content of ``path`` by ``data`` at once, and leave the rest of the file as it was.

    Its mode, owner, extended attributes and other names (hard links) stay. ``path`` must not be a link.
    Raises :class:`Changed` where ``expected`` is given and the file holds anything else by now.
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
    """Lock out other writers between the last look at a file and its replacement.

    A process that waited holds the lock of the replaced file, and notices that when it looks.
    """
    if not needed or fcntl is None:
        yield
        return
    with open(path, "rb") as stream:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
        yield


class Changed(Exception):
    """A file has changed since it was read."""


def beside(path: Path, ending: str) -> Path:
    """An unused name in the folder of ``path``, short enough for every file system."""
    return path.with_name(f".convlint-{os.getpid()}-{os.urandom(4).hex()}{ending}")


def _copy_attributes(temporary: Path, path: Path, before: os.stat_result) -> bool:
    """Copy owner, mode and attributes to the new file; False where only the old file can have them."""
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
    """Write into the file itself, so that its other names see it too; restore the old content on failure."""
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
    """Remove a file if it exists and may be removed."""
    with contextlib.suppress(OSError):
        path.unlink()
