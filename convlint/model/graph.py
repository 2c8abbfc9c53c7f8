"""The captured model: its op calls in order, its inputs and outputs, each with its line of source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Origin = Literal["input", "parameter", "buffer", "constant", "computed"]


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """Shape and dtype of a tensor. A dimension is an int, or the text of a symbolic size."""

    shape: tuple[int | str, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{'x'.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class TensorArg:
    """A tensor argument of an op: what it is, and where it comes from.

    ``const`` says that the tensor depends on no input of the model, so that a converter may know its value;
    ``value`` is the number in all its entries, where the capture knows one, and "varied" where they are
    known to differ. ``call`` names the op call that made it, and ``output`` says which of its outputs it is.
    ``coreml`` is its dtype in Core ML where that is not the usual one for its dtype in PyTorch.
    ``fill`` is the largest number that the model itself writes into it (``torch.full``, ``masked_fill``).
    """

    name: str
    meta: TensorMeta
    origin: Origin
    const: bool
    producer: str = ""
    value: bool | int | float | str | None = None
    call: str = ""
    output: int = 0
    coreml: str = ""
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A line of source. ``line`` starts at 1; torch gives no columns."""

    path: str
    line: int
    source: str = ""
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class OpCall:
    """One ATen call of the captured graph, with its arguments bound by schema name.

    ``args`` holds every argument of the schema, with defaults filled in; tensors are :class:`TensorArg`,
    lists are tuples. ``given`` names the arguments that are written in the graph: the export frontend of
    coremltools counts them. ``positional`` is how many of those are written without a keyword. ``outputs``
    has one entry for each output of the op (None for one that is not a tensor), ``used_outputs`` the indices
    of those that something reads. ``caller`` is the first line inside the user's own project, where ``site``
    lies in a library.
    """

    op: str
    name: str
    args: Mapping[str, Any]
    given: tuple[str, ...]
    positional: int
    inputs: tuple[TensorMeta, ...]
    outputs: tuple[TensorMeta | None, ...]
    used_outputs: tuple[int, ...]
    users: tuple[str, ...]
    const: bool
    site: Site | None
    caller: Site | None = None
    module: str = ""
    module_type: str = ""

    @property
    def out(self) -> TensorMeta | None:
        return self.outputs[0] if self.outputs else None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of the captured model, by its name in the graph.

    ``permuted``: its axes are not in order in memory, as after a transposition. ``used``: some op reads this
    input. ``const``: this output depends on no input. ``same_as`` names the input, or the earlier output,
    whose values this output passes on unchanged, once passes have removed ops without effect. ``flexible``
    says how the sizes of this input were declared, ``shape_count`` how many shapes an enumeration has, and
    ``image`` is the layout of a picture ("rgb", "bgr", "gray", "gray16"). ``normalisation`` is the declared
    form of its mean and std: "", "one scale" or "std for each channel". ``readers`` are the ops that read
    this input, ``producer`` is the op that made this output. ``path`` is how Python reaches it in the
    arguments or the result of ``forward``: ``['boxes'][0]``. ``initial`` is the content of a state before
    the first run: "zeros", "other", or "" for unknown.
    """

    name: str
    kind: str
    meta: TensorMeta | None
    mutated: bool = False
    alias_of: str = ""
    permuted: bool = False
    used: bool = True
    const: bool = False
    same_as: str = ""
    flexible: Literal["", "range", "enumerated"] = ""
    shape_count: int = 1
    image: str = ""
    normalisation: Literal["", "one scale", "std for each channel"] = ""
    readers: tuple[str, ...] = ()
    producer: str = ""
    path: str = ""
    initial: Literal["", "zeros", "other"] = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The captured model: its op calls in order, its inputs and outputs; ``sparse`` names sparse buffers."""

    calls: tuple[OpCall, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameter_count: int = 0
    parameter_bytes: int = 0
    sparse: tuple[str, ...] = ()

    @property
    def tensor_calls(self) -> tuple[OpCall, ...]:
        """The calls that return a tensor; the others compute sizes, or are assertions of torch."""
        return tuple(call for call in self.calls if call.out is not None)
