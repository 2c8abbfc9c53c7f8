"""Changes to a model, and the parts of it that are left out: plain data for reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from convlint.model.graph import Site, TensorMeta
from convlint.text import count


@dataclass(frozen=True, slots=True)
class Applied:
    """One change, for all the calls at one line that were changed.

    ``kind``: "fold" (computed once), "defaults", "rewrite", "decomposition", "rank", "complex", "layout" or
    "normalisation" (of an input, folded into a convolution); "dense" for a sparse buffer, "state" for one
    that became an input and an output, "record" where the program is one recorded run, "branch" for a value
    that Python read in that run, "split" for an op that is left out of the model.
    """

    op: str
    kind: str
    title: str
    safety: str = "safe"
    rewrite: str = ""
    site: Site | None = None
    caller: Site | None = None
    module: str = ""
    calls: int = 1


@dataclass(frozen=True, slots=True)
class EditedCell:
    """A cell of a notebook with ``changes`` made in it: the model computes and trains the same then.

    ``path`` is the name that Python has for the cell, ``before`` and ``after`` are its text. ``refused`` is
    what coremltools still refuses of the model with all edited cells, by op; empty where it converts it.
    """

    path: str
    before: str
    after: str
    changes: tuple[Applied, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CutTensor:
    """An output of a split model: its name in Core ML, and where the model computes it.

    ``name`` is empty where the split is only proposed; ``variable`` is its name in the source line.
    """

    name: str
    variable: str
    meta: TensorMeta
    site: Site | None = None
    caller: Site | None = None


@dataclass(frozen=True, slots=True)
class LeftCall:
    """The calls of one op at one line that are left to the user's own code."""

    op: str
    calls: int
    site: Site | None = None
    caller: Site | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The part of a model that a split leaves out, and the outputs in place of the original's.

    ``calls`` are in the order of the run. ``modules`` are left out completely; their parameters stay in
    the module, unused.
    """

    outputs: tuple[CutTensor, ...]
    calls: tuple[LeftCall, ...]
    modules: tuple[str, ...] = ()

    def __str__(self) -> str:
        outputs = ", ".join(f"{one.name or one.variable or 'a tensor'} {one.meta}" for one in self.outputs)
        ops = ", ".join(dict.fromkeys(call.op for call in self.calls[:4]))
        return (
            f"it gives {outputs}; {count(sum(call.calls for call in self.calls), 'call')} from {ops} on"
            " are left out"
        )

    def named_in(self, program: Any) -> LeftOut:
        """A copy with the names of the outputs in ``program``, which are those in Core ML."""
        names = program.graph_signature.user_outputs
        if len(names) != len(self.outputs):
            return self
        named = (replace(one, name=str(name)) for one, name in zip(self.outputs, names, strict=True))
        return replace(self, outputs=tuple(named))
