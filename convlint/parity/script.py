"""The smallest piece that shows a divergence: one call, as a script to paste into an issue."""

from __future__ import annotations

from typing import Any

_SMALL = 16


def script_of(node: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> str:
    """A script that runs one ATen call in PyTorch, converts it and prints the MIL program.

    Tensors of up to sixteen elements stand there with their values, larger ones as random numbers.
    """
    from convlint.capture.walk import op_name

    names: list[str] = []
    made: list[str] = []

    def told(value: Any) -> str:
        import torch

        if isinstance(value, torch.Tensor):
            names.append(f"x{len(names)}")
            made.append(f"{names[-1]} = {_tensor_text(value)}")
            return names[-1]
        if isinstance(value, (list, tuple)):
            inner = ", ".join(told(item) for item in value)
            return f"[{inner}]"
        return str(value) if isinstance(value, torch.dtype) else repr(value)

    call = [told(value) for value in arguments[0]]
    call += [f"{name}={told(value)}" for name, value in arguments[1].items()]
    parameters = "".join(f", {name}" for name in names)
    given = "".join(f"{name}, " for name in names)
    lines = [
        "import coremltools as ct",
        "import torch",
        "from torch import inf, nan",
        "",
        "",
        "class Model(torch.nn.Module):",
        f"    def forward(self{parameters}):",
        f"        return torch.ops.{op_name(node.target)}({', '.join(call)})",
        "",
        "",
        "torch.manual_seed(0)",
        *made,
        f"inputs = ({given.rstrip()})",
        'print("PyTorch:", Model()(*inputs))',
        "program = torch.export.export(Model(), inputs).run_decompositions({})",
        'print(ct.convert(program, convert_to="milinternal", minimum_deployment_target=ct.target.iOS17))',
    ]
    return "\n".join(lines) + "\n"


def _tensor_text(tensor: Any) -> str:
    dtype = str(tensor.dtype)
    if 0 < tensor.numel() <= _SMALL:
        return f"torch.tensor({tensor.tolist()!r}, dtype={dtype})"
    shape = ", ".join(map(str, tensor.shape))
    if tensor.dtype.is_floating_point:
        return f"torch.randn({shape}, dtype={dtype})"
    low, high = (int(tensor.min()), int(tensor.max()) + 1) if tensor.numel() else (0, 1)
    return f"torch.randint({low}, {high}, ({shape},)).to({dtype})"
