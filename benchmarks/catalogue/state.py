"""The folder of what was measured: one JSON file a model, and the entries that these come to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.summary import LATE, STOPPED
from convlint.catalogue.entry import Entry
from convlint.catalogue.store import entry_of

Row = dict[str, Any]
_FILE = re.compile(r"/\S*/([^/\s]+/[^/\s]+\.py)")
_LATE = re.compile(r"ended after (\d+) s")


class State:
    """The results of earlier runs; a result of other versions, or of another command, counts for nothing."""

    def __init__(self, folder: Path, versions: Mapping[str, str], shipped: Iterable[Entry] = ()) -> None:
        """``shipped`` is the catalogue as it is: entries of the same versions are not measured again."""
        self.folder = folder
        self.versions = dict(versions)
        self.shipped = {entry.name: entry for entry in shipped}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, candidate: Candidate) -> Path:
        return self.folder / f"{candidate.name.replace('/', '__')}.json"

    def kept(self, candidate: Candidate) -> Row | None:
        """The result of this candidate; None where it is missing, stale or cut short."""
        try:
            row: Row = json.loads(self.path(candidate).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        known = isinstance(row, dict) and row.get("key") == candidate.key(self.of(candidate))
        return row if known else None

    def is_done(self, candidate: Candidate, seconds: float, again: str) -> bool:
        """Whether nothing is to be measured of it: a smaller limit than ``seconds`` has ended nothing.

        ``again`` is "all", or "unbuilt" for what could not be built.
        """
        row = self.kept(candidate)
        if again == "all":
            return False
        if row is None:
            shipped = self.shipped.get(candidate.name)
            return self.is_shipped(candidate) and not (again and shipped and shipped.unbuilt)
        first = row["installed"]
        late = _LATE.fullmatch(first.get("ended", ""))
        if late is not None and float(late[1]) < seconds:
            return False
        return not (again == "unbuilt" and "convertible" not in first)

    def is_shipped(self, candidate: Candidate) -> bool:
        """Whether the catalogue has it, measured with these versions and not cut short."""
        entry = self.shipped.get(candidate.name)
        whole = entry is not None and not entry.unbuilt.startswith((LATE, STOPPED))
        return whole and entry is not None and dict(entry.versions) == self.of(candidate)

    def keep(self, candidate: Candidate, row: Row) -> None:
        row = {"key": candidate.key(self.of(candidate)), "name": candidate.name, **row}
        path = self.path(candidate)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        temporary.write_text(json.dumps(row, indent=1), encoding="utf-8")
        os.replace(temporary, path)

    def of(self, candidate: Candidate) -> dict[str, str]:
        """The versions that a result of this candidate depends on."""
        names = ("convlint", "torch", "coremltools", "next coremltools", candidate.distribution)
        return {name: self.versions[name] for name in names if name in self.versions}


def entry(candidate: Candidate, row: Row, versions: Mapping[str, str]) -> Entry:
    """The entry of what was measured of a candidate."""
    first, second = row["installed"], row.get("next", {})
    command = first.get("command") or list(candidate.commands[0])
    made: dict[str, Any] = {
        "name": candidate.name,
        "source": candidate.source,
        "family": candidate.family,
        "task": candidate.task,
        "command": command,
        "reduced": candidate.reduced and not command[-1].endswith("Config()"),
        "versions": sorted(versions.items()),
        "date": row["date"],
        "seconds": round(sum(each.get("seconds", 0.0) for each in (first, second)), 1),
    }
    problem = first.get("unbuilt") or ("" if "convertible" in first else _unchecked(first))
    if problem:
        return entry_of(_without_folders({**made, "unbuilt": problem}))
    doors = [
        {key: door[key] for key in ("frontend", "coremltools", "converts", "refused")}
        for door in first["doors"]
    ]
    doors += [
        {key: door[key] for key in ("frontend", "coremltools", "converts", "refused")}
        for door in second.get("doors", [])
    ]
    made |= {name: first[name] for name in ("parameters", "inputs", "form", "warnings") if name in first}
    made |= {
        name: first[name]
        for name in ("gflops", "classes", "features", "equal", "places", "bytes_at")
        if name in first
    }
    made |= {"doors": doors, "static_agrees": first["static"] and first["static"]["agrees"]}
    if first["convertible"] == "yes" and first.get("findings"):
        made["but"] = first["findings"][0]
    if first["convertible"] == "no":
        made["repairs"] = first.get("repairs") or _proposed(first)
    if "equal" not in made:
        made["equal"] = {"conclusion": "not compared", "error": None, "why": _why(first)}
    return entry_of(_without_folders(made))


def _without_folders(value: Any) -> Any:
    """The value with files named by their last two parts: folders of a machine are nobody's business."""
    if isinstance(value, str):
        return _FILE.sub(r"\1", value)
    if isinstance(value, dict):
        return {name: _without_folders(each) for name, each in value.items()}
    return [_without_folders(each) for each in value] if isinstance(value, list | tuple) else value


def _unchecked(first: Row) -> str:
    """Why there is no report: the time, the refusal of its stage, else how convlint stopped."""
    said = first.get("stages", {}).get("check", "")
    if _LATE.fullmatch(first.get("ended", "")):
        return f"{LATE}{first['ended']}"
    if "check_crash" in first or first.get("ended"):
        return f"{STOPPED}{first.get('check_crash') or first['ended']}"
    return said if isinstance(said, str) and said else "nothing was said"


def _proposed(first: Row) -> dict[str, Any]:
    """The repairs as the check found them without weights, where the fix itself came to no end."""
    why = [{"rule": "", "op": "", "times": 1, "why": f"fix itself came to no end: {_why(first)}"}]
    how = "graph" if first.get("proposal") else "no"
    return {"how": how, "changes": first.get("changes", 0), "left": why}


def _why(first: Row) -> str:
    stages = first.get("stages", {})
    told = [f"{name}: {said}" for name, said in stages.items() if isinstance(said, str) and said]
    return "; ".join([*filter(None, [first.get("ended", "")]), *told])[:300] or "nothing was tried"


def entries(state: State, candidates: Iterable[Candidate]) -> list[Entry]:
    """The entries of all candidates that have a result, here or in the catalogue as it is."""
    found = []
    for candidate in candidates:
        row = state.kept(candidate)
        if row is not None:
            found.append(entry(candidate, row, state.of(candidate)))
        elif candidate.name in state.shipped:
            found.append(state.shipped[candidate.name])
    return found
