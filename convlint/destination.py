"""Where an option may write: to a new path, or over a file of its own kind. Checked before any work.

Anything else at a path is somebody's work, and refused with a sentence. A file is replaced once the new
one is complete beside it. A link stays a link: its target is checked and written. Devices and pipes are
written to as they are. docs/writing.md has the table.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from convlint.errors import UsageError
from convlint.files import replace_file
from convlint.text import shown_path

STANDARD = {1: 1, 2: 2}
"""Paths that mean standard output and standard error, and the descriptors that replace them in a check."""

UNWRITTEN = "the package was not written"
"""How a trial says that its model converts but could not be written to disk."""

_STREAMS = {
    name: number
    for number, word in ((1, "stdout"), (2, "stderr"))
    for name in (f"/dev/{word}", f"/dev/fd/{number}", f"/proc/self/fd/{number}")
}
_HEAD = 1 << 16
"""How many bytes of a file are read to recognise its kind."""
_WRITABLE = 0o222
_CONTENT = (stat.S_IFREG, stat.S_IFDIR)
_BESIDE_MANIFEST = ("Manifest.json", "executorch_debug_handle_mapping.json")
"""Files that coremltools writes into a package without naming them in the manifest."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that an option writes: its name for messages, and how to recognise its beginning."""

    name: str
    known: Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Place:
    """A path that may be written: as given for ``option``, and as the absolute target of its links."""

    option: str
    path: str
    real: str
    kind: FileKind

    def write(self, text: str) -> None:
        """Write the whole text, after checking once more what is at the path now."""
        data = text.encode("utf-8", "surrogateescape")
        try:
            if self.path in _STREAMS:
                _write_all(STANDARD[_STREAMS[self.path]], data)
                return
            again = checked_place(self.option, self.real, self.kind)
            if again.is_stream:
                descriptor = os.open(again.real, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
                try:
                    _write_all(descriptor, data)
                finally:
                    os.close(descriptor)
            else:
                replace_file(Path(again.real), data)
        except BrokenPipeError:
            raise UsageError(f"cannot write {shown_path(self.path)}: its reader is gone.") from None
        except OSError as error:
            raise UsageError(f"cannot write {shown_path(self.path)}: {reason_of(error)}.") from error

    @property
    def is_stream(self) -> bool:
        """Whether it is a device or a pipe, which has no content to lose."""
        return self.path in _STREAMS or (os.path.exists(self.real) and not os.path.isfile(self.real))


def checked_place(option: str, path: str, kind: FileKind) -> Place:
    """The place at ``path``; a :class:`UsageError` where ``option`` may not write there."""
    shown = f"{option} {shown_path(path)}"
    if path in _STREAMS:
        return Place(option, path, path, kind)
    if not path or "\0" in path:
        raise UsageError(f"{option} names no file: give a path.")
    real = _followed(shown, path)
    status = _status(shown, real)
    if status is None:
        if path.endswith(os.sep):
            raise UsageError(f"{shown} names a folder: name a file in it.")
        _folder_takes(shown, os.path.dirname(real))
        return Place(option, path, real, kind)
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{shown} is a folder: name a file in it.")
    if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        raise UsageError(f"{shown} is a device or a socket: name a file.")
    if not os.access(real, os.W_OK) or not status.st_mode & _WRITABLE:
        raise UsageError(f"{shown} is read-only: name another file, or make this one writable.")
    if stat.S_ISREG(status.st_mode):
        _folder_takes(shown, os.path.dirname(real))
        _is_own(shown, real, kind)
    return Place(option, path, real, kind)


def checked_package(option: str, path: str) -> str:
    """The absolute path of a model package for ``path``; refused like :func:`checked_place`.

    A path without an ending gets ``.mlpackage``, as coremltools does it.
    """
    shown = f"{option} {shown_path(path)}"
    base, ending = os.path.splitext(path.rstrip(os.sep))
    if not base.strip() or "\0" in path:
        raise UsageError(f"{option} names no package: give a path such as Net.mlpackage.")
    if ending != ".mlpackage":
        if os.path.lexists(path):
            what = "a folder" if os.path.isdir(path) else "a file"
            new = os.path.join(path, "Net.mlpackage") if os.path.isdir(path) else "Net.mlpackage"
            raise UsageError(
                f"{shown} is {what}, and no model package: name a new path, such as {shown_path(new)}."
            )
        if ending:
            raise UsageError(f"{shown} must end in .mlpackage, not {ending}: name {base}.mlpackage.")
        path = f"{base}.mlpackage"
        shown = f"{option} {shown_path(path)}"
    real = _followed(shown, path.rstrip(os.sep))
    status = _status(shown, real)
    _folder_takes(shown, os.path.dirname(real))
    if status is not None:
        foreign = foreign_part(real)
        if foreign:
            raise UsageError(
                f"{shown} exists and is not a model package that can be replaced ({foreign}): name a new"
                " path, or move it away first."
            )
        if not (status.st_mode & _WRITABLE and os.access(real, os.W_OK)):
            raise UsageError(f"{shown} is read-only: name another path, or make it writable.")
    return real


def foreign_part(package: str) -> str:
    """Why a path is not a model package alone; empty for a package without foreign files.

    The manifest of a package lists its files.
    """
    import json

    if not os.path.isdir(package):
        return "it is no folder"
    try:
        manifest = json.loads(Path(package, "Manifest.json").read_bytes())
        entries = manifest["itemInfoEntries"].values()
        items = [os.path.normpath(str(each["path"])) for each in entries]
        if not manifest["rootModelIdentifier"]:
            return "its manifest names no model"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "it has no manifest of a package"
    for folder, folders, names in os.walk(package):
        for name in [*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))]:
            inside = os.path.relpath(os.path.join(folder, name), package)
            item = os.path.relpath(inside, "Data")
            mine = inside in _BESIDE_MANIFEST or name == ".DS_Store"
            if not mine and not any(item == each or item.startswith(each + os.sep) for each in items):
                return f"{inside} in it is no part of one"
    return ""


def put_package(complete: str, real: str) -> None:
    """Move a complete package to its place, and then remove the one that it replaces."""
    import shutil

    from convlint.files import beside

    if not os.path.lexists(real):
        os.rename(complete, real)
        return
    foreign = foreign_part(real)
    if foreign:
        raise FileExistsError(17, f"something else was put there meanwhile ({foreign})")
    old = beside(Path(real), ".old")
    os.rename(real, old)
    try:
        os.rename(complete, real)
    except BaseException:
        if not os.path.lexists(real):
            os.rename(old, real)
        raise
    shutil.rmtree(old, ignore_errors=True)


def refuse_shared_paths(places: Iterable[Place]) -> None:
    """Raise where two outputs have one path, so that the second would replace the first."""
    seen: dict[object, Place] = {}
    for place in places:
        if place.is_stream:
            continue
        try:
            status = os.stat(place.real)
            same: object = (status.st_dev, status.st_ino)
        except OSError:
            same = place.real
        if same in seen:
            raise UsageError(
                f"{seen[same].option} {shown_path(seen[same].path)} and {place.option}"
                f" {shown_path(place.path)} name one file: give each a path of its own."
            )
        seen[same] = place


def make_folder_of(place: Place) -> None:
    """Create the folder for a new file."""
    try:
        if not place.is_stream:
            os.makedirs(os.path.dirname(place.real), exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {shown_path(place.path)}: {reason_of(error)}.") from error


def reason_of(error: OSError) -> str:
    """The system's text for an error."""
    return str(error.strerror or error).rstrip(".")


def _followed(shown: str, path: str) -> str:
    """The target of ``path`` through its links; a dangling link is refused."""
    try:
        real = os.path.realpath(path)
        if os.path.islink(path.rstrip(os.sep)) and stat.S_IFMT(os.stat(path).st_mode) not in _CONTENT:
            return os.path.abspath(path)  # an open pipe (/dev/fd/63) leads to no path
    except FileNotFoundError:
        raise UsageError(
            f"{shown} is a link to {os.path.realpath(path)}, which does not exist: name that, or remove"
            " the link."
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {shown}: {getattr(error, 'strerror', None) or error}.") from error
    return real


def _status(shown: str, real: str) -> os.stat_result | None:
    """The status of the file at a path, None for no file; an impossible path is refused."""
    try:
        return os.stat(real)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot write {shown}: {reason_of(error)}.") from error


def _folder_takes(shown: str, folder: str) -> None:
    """Raise where ``folder`` cannot be written to or created."""
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise UsageError(f"cannot write {shown}: {shown_path(folder)} is no folder.")
    if not os.access(folder, os.W_OK | os.X_OK) or not os.stat(folder).st_mode & _WRITABLE:
        raise UsageError(f"cannot write {shown}: its folder may not be written to.")


def _is_own(shown: str, real: str, kind: FileKind) -> None:
    """Raise where a file is neither empty nor of the kind that the option writes."""
    try:
        with open(real, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {reason_of(error)}; name another file.") from error
    source = real.endswith((".py", ".pyi", ".toml", ".cfg", ".yaml", ".yml"))
    if kind.known(head) if head or source else True:
        return
    raise UsageError(
        f"{shown} exists and is not {kind.name}, so it is left as it is: name another file, or move this one"
        " away first."
    )


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
