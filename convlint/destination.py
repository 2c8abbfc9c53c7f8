"""What an option that writes may write to: a new path, or a file of its own kind. Asked before any work.

Whatever else stands at a path is somebody's work, and is refused with a sentence. What is replaced is
replaced when the new one is complete beside it. A link stays a link: what it leads to is looked at, and
written. Devices and pipes are written to as they are. docs/writing.md has the table.
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
"""Where standard output and standard error are to be written, since a check keeps stdout for its report."""

UNWRITTEN = "the package was not written"
"""How a trial says that its model converts, and that the disk did not take it."""

_STREAMS = {
    name: number
    for number, word in ((1, "stdout"), (2, "stderr"))
    for name in (f"/dev/{word}", f"/dev/fd/{number}", f"/proc/self/fd/{number}")
}
_HEAD = 1 << 16
"""How much of a file is read to know its kind."""
_WRITABLE = 0o222
_CONTENT = (stat.S_IFREG, stat.S_IFDIR)
_BESIDE_MANIFEST = ("Manifest.json", "executorch_debug_handle_mapping.json")
"""What coremltools writes into a package that the manifest does not name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The files that an option writes: what they are called, and how their beginning is known."""

    name: str
    known: Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Place:
    """A path that may be written: as it was given for ``option``, and where its links lead, absolute."""

    option: str
    path: str
    real: str
    kind: Kind

    def write(self, text: str) -> None:
        """Write all of it. What stands there by now is looked at once more."""
        data = text.encode("utf-8", "surrogateescape")
        try:
            if self.path in _STREAMS:
                _write_all(STANDARD[_STREAMS[self.path]], data)
                return
            again = look_at(self.option, self.real, self.kind)
            if again.is_stream:
                descriptor = os.open(again.real, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
                try:
                    _write_all(descriptor, data)
                finally:
                    os.close(descriptor)
            else:
                replace_file(Path(again.real), data)
        except BrokenPipeError:
            raise UsageError(f"cannot write {shown_path(self.path)}: nobody reads it any more.") from None
        except OSError as error:
            raise UsageError(f"cannot write {shown_path(self.path)}: {reason_of(error)}.") from error

    @property
    def is_stream(self) -> bool:
        """Whether it is a device or a pipe, which has no content to be lost."""
        return self.path in _STREAMS or (os.path.exists(self.real) and not os.path.isfile(self.real))


def look_at(option: str, path: str, kind: Kind) -> Place:
    """The place that ``path`` is, or a :class:`UsageError` where ``option`` may not write there."""
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


def look_at_package(option: str, path: str) -> str:
    """Where a model package for ``path`` goes, from the root on; refused like :func:`look_at`.

    A path without an ending gets ``.mlpackage``, as coremltools gives it.
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
    """What makes a path no model package, or more than one; empty for a package and nothing else.

    A package says in its manifest which files are its own.
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
    """Move a package that is complete to its place; the one that stands there goes when this is done."""
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


def refuse_twice(places: Iterable[Place]) -> None:
    """Raise where two outputs are to go into one file, in which the second would replace the first."""
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
    """Make the folder that a new file is to lie in."""
    try:
        if not place.is_stream:
            os.makedirs(os.path.dirname(place.real), exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {shown_path(place.path)}: {reason_of(error)}.") from error


def reason_of(error: OSError) -> str:
    """The system's words for what went wrong."""
    return str(error.strerror or error).rstrip(".")


def _followed(shown: str, path: str) -> str:
    """Where the links of ``path`` lead. One that leads nowhere is refused: nobody knows what it is for."""
    try:
        real = os.path.realpath(path)
        if os.path.islink(path.rstrip(os.sep)) and stat.S_IFMT(os.stat(path).st_mode) not in _CONTENT:
            return os.path.abspath(path)  # an open pipe (/dev/fd/63) leads to no path
    except FileNotFoundError:
        raise UsageError(
            f"{shown} is a link to {os.path.realpath(path)}, which is not there: name that, or take the link"
            " away."
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {shown}: {getattr(error, 'strerror', None) or error}.") from error
    return real


def _status(shown: str, real: str) -> os.stat_result | None:
    """What stands at a path, None for nothing; a path that cannot be is refused."""
    try:
        return os.stat(real)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot write {shown}: {reason_of(error)}.") from error


def _folder_takes(shown: str, folder: str) -> None:
    """Raise where no file can be made in ``folder``, or the folder itself cannot be made."""
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise UsageError(f"cannot write {shown}: {shown_path(folder)} is no folder.")
    if not os.access(folder, os.W_OK | os.X_OK) or not os.stat(folder).st_mode & _WRITABLE:
        raise UsageError(f"cannot write {shown}: its folder may not be written to.")


def _is_own(shown: str, real: str, kind: Kind) -> None:
    """Raise where a file is neither empty nor one that the option wrote before."""
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
