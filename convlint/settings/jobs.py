"""What is to be checked: models, each with all that decides its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convlint.checking.options import Options
from convlint.interface.inputs import InputSpec


@dataclass(frozen=True, slots=True)
class Job:
    """One model to check: plain data, a key of the cache that may go to another process.

    ``root`` is the folder of its paths, the working directory where None. ``depends`` are patterns of
    files that the model reads beside its own modules.
    """

    name: str
    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    arg_exprs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputSpec, ...] = ()
    options: Options = field(default_factory=Options)
    root: str | None = None
    depends: tuple[str, ...] = ()
