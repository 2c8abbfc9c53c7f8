"""Buffers that hold a sparse tensor: coremltools reads every buffer through numpy, which has none.

It does so for those that ``forward`` never reads, too: openai-whisper keeps the attention heads that tell
the time of a word in one, and refuses to convert for that alone.
"""

from __future__ import annotations

from typing import Any

from convlint.capture.sparse import is_sparse
from convlint.model.applied import Applied
from convlint.repair.draft import Draft

LEFT_OUT = "left out: it is a sparse tensor, and forward never reads it"
MADE_DENSE = "made dense: coremltools reads no sparse tensor"


def with_dense_buffers(program: Any) -> tuple[Any, tuple[Applied, ...]]:
    """``program`` without sparse tensors, and what was done to each; as it was where that cannot be."""
    names = [
        spec.target
        for spec in program.graph_signature.input_specs
        if spec.target is not None and is_sparse(_stored(program, spec.target))
    ]
    if not names:
        return program, ()
    draft = Draft(program)
    applied = []
    for name in names:
        applied.append(Applied(f"buffer {name}", "dense", LEFT_OUT if _left_out(draft, name) else MADE_DENSE))
    try:
        _read_as_dense(draft)
        return draft.program(), tuple(applied)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):  # an op for sparse tensors alone
        return program, ()


def _stored(program: Any, name: str) -> Any:
    return program.constants.get(name, program.state_dict.get(name))


def _left_out(draft: Draft, name: str) -> bool:
    """Take the buffer out where nothing reads it, else put its dense values there; whether it is out."""
    specs = draft.signature.input_specs
    node = draft.nodes()[next(spec.arg.name for spec in specs if spec.target == name)]
    read = bool(node.users)
    if read:
        stored: Any = draft.constants.get(name, draft.state.get(name))
        dense = stored.detach().to_dense()
        node.replace_all_uses_with(draft.add_constant(dense))
    specs[:] = [spec for spec in specs if spec.target != name]
    draft.graph.erase_node(node)
    draft.constants.pop(name, None)
    return not read


def _read_as_dense(draft: Draft) -> None:
    """Leave out what made the values dense, and take the plain product for that of a sparse matrix."""
    import torch

    ops = torch.ops.aten
    for node in list(draft.graph.nodes):
        if node.target in (ops.to_dense.default, ops._to_dense.default):
            node.replace_all_uses_with(node.args[0])
            draft.graph.erase_node(node)
        elif node.target is ops._sparse_mm.default:
            node.target = ops.mm.default
    draft.settle()
