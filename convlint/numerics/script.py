"""The smallest piece that shows a divergence: one call, as a script to paste into an issue.

Candidates are written from the smallest to the largest, and each is run: the first that shows a
difference by itself is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convlint.capture.methods import Source
from convlint.errors import ConvlintError
from convlint.numerics.conversion import Converted, NotConverted, convert
from convlint.numerics.reference import Call
from convlint.numerics.running import Terms, differs

_SMALL = 16
_LITERAL = 1024
"""Tensors of up to so many elements may be written out where random ones do not show it."""

_SECONDS = 60.0

_UNPROVEN = "# By itself this call does not show it: the values that it met in the model matter.\n"

_TAIL = """
print("PyTorch:", Model()(*inputs))
options = {{
    "minimum_deployment_target": ct.target.{target},
    "compute_precision": ct.precision.{precision},
}}
{source}
program = ct.convert(model, convert_to="milinternal", **options)
print(program)
feed = dict(zip(program.functions["main"].inputs, (x.numpy() for x in inputs)))
if sys.platform == "darwin":
    print("Core ML:", ct.convert(model, **options).predict(feed))
else:
    from convlint import mil  # runs the program where Core ML does not exist

    print("the program:", mil.run(program, feed))
"""

_EXPORTED = "model = torch.export.export(Model(), inputs).run_decompositions({})"
_TRACED = """model = torch.jit.trace(Model(), inputs)
options["inputs"] = [ct.TensorType(shape=x.shape, dtype=kind) for x, kind in zip(inputs, [{kinds}])]"""


def script_of(call: Call, converted: Converted, terms: Terms) -> str:
    """A script that runs one call in PyTorch and converted, and prints both."""
    last = ""
    for arguments, literal in _candidates(call):
        piece = _piece(call, arguments, literal)
        last = last or piece
        if _shows(piece, converted, terms):
            return piece + _rest(piece, converted)
    return _UNPROVEN + last + _rest(last, converted)


def _candidates(call: Call) -> Iterator[tuple[Any, bool]]:
    """Arguments of the call, and whether their tensors are written out; small and random ones first."""
    import torch

    from convlint.torch_adapter import pytree

    arguments = (call.args, dict(call.kwargs))
    tensors = [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
    yield arguments, False
    if any(tensor.numel() > _SMALL for tensor in tensors) and all(t.numel() <= _LITERAL for t in tensors):
        yield arguments, True


@dataclass(slots=True)
class _Written:
    """The arguments of a call as Python: ``inputs`` and ``weights`` are the lines that make its tensors."""

    constant: frozenset[int]
    literal: bool
    inputs: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)

    def write(self, value: Any) -> str:
        """The text of one argument, whose tensors are given names."""
        import torch

        if isinstance(value, torch.Tensor):
            text = _tensor_text(value, self.literal)
            if id(value) in self.constant:
                self.weights.append(f'        self.register_buffer("w{len(self.weights)}", {text})')
                return f"self.w{len(self.weights) - 1}"
            name = f"x{len(self.inputs)}"
            self.inputs.append(f"{name} = {text}")
            return name
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self.write(item) for item in value)}]"
        return f"torch.device({str(value)!r})" if isinstance(value, torch.device) else repr(value)


def _piece(call: Call, arguments: Any, literal: bool) -> str:
    """The model and its inputs: those of the call's tensors that the model computed."""
    written = _Written(call.constant, literal)
    texts = [written.write(value) for value in arguments[0]]
    texts += [f"{name}={written.write(value)}" for name, value in arguments[1].items()]
    names = [f"x{number}" for number in range(len(written.inputs))]
    function = f"torch.ops.{call.op}" if hasattr(call.target, "_schema") else call.op.lstrip("_")
    constructor = ["    def __init__(self):", "        super().__init__()", *written.weights, ""]
    lines = [
        *(["import operator"] if function.startswith("operator") else []),
        "import sys",
        "",
        "import coremltools as ct",
        "import numpy as np",
        "import torch",
        "from torch import inf, nan",
        "",
        "torch.manual_seed(0)",
        "",
        "",
        "class Model(torch.nn.Module):",
        *(constructor if written.weights else []),
        f"    def forward({', '.join(['self', *names])}):",
        f"        return {function}({', '.join(texts)})",
        "",
        "",
        *written.inputs,
        f"inputs = ({' '.join(f'{name},' for name in names)})",
    ]
    return "\n".join(lines) + "\n"


def _rest(piece: str, converted: Converted) -> str:
    source = _EXPORTED
    if converted.frontend == "torchscript":
        kinds = ", ".join(_kind_text(line) for line in piece.splitlines() if line.startswith("x"))
        source = _TRACED.format(kinds=kinds)
    return _TAIL.format(target=converted.target, precision=converted.precision.upper(), source=source)


def _kind_text(line: str) -> str:
    """The dtype that Core ML takes an input of the script as."""
    if "torch.bool" in line:
        return "bool"
    if "torch.int" in line or "torch.uint" in line:
        return "np.int32"
    return "np.float16" if "torch.float16" in line else "np.float32"


def _shows(piece: str, converted: Converted, terms: Terms) -> bool:
    """Whether what the script runs parts from PyTorch."""
    scope: dict[str, Any] = {}
    try:
        exec(compile(piece, "<piece>", "exec"), scope)
        model, inputs = scope["Model"]().eval(), scope["inputs"]
        source = Source(None, model, lambda: (inputs, {}))
        alone = convert(source, converted.target, converted.precision, converted.frontend, _SECONDS)
        return differs(alone, alone.inputs, terms)
    except (NotConverted, ConvlintError):
        return False
    except Exception:  # a call out of its place: torch may refuse what the graph took
        return False


def _tensor_text(tensor: Any, literal: bool) -> str:
    dtype = str(tensor.dtype)
    if 0 < tensor.numel() <= _SMALL or literal:
        return f"torch.tensor({tensor.tolist()!r}, dtype={dtype})"
    shape = "".join(f"{size}, " for size in tensor.shape)
    if tensor.dtype.is_floating_point or tensor.dtype.is_complex:
        return f"torch.randn({shape}dtype={dtype})"
    low, high = (int(tensor.min()), int(tensor.max()) + 1) if tensor.numel() else (0, 1)
    return f"torch.randint({low}, {high}, ({shape})).to({dtype})"
