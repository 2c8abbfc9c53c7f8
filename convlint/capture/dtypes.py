"""Ops that PyTorch refuses for their dtypes when it really runs them, and takes on tensors without data."""

from __future__ import annotations

from convlint.model import Graph, OpCall

_ONE_DTYPE = (
    "aten.linear.", "aten.matmul.", "aten.mm.", "aten.bmm.", "aten.addmm.", "aten.baddbmm.", "aten.conv",
    "aten.scaled_dot_product_attention.", "aten.layer_norm.", "aten.batch_norm.", "aten._native_batch_norm",
)  # fmt: skip
"""Ops whose operands must have one dtype. Fake tensors silently multiply integers by floats."""


def mixes_dtypes(graph: Graph) -> bool:
    """Whether an op has operands of dtypes that PyTorch may refuse to combine when it really runs."""
    return any(map(_mixes_dtypes, graph.calls))


def _mixes_dtypes(call: OpCall) -> bool:
    if call.op.startswith("aten.embedding."):  # a table of any dtype, and whole numbers as places in it
        return not call.inputs[-1].dtype.startswith("int")
    if call.op.startswith(_ONE_DTYPE):
        return len({meta.dtype for meta in call.inputs if meta.dtype != "bool"}) > 1
    return False
