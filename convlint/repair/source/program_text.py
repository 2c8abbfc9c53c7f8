"""A fixed program as the text of a module that needs PyTorch alone.

Some changes have no form on a line: a tensor of rank 6 in a library, a state that becomes an input. What was
proved is the program, so the text is the program: one line for each call, the parameters those of the user's
model by their names, constants written out.
"""

from __future__ import annotations

import base64
import copy
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

CLASS = "Fixed"
LARGEST = 200_000
"""Characters of constants that a script may hold."""

_WIDTH = 100
_CONSTANT = '''\
def constant(shape, dtype, text):
    """A tensor of the numbers that `text` holds, packed."""
    data = bytearray(zlib.decompress(base64.b85decode(text)))
    return torch.frombuffer(data, dtype=dtype).reshape(shape) if data else torch.zeros(shape, dtype=dtype)
'''


_FORGOTTEN = re.compile(r";  (?:\w+ = )+None$")
"""What fx writes behind a call to free what is not read any more."""


class Unsayable(Exception):
    """Why a program has no text."""


@dataclass(frozen=True, slots=True)
class ProgramText:
    """The imports and the lines of the class :data:`CLASS`, and the tensors that its forward takes."""

    imports: tuple[str, ...]
    lines: tuple[str, ...]
    inputs: tuple[Any, ...]

    def module(self, model: Any) -> Any:
        """The module that the text says, made of ``model``."""
        names: dict[str, Any] = {}
        exec("\n".join(["import torch", *self.imports, *self.lines]), names)  # a text of ours
        return names[CLASS](model).eval()


def proved_text(fixed: Any, model: Any) -> ProgramText:
    """The text of the program of a ``Fixed``, which computes the same as its module.

    Raises :class:`Unsayable` where no text stands for it, or the text computes something else.
    """
    import torch

    from convlint.torch_adapter import pytree

    text = program_text(fixed.program)
    args, kwargs = copy.deepcopy(fixed.program.example_inputs)
    before = [(buffer, buffer.clone()) for buffer in (*fixed.module.buffers(), *model.buffers())]
    with torch.no_grad():
        expected = pytree.tree_leaves(fixed.module(*args, **kwargs))
        _set_back(before)
        found = text.module(model)(*copy.deepcopy(text.inputs))
        _set_back(before)
    tensors = [value for value in expected if isinstance(value, torch.Tensor)]
    same = len(tensors) == len(found) and all(
        torch.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
        for one, other in zip(tensors, found, strict=True)
    )
    if not same:
        raise Unsayable("written out, the program computes something else")
    return text


def _set_back(buffers: Sequence[tuple[Any, Any]]) -> None:
    for buffer, value in buffers:
        buffer.copy_(value)


def program_text(program: Any) -> ProgramText:
    """The text of an exported program: a class made of the model.

    Raises :class:`Unsayable` for a program with a value that no text stands for.
    """
    import torch

    from convlint.torch_adapter import pytree

    graph = torch.fx.Graph()
    graph.output(graph.graph_copy(program.graph, {}))
    aten = torch.ops.aten
    for node in graph.nodes:
        if node.target in (aten.view.default, aten._unsafe_view.default):
            node.target = aten.reshape.default  # traced anew, a value may lie otherwise in memory
    code = graph.python_code("self", verbose=False)
    given, read, constants = _arguments(program)
    body = [line.strip() for line in code.src.split(":\n", 1)[1].splitlines() if line.strip()]
    body = list(_with_writes([_FORGOTTEN.sub("", line) for line in body], program))
    words = set(re.findall(r"\w+", "\n".join(body)))
    imports = list(_imports({name: value for name, value in code.globals.items() if name in words}))
    read = [line for line in read if line.partition(" ")[0] in words]
    constants = [(name, text) for name, text in constants if name in words]
    lines = [
        *([] if not constants else [*_CONSTANT.splitlines(), "", ""]),
        f"class {CLASS}(torch.nn.Module):",
        '    """The program after all changes, call by call, with the parameters of the model."""',
        "",
        "    def __init__(self, model):",
        "        super().__init__()",
        "        self.model = model",
        *(f"        self.register_buffer({name!r}, {text}, persistent=False)" for name, text in constants),
        "",
        f"    def forward({', '.join(['self', *given])}):",
        *(f"        {line}" for line in read),
        *(f"        {line}" for line in body),
    ]
    leaves = pytree.tree_leaves(program.example_inputs)
    inputs = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    if len(inputs) != len(given):
        raise Unsayable("an input of it is no tensor")
    if constants:
        imports = ["import base64", "import zlib", *imports]
    return ProgramText(tuple(imports), tuple(lines), inputs)


def _imports(names: dict[str, Any]) -> Iterator[str]:
    """The imports behind the names that the code of a graph counts on."""
    for name, value in names.items():
        if name == "torch":
            continue
        if name in ("inf", "nan"):
            yield f"from math import {name}"
        elif name == "device":
            yield "from torch import device"
        elif getattr(value, "__module__", "") == "_operator" and value.__name__ == name:
            yield f"from operator import {name}"
        else:
            raise Unsayable(f"the program calls {name}, which is no operator of PyTorch")


def _arguments(program: Any) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """The inputs of the forward, the lines that read what else the graph takes, and constants as text."""
    from torch.export.graph_signature import InputKind, TensorArgument

    given: list[str] = []
    read: list[str] = []
    constants: list[tuple[str, str]] = []
    held = 0
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            if isinstance(spec.arg, TensorArgument):
                given.append(name)
            else:
                read.append(f"{name} = {getattr(spec.arg, 'value', None)!r}")
        elif spec.kind is InputKind.PARAMETER:
            read.append(f"{name} = self.model.get_parameter({spec.target!r})")
        elif spec.kind is InputKind.BUFFER and (spec.persistent or spec.target in program.state_dict):
            read.append(f"{name} = self.model.get_buffer({spec.target!r})")
        elif spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            text = _constant(program.constants[spec.target])
            held += len(text)
            if held > LARGEST:
                raise Unsayable("its constants are too large to be written out")
            constants.append((name, text))
            read.append(f"{name} = self.{name}")
        else:
            raise Unsayable(f"it takes {spec.target}, which is no tensor")
    return given, read, constants


def _constant(tensor: Any) -> str:
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise Unsayable("it takes a constant that is no tensor")
    whole = tensor.detach().contiguous()
    data = whole.reshape(-1).view(torch.uint8).numpy().tobytes() if whole.numel() else b""
    packed = base64.b85encode(zlib.compress(data, 9)).decode()
    if len(packed) <= _WIDTH // 2:
        said = repr(packed)
    else:
        pieces = [packed[start : start + _WIDTH] for start in range(0, len(packed), _WIDTH)]
        said = "(\n" + "".join(f"            {piece!r}\n" for piece in pieces) + "        )"
    return f"constant({list(whole.shape)}, {whole.dtype}, {said})"


def _with_writes(body: Sequence[str], program: Any) -> Iterator[str]:
    """The lines of the graph, its last one without what it writes to buffers, which are written before."""
    from torch.export.graph_signature import OutputKind

    last = next(node for node in program.graph.nodes if node.op == "output")
    specs = program.graph_signature.output_specs
    if len(specs) != len(last.args[0]):
        raise Unsayable("an output of it is no tensor")
    yield from body[:-1]
    returned = []
    for spec, value in zip(specs, last.args[0], strict=True):
        if spec.kind is OutputKind.BUFFER_MUTATION:
            yield f"self.model.get_buffer({spec.target!r}).copy_({value})"
        elif spec.kind is OutputKind.USER_OUTPUT:
            returned.append(str(value))
        else:
            raise Unsayable(f"it writes to {spec.target}, which is no buffer")
    yield f"return ({', '.join(returned)},)"
