"""An architecture to measure: plain data, which goes to other processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MEASUREMENT = 1
"""Grows when what is measured of an entry changes, so that every kept result is stale."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One architecture of a source.

    ``commands`` are the arguments of ``convlint check`` for it, from which the first is taken whose model has
    at most ``largest`` parameters. ``backbone`` is the name by which timm says what its stages hand on.
    ``distribution`` is the package whose version a result depends on. ``reduced`` says that the model has
    fewer layers or smaller widths than those that people train.
    """

    name: str
    source: str
    family: str
    task: str
    commands: tuple[tuple[str, ...], ...]
    distribution: str = ""
    backbone: str = ""
    largest: int = 0
    reduced: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(row: Mapping[str, Any]) -> Candidate:
        return Candidate(**{**row, "commands": tuple(tuple(words) for words in row["commands"])})

    def key(self, versions: Mapping[str, str]) -> str:
        """What a kept result of this candidate has to be a result of."""
        told = {name: value for name, value in self.to_dict().items() if name != "reduced"}
        basis = [MEASUREMENT, told, sorted(versions.items())]
        return hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:24]
