"""Dynamic sizes: their symbols, and what a trace takes for granted about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@contextmanager
def kept_sizes(mode: Any) -> Iterator[None]:
    """While open, whatever needs a dynamic size of this fake mode to be one number raises."""
    shapes = getattr(mode, "shape_env", None)
    if shapes is None:
        yield
        return
    if hasattr(shapes, "error_on_new_guards"):
        with shapes.error_on_new_guards():
            yield
        return

    def refused(condition: Any, value: Any) -> None:
        raise _SizeFixed(f"{condition} == {value}")

    shapes._check_frozen = refused  # asked before each guard in releases without the switch
    try:
        yield
    finally:
        del shapes._check_frozen


class _SizeFixed(RuntimeError):
    """A dynamic size was asked for its number, in releases of torch without an error of their own for it."""


def fixes_a_size(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that of :func:`kept_sizes`."""
    from torch.fx.experimental import symbolic_shapes

    kinds = (_SizeFixed, getattr(symbolic_shapes, "_ShapeEnvGuardError", _SizeFixed))
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False


def size_at(size: Any, sizes: Mapping[Any, int]) -> int:
    """A dynamic size where its symbols are these numbers."""
    return int(size.node.expr.subs(sizes))


def symbols_of(size: Any) -> list[Any]:
    """The symbols that a dynamic size is made of, in the order of their names."""
    return sorted(size.node.expr.free_symbols, key=str)


@dataclass(frozen=True, slots=True)
class SizeGuard:
    """Something that a trace took for granted about flexible sizes.

    ``condition`` is a sympy expression of the ``environment``'s symbols, ``stack`` is (path, line,
    function) from the outermost frame to the innermost.
    """

    condition: Any
    stack: tuple[tuple[str, int, str], ...]
    environment: Any


@contextmanager
def size_guards() -> Iterator[list[SizeGuard]]:
    """While open, collects every :class:`SizeGuard`, with the line of Python that asked for it.

    With ``Dim.AUTO`` torch.export keeps them to itself; with named dimensions it raises, and its message
    names no line.
    """
    import sys

    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    guards: list[SizeGuard] = []
    name = "_log_guard"
    original = getattr(ShapeEnv, name, None)
    if original is None:
        yield guards
        return

    def noted(self: Any, prefix: str, condition: Any, *args: Any, **kwargs: Any) -> Any:
        stack = []
        frame: Any = sys._getframe(1)
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        guards.append(SizeGuard(condition, tuple(reversed(stack)), self))
        return original(self, prefix, condition, *args, **kwargs)

    setattr(ShapeEnv, name, noted)
    try:
        yield guards
    finally:
        setattr(ShapeEnv, name, original)


def traced_symbols(environment: Any) -> list[tuple[Any, ...]]:
    """The sizes of each traced input, flattened: a sympy symbol, or a number where the size is fixed."""
    return [
        tuple(size if type(size) is int else size.node._expr for size in tracked.fake.shape)
        for tracked in environment.tracked_fakes or ()
    ]


def condition_holds(guard: SizeGuard, sizes: Mapping[Any, int]) -> bool:
    """Whether a condition holds with these numbers for its symbols; true where nobody can tell."""
    import sympy

    try:
        return bool(guard.condition.xreplace({symbol: sympy.Integer(size) for symbol, size in sizes.items()}))
    except (TypeError, ValueError, ZeroDivisionError):
        return True


def size_expression(size: Any) -> Any:
    """A size of a traced tensor as a number or a sympy expression."""
    if type(size) is int:
        return size
    expression = size.node.expr
    return int(expression) if expression.is_number else expression


def size_hint(size: Any) -> int:
    """The size that a symbolic one had in the example."""
    if type(size) is int:
        return size
    node = size.node
    hint = getattr(node, "hint", None)
    if hint is None:
        hint = node.shape_env.size_hint(node.expr, allow_none=True)
    if hint is None:
        raise ValueError(f"the size {size} has no example")
    return int(hint)
