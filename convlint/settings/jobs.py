"""The models to check, each with everything that decides its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convlint.checking.options import Options
from convlint.interface.inputs import InputSpec


@dataclass(frozen=True)
class Job:
    """One model to check: plain data, which can key the cache and go to another process.

    ``root`` is the folder that its paths start from, None for the working directory. ``depends`` has
    patterns of files that the model reads beside its own modules.
    """

    name: str
    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    arg_exprs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputSpec, ...] = ()
    options: Options = field(default_factory=Options)
    root: str | None = None
    depends: tuple[str, ...] = ()
