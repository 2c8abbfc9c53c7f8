"""What each helper file holds beside its functions: this text, from the line below the tables on.

It is written into users' projects and runs there without convlint. Nothing in convlint imports it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_OVERLOADS: dict[str, Any] = {}
_NAMES: dict[str, str] = {}
_NESTED = False
# What follows is written into helper files.


class NotApplicable(Exception):
    """A helper does not fit these arguments; PyTorch's own function is called then."""


class FixesSize(NotApplicable):
    """A helper needs the number of a size that is dynamic."""


def need_numbers(*sizes: Any) -> None:
    """Raise where one of the sizes that a helper counts on has no number yet."""
    if not all(isinstance(size, int) for size in sizes):
        raise FixesSize


@contextlib.contextmanager
def _real_tensors() -> Iterator[None]:
    """While open, inside a trace, tensors are real and what is done with them is not traced."""
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

    state, set_state = torch._C._get_tracing_state(), torch._C._set_tracing_state  # type: ignore[attr-defined]
    if state is not None:
        set_state(None)
    try:
        with unset_fake_temporarily(), disable_proxy_modes_tracing():
            yield
    finally:
        if state is not None:
            set_state(state)


def _tensor(data: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A constant: the same as ``torch.tensor``, and in a trace a constant too."""
    with _real_tensors():
        return torch.tensor(data, dtype=dtype)


# ---- the functions of PyTorch, by the names that PyTorch gives them ----


def _call(key: str, original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What the first helper that takes these arguments computes; else what ``original`` does."""
    if _is_compiled():
        return original(*args, **kwargs)
    with _Convertible(key) if _NESTED else contextlib.nullcontext():
        result = _tried(key, args, kwargs)
    return original(*args, **kwargs) if result is NotImplemented else result


def _through(original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function or a layer that PyTorch writes in Python computes, with helpers for what it calls."""
    with contextlib.nullcontext() if torch.compiler.is_dynamo_compiling() else convertible():
        return original(*args, **kwargs)


def _write(key: str, original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What ``original`` does, which writes into its first argument, with what the helper computes."""
    if _is_compiled() or not args or not isinstance(args[0], torch.Tensor):
        return original(*args, **kwargs)
    with _Convertible(key) if _NESTED else contextlib.nullcontext():
        result = _tried(key, (args[0].clone(), *args[1:]), kwargs)  # a gradient may need what stood there
    return _written(original, result, args, kwargs)


def _written(
    original: Callable[..., Any], result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    own = args[0]
    if result is NotImplemented or result.shape != own.shape or not torch.can_cast(result.dtype, own.dtype):
        return original(*args, **kwargs)
    return own.copy_(result)


def _is_compiled() -> bool:
    """Whether torch.compile reads this: it knows PyTorch's own functions best, and has no use for helpers."""
    return torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting()


def _composed(name: str, *args: Any, **kwargs: Any) -> Any:
    """What PyTorch itself composes the op ``name`` of."""
    from torch._decomp import decomposition_table

    function = decomposition_table.get(_op(name), _op(name).decompose)
    result = function(*args, **kwargs)
    if result is NotImplemented:
        raise NotApplicable
    return result


def _tried(key: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What the first helper that takes these arguments computes; NotImplemented where none does."""
    for function, positional, named, _ in _OVERLOADS[key]:
        bound = _bound(positional, named, args, kwargs) if positional is not None else None
        if bound is None:
            continue
        try:
            with _device_of(bound[0]):
                result = function(*bound[0], **bound[1])
        except (NotApplicable, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            continue  # PyTorch's own function says what is wrong, if anything is
        named_tuple = getattr(torch.return_types, key, None)  # result.values, result.indices
        return named_tuple(result) if named_tuple is not None and isinstance(result, tuple) else result
    return NotImplemented


def _device_of(args: Sequence[Any]) -> Any:
    """What makes new tensors on the device of the arguments."""
    for value in args:
        if isinstance(value, torch.Tensor):
            return contextlib.nullcontext() if value.device.type == "cpu" else value.device
    return contextlib.nullcontext()


_SPELLINGS = {"input": "self", "axis": "dim", "keepdims": "keepdim", "x1": "self", "x2": "other"}
_NEEDED = ...


def _bound(
    positional: Sequence[Any], named: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments of a call as the schema of an overload has them; None where they are not its own."""
    takes_any = len(positional) > 1 and "List[int]" in positional[1][1] and positional[1][2] == 0
    if takes_any and len(args) > 1 and all(_is_number(each) for each in args[1:]):
        args = (args[0], list(args[1:]))  # x.flip(0, 1)
    if len(args) > len(positional):
        return None
    known = {parameter[0] for parameter in (*positional, *named)}
    words = {name if name in known else _SPELLINGS.get(name, name): value for name, value in kwargs.items()}
    if not set(words) <= known:
        return None
    values: list[Any] = []
    last = 0
    for number, (name, kind, length, default) in enumerate(positional):
        is_given = number < len(args) or name in words
        if (number < len(args) and name in words) or (not is_given and default is _NEEDED):
            return None
        value = args[number] if number < len(args) else words.pop(name, default)
        if is_given:
            last = number + 1
            if not _fits(value, kind, length) or (number == 0 and kind == "Tensor" and _is_number(value)):
                return None
            if "List[" in kind and _is_number(value):
                value = [value] * max(length, 1)
        values.append(value)
    for name, kind, length, default in named:
        if name not in words and default is _NEEDED:
            return None
        if name in words and not _fits(words[name], kind, length):
            return None
    return values[:last], words


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, torch.SymInt, torch.SymFloat))


def _fits(value: Any, kind: str, length: int) -> bool:
    """Whether PyTorch takes ``value`` for an argument of this kind."""
    if value is None:
        return "Optional" in kind
    kind = kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind
    if kind == "Tensor":
        return isinstance(value, torch.Tensor) or _is_number(value)
    if kind == "int":
        return isinstance(value, (int, torch.SymInt)) and not isinstance(value, bool)
    if kind in ("float", "number"):
        return _is_number(value)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    if kind.startswith("List["):
        inside = kind.removeprefix("List[").removesuffix("]")
        if isinstance(value, (list, tuple)):
            return all(_fits(each, inside, 0) for each in value)
        return length > 0 and inside != "Tensor" and _fits(value, inside, 0)
    return not isinstance(value, torch.Tensor)


# ---- the same for lines that are not to be edited ----


def convertible() -> TorchFunctionMode:
    """A context in which PyTorch's functions, methods and operators are the helpers of this file.

    with convertible():
        program = torch.export.export(model, inputs)  # or torch.jit.trace
    """
    return _Convertible()


class _Convertible(TorchFunctionMode):
    def __init__(self, *busy: str) -> None:
        super().__init__()
        self._busy: set[Any] = set(busy)

    def __torch_function__(
        self, func: Any, classes: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_dynamo_compiling():  # it follows none of what is asked below
            return func(*args, **kwargs)
        inside = inspect.unwrap(func)
        name = getattr(inside, "__name__", "")
        is_python = isinstance(inside, types.FunctionType)
        busy = func if is_python else _NAMES.get(name, func)
        if busy in self._busy:  # a helper calls what it stands for
            return func(*args, **kwargs)
        self._busy.add(busy)
        try:
            if is_python:
                if inside.__module__ not in _OPENED:
                    return func(*args, **kwargs)
                with self:
                    return _opened(inside)(*args, **kwargs)
            if name == "__getitem__":
                return _item(func, *args)
            if name in ("bool", "to", "type") and "_to_copy" in _OVERLOADS:
                return _as_bool(func, name, args, kwargs)
            in_place = name.endswith("_") and not name.endswith("__")
            key = _NAMES.get(name.removesuffix("_") if in_place else name, "")
            if not key:
                return func(*args, **kwargs)
            with self:
                result = _tried(key, args, kwargs)
            if in_place:
                return _written(func, result, args, kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        finally:
            self._busy.discard(busy)


_OPENED = ("torch.functional", "torch.nn.functional", "torch._tensor")
"""Modules whose functions are Python: what they call is looked at, one by one."""


@functools.cache
def _opened(function: Any) -> Any:
    """The function without its first question, which would hand the call out again."""
    asks = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    scope = {**function.__globals__, **dict.fromkeys(asks, lambda *tensors: False)}
    twin = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _places(tensor: Any) -> Any:
    """``tensor``, or where it is one, what is indexed like it by the helpers of ``tensor[places]``."""
    return _Places(tensor) if isinstance(tensor, torch.Tensor) and not _is_compiled() else tensor


class _Places:
    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def __getitem__(self, key: Any) -> Any:
        return _item(operator.getitem, self._tensor, key)


def _item(original: Any, tensor: Any, key: Any) -> Any:
    """``tensor[key]``: slices of everything left out, a list of places by its helper."""
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(tensor, torch.Tensor):
        return original(tensor, key)
    everything = [isinstance(each, slice) and each == slice(None) for each in keys]
    if (
        ("slice" in _OVERLOADS or "alias" in _OVERLOADS)
        and len(keys) <= tensor.dim()
        and all(_is_basic(each) for each in keys)
    ):
        return _sliced(tensor, keys)
    places = [each for each, is_all in zip(keys, everything, strict=True) if not is_all]
    if "index" in _OVERLOADS and all(
        isinstance(each, torch.Tensor) and each.dtype is not torch.bool for each in places
    ):
        indices = [None if is_all else each for each, is_all in zip(keys, everything, strict=True)]
        result = _tried("index", (tensor, indices), {})
        return original(tensor, key) if result is NotImplemented else result
    return original(tensor, key)


def _is_basic(key: Any) -> bool:
    return isinstance(key, slice) or (isinstance(key, int) and not isinstance(key, bool))


def _sliced(tensor: Any, keys: Sequence[Any]) -> Any:
    """Axis by axis, from the last on, without the slices that take everything."""
    for axis in reversed(range(len(keys))):
        key, size = keys[axis], tensor.shape[axis]
        if not isinstance(key, slice):
            tensor = tensor.select(axis, key)
            continue
        bounds = (key.start, key.stop, size)
        known = all(bound is None or isinstance(bound, int) for bound in bounds)
        if key == slice(None) or (known and range(*key.indices(size)) == range(size)):
            continue
        tensor = torch.ops.aten.slice.Tensor(tensor, axis, key.start, key.stop, key.step or 1)
    return tensor


def _as_bool(original: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A cast to booleans as a comparison; other casts as they are."""
    wanted = name == "bool" or torch.bool in (*args[1:], kwargs.get("dtype"))
    if wanted and len(args) <= 2 and set(kwargs) <= {"dtype"} and args[0].dtype is not torch.bool:
        return args[0] != 0
    return original(*args, **kwargs)


def decompositions() -> dict[Any, Callable[..., Any]]:
    """The helpers by op, for the program that torch.export gives: what is called below Python too.

    program = program.run_decompositions(decompositions())
    """
    table: dict[Any, Callable[..., Any]] = {}
    for overloads in _OVERLOADS.values():
        for _, _, _, ops in overloads:
            for op in ops:
                table.setdefault(_op(op), functools.partial(_decomposed, _op(op)))
    return table


def _op(name: str) -> Any:
    """The op that PyTorch calls ``aten.median.dim``."""
    return functools.reduce(getattr, name.split("."), torch.ops)


_IN_PROGRESS: set[str] = set()


def _decomposed(op: Any, *args: Any, **kwargs: Any) -> Any:
    """What the first helper of an op gives; the op itself where none fits, and inside of its own helper."""
    name = str(op)
    if name in _IN_PROGRESS:
        return NotImplemented
    _IN_PROGRESS.add(name)
    try:
        for overloads in _OVERLOADS.values():
            for function, _, _, ops in overloads:
                if name in ops:
                    with contextlib.suppress(NotApplicable):
                        return function(*args, **kwargs)
        return NotImplemented
    finally:
        _IN_PROGRESS.discard(name)
