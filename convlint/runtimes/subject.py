"""The model that every runtime gets: with real weights, in eval mode, exported where that works."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from convlint.capture.methods import Attempts, Source
from convlint.capture.walk import node_place, op_name
from convlint.model import Site
from convlint.model.runtimes import RefusedOp
from convlint.numerics.difference import as_array
from convlint.numerics.program_errors import measure
from convlint.torch_adapter import stack_frames
from convlint.usercode.sites import choose_frames

_OP = re.compile(r"\b(?:aten|prims|torchvision|quantized)[.:]+[A-Za-z_]\w*(?:\.\w+)?")


@dataclass
class RuntimeSubject:
    """One model in one process. ``folder`` is a place for files that is removed afterwards."""

    source: Source
    target: str
    timeout: float
    folder: Path
    _program: Any = field(default=None, init=False)

    @cached_property
    def _real(self) -> tuple[Any, tuple[tuple[Any, ...], dict[str, Any]]]:
        attempts = Attempts(self.source, self.timeout, None)
        module, inputs = attempts.real()
        attempts.run_forward(module, inputs)
        module.eval()
        return module, inputs

    @property
    def module(self) -> Any:
        return self._real[0]

    @property
    def args(self) -> tuple[Any, ...]:
        return self._real[1][0]

    @property
    def kwargs(self) -> dict[str, Any]:
        return self._real[1][1]

    @cached_property
    def expected(self) -> list[Any]:
        """PyTorch's outputs, as arrays."""
        import torch

        with torch.no_grad():
            return arrays(self.module(*self.args, **self.kwargs))

    def exported(self) -> Any:
        """A new program of ``torch.export``, whose nodes know their source lines."""
        import torch

        with torch.no_grad(), stack_frames(choose_frames):
            program = torch.export.export(self.module, self.args, self.kwargs or None, strict=False)
        self._program = program
        return program

    def error_of(self, outputs: Any) -> float:
        """The largest error of these outputs, relative to the largest value.

        It is infinite where infinities or NaN are in other places than in PyTorch's outputs.
        """
        errors = measure(arrays(outputs)[: len(self.expected)], self.expected)
        return math.inf if errors.nonfinite or errors.misplaced else errors.max_rel_error

    def tensors(self) -> list[Any]:
        """The input tensors in order."""
        import torch

        from convlint.torch_adapter import pytree

        leaves = pytree.tree_leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def refused_in(self, text: str) -> list[str]:
        """The ops that an error message names, including the user's own."""
        nodes = self._program.graph.nodes if self._program is not None else ()
        own = dict.fromkeys(op_name(node.target) for node in nodes if node.op == "call_function")
        bare = {op: op.rpartition(".")[0] for op in own if not op.startswith(("aten.", "_operator."))}
        return [
            *ops_in(text),
            *(op for op, name in bare.items() if name and (name in text or name.replace(".", "::") in text)),
        ]

    def blockers(self, ops: Iterable[str]) -> tuple[RefusedOp, ...]:
        """These ops with the first line of the model that calls each, each once."""
        places: dict[str, Site | None] = {}
        nodes = self._program.graph.nodes if self._program is not None else ()
        for node in nodes:
            if node.op == "call_function":
                place = node_place(node)
                places.setdefault(_bare(op_name(node.target)), place.caller or place.site)
        return tuple(RefusedOp(op, places.get(_bare(op))) for op in dict.fromkeys(map(_written, ops)))


def ops_in(text: str) -> Sequence[str]:
    """The names of torch ops that an error message holds."""
    named = re.findall(r"op='([\w.:]+)', overload='(\w+)'", text)
    return [".".join(pair) for pair in named] or _OP.findall(text)


def arrays(outputs: Any) -> list[Any]:
    """Every tensor or array in a model's outputs, in order, as arrays."""
    import numpy as np
    import torch

    from convlint.torch_adapter import pytree

    leaves = pytree.tree_leaves(outputs)
    return [as_array(leaf) for leaf in leaves if isinstance(leaf, (torch.Tensor, np.ndarray))]


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _written(op: str) -> str:
    name = op.replace("::", ".")
    return name if name.count(".") > 1 else f"{name}.default"


def _bare(op: str) -> str:
    """The bare name of an op, ``det`` for ``aten._linalg_det.default``: runtimes name lowered ops."""
    parts = op.split(".")
    return re.sub("^_*(linalg_|special_)?", "", parts[min(1, len(parts) - 1)])
