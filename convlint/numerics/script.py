"""The smallest piece that shows a divergence: one call, as a script to paste into an issue.

Candidates are written from the smallest to the largest, and each is run: the first that shows a
difference by itself is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from convlint.capture.methods import Source
from convlint.errors import ConvlintError
from convlint.numerics.conversion import NotConverted, convert
from convlint.numerics.reference import Call

if TYPE_CHECKING:
    from convlint.numerics.conversion import Converted

Differs = Callable[[Any, Any], bool]
"""Whether a converted piece and the piece itself part for its inputs."""

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


def script_of(call: Call, converted: Converted, differs: Differs) -> str:
    """A script that runs one call in PyTorch and converted, and prints both."""
    last = ""
    for arguments, literal in _candidates(call):
        piece = _piece(call, arguments, literal)
        last = last or piece
        if _shows(piece, converted, differs):
            return piece + _rest(piece, converted)
    return _UNPROVEN + last + _rest(last, converted)


def _candidates(call: Call) -> Iterator[tuple[Any, bool]]:
    """Arguments of the call, and whether their tensors are written out; small and random ones first."""
    import torch

    from convlint.torch_adapter import pytree

    given = (call.args, dict(call.kwargs))
    tensors = [leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, torch.Tensor)]
    yield given, False
    if any(tensor.numel() > _SMALL for tensor in tensors) and all(t.numel() <= _LITERAL for t in tensors):
        yield given, True


def _piece(call: Call, arguments: Any, literal: bool) -> str:
    """The model and its inputs: those of the call's tensors that the model computed."""
    names: list[str] = []
    made: list[str] = []
    weights: list[str] = []

    def told(value: Any) -> str:
        import torch

        if isinstance(value, torch.Tensor):
            text = _tensor_text(value, literal)
            if id(value) in call.constant:
                weights.append(f'        self.register_buffer("w{len(weights)}", {text})')
                return f"self.w{len(weights) - 1}"
            names.append(f"x{len(names)}")
            made.append(f"{names[-1]} = {text}")
            return names[-1]
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(told(item) for item in value)}]"
        return f"torch.device({str(value)!r})" if isinstance(value, torch.device) else repr(value)

    texts = [told(value) for value in arguments[0]]
    texts += [f"{name}={told(value)}" for name, value in arguments[1].items()]
    function = f"torch.ops.{call.op}" if hasattr(call.target, "_schema") else call.op.lstrip("_")
    built = ["    def __init__(self):", "        super().__init__()", *weights, ""] if weights else []
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
        *built,
        f"    def forward({', '.join(['self', *names])}):",
        f"        return {function}({', '.join(texts)})",
        "",
        "",
        *made,
        f"inputs = ({' '.join(f'{name},' for name in names)})",
    ]
    return (
        "\n".join(line for line in lines if function.startswith("operator") or "operator" not in line) + "\n"
    )


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


def _shows(piece: str, converted: Converted, differs: Differs) -> bool:
    """Whether what the script runs parts from PyTorch."""
    scope: dict[str, Any] = {}
    try:
        exec(compile(piece, "<piece>", "exec"), scope)
        model, inputs = scope["Model"]().eval(), scope["inputs"]
        source = Source(None, model, lambda: (inputs, {}))
        found = convert(source, converted.target, converted.precision, converted.frontend, _SECONDS)
        return differs(found, found.inputs)
    except (NotConverted, ConvlintError):
        return False
    except Exception:  # a call out of its place: torch may refuse what the graph took
        return False


def _tensor_text(tensor: Any, literal: bool) -> str:
    dtype = str(tensor.dtype)
    if 0 < tensor.numel() <= _SMALL or literal:
        return f"torch.tensor({tensor.tolist()!r}, dtype={dtype})"
    shape = "".join(f"{size}, " for size in tensor.shape)
    if tensor.dtype.is_floating_point:
        return f"torch.randn({shape}dtype={dtype})"
    low, high = (int(tensor.min()), int(tensor.max()) + 1) if tensor.numel() else (0, 1)
    return f"torch.randint({low}, {high}, ({shape})).to({dtype})"
