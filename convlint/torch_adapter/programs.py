"""Exported programs made anew, and the nested values that they take and give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def aten_program(program: Any, graph_module: Any, signature: Any, constants: Any = None) -> Any:
    """``program`` with another graph and signature, and other constants if given, in the ATen dialect."""
    from torch.export import ExportedProgram

    return ExportedProgram(
        root=graph_module,
        graph=graph_module.graph,
        graph_signature=signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants=program.constants if constants is None else constants,
    )


def with_interface(program: Any, in_spec: Any, out_spec: Any, more: Mapping[str, Any]) -> Any:
    """``program`` whose arguments and results are nested otherwise, with ``more`` keyword arguments."""
    from dataclasses import replace

    from torch.export import ExportedProgram

    first, *others = program.module_call_graph
    assert first.fqn == ""
    example: tuple[tuple[Any, ...], dict[str, Any]] | None = program.example_inputs
    args, kwargs = example or ((), {})
    return ExportedProgram(
        root=program.graph_module,
        graph=program.graph,
        graph_signature=program.graph_signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=[
            replace(first, signature=replace(first.signature, in_spec=in_spec, out_spec=out_spec)),
            *others,
        ],
        example_inputs=(args, {**kwargs, **more}),
        constants=program.constants,
    )


def child_spec(spec: Any, index: int) -> Any:
    """The structure of one child of a pytree's; releases before 2.9 have the list alone."""
    return spec.child(index) if hasattr(spec, "child") else spec.children_specs[index]


@contextmanager
def registered_dataclasses(values: Any) -> Iterator[tuple[str, ...]]:
    """While open, torch takes the dataclasses among ``values`` apart, as those that were registered with it.

    Yields the names of those that it did not know.
    """
    import dataclasses

    import torch
    from torch.utils import _pytree as pytree

    kinds: list[type] = []

    def look(value: Any) -> None:
        for leaf in pytree.tree_leaves(value):
            kind = type(leaf)
            if not dataclasses.is_dataclass(leaf) or kind in pytree.SUPPORTED_NODES:
                continue
            try:
                torch.export.register_dataclass(kind, serialized_type_name=f"convlint.{id(kind)}")
            except Exception:  # a class with fields that its constructor does not take: left as it is
                continue
            kinds.append(kind)
            look([getattr(leaf, field.name) for field in dataclasses.fields(leaf)])

    look(values)
    try:
        yield tuple(kind.__qualname__ for kind in kinds)
    finally:
        for kind in kinds:
            pytree._deregister_pytree_node(kind)
