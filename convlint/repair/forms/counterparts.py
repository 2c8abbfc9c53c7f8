"""What the forms have in common: a tensor that is carried, a call on such tensors, a table of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convlint.rewrites.table import NotApplicable


@dataclass(frozen=True, slots=True)
class Carrier:
    """What stands for one tensor: the nodes (in a trace: the tensors) that carry it, and its shape."""

    parts: tuple[Any, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the program. Where a tensor of its arguments is carried, its carrier stands there."""

    node: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def op(self) -> str:
        """The name of the overload, such as ``aten.mul.Tensor``."""
        return str(self.node.target)

    @property
    def target(self) -> Any:
        """The overload itself."""
        return self.node.target

    @property
    def value(self) -> Any:
        """What the call returns in the program: tensors without data."""
        return self.node.meta["val"]

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by the name that it has in the schema."""
        position = next(
            (at for at, each in enumerate(self.target._schema.arguments) if each.name == name), None
        )
        if position is not None and position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def without(self, *names: str) -> dict[str, Any]:
        """The keyword arguments but for these."""
        return {name: value for name, value in self.kwargs.items() if name not in names}


Counterpart = Callable[[Call], Any]
"""Gives what the call gives: a tensor where the result needs no carrier, else its carrier."""


class Counterparts:
    """The table of one form: for the name of an op, the function that does it on carriers."""

    def __init__(self, missing: str) -> None:
        """``missing`` says what an op without an entry lacks."""
        self.missing = missing
        self.by_name: dict[str, Counterpart] = {}
        self.of_pointwise: Counterpart | None = None

    def register(self, *names: str) -> Callable[[Counterpart], Counterpart]:
        """Enter the function below for these ops; a name that ends in a dot means all overloads."""

        def enter(function: Counterpart) -> Counterpart:
            self.by_name.update(dict.fromkeys(names, function))
            return function

        return enter

    def register_pointwise(self, function: Counterpart) -> Counterpart:
        """Enter ``function`` for every op that treats each element alone and has no entry of its own."""
        self.of_pointwise = function
        return function

    def find(self, target: Any) -> Counterpart | None:
        """The function for an overload, or None."""
        import torch

        op = str(target)
        function = self.by_name.get(op) or self.by_name.get(f"{op.rpartition('.')[0]}.")
        if function is None and torch.Tag.pointwise in getattr(target, "tags", ()):
            return self.of_pointwise
        return function

    def __call__(self, call: Call) -> Any:
        """``call`` done on carriers. Raises :class:`NotApplicable` where the table has nothing for it."""
        function = self.find(call.target)
        if function is None:
            raise NotApplicable(f"{call.op} has no counterpart {self.missing}")
        return function(call)
