"""What is read before a plan is made: recorded runs that write into what they read, ops without a module."""

from __future__ import annotations

from convlint.model import Graph, OpCall, TensorArg, TensorMeta
from convlint.placement.aten_reader import read_aten
from convlint.placement.operations import Operation, with_modules


def test_what_a_recorded_run_writes_into_zeros_is_planned() -> None:
    """A detector copies its pictures into a batch of zeros; what reads the batch depends on the input."""
    meta = TensorMeta((1, 3, 8, 8), "float32")

    def call(op: str, name: str, *reads: str) -> OpCall:
        tensors = {
            f"a{number}": TensorArg(read, meta, "computed", False, call=read)
            for number, read in enumerate(reads)
        }
        return OpCall(op, name, tensors, (), 0, (), (meta,), (0,), (), False, None)

    graph = Graph(
        (
            call("aten.relu.default", "relu", "x"),
            call("aten.new_full.default", "new_full", "relu"),
            call("aten.select.int", "select", "new_full"),
            call("aten.copy.default", "copy_", "select", "relu"),
            call("aten.sigmoid.default", "sigmoid", "new_full"),
        ),
        (),
        (),
    )
    assert [operation.name for operation in read_aten(graph)] == ["relu", "copy_", "sigmoid"]


def test_what_passes_made_anew_stands_with_its_readers() -> None:
    def made(name: str, *reads: int, module: str = "", op: str = "") -> Operation:
        return Operation("mul", name, (), (), reads, op=op, module=module)

    named = {"module": "blocks.1.attention", "op": "aten.scaled_dot_product_attention.default"}
    found = with_modules(
        [
            made("outside", op="aten.relu.default"),  # PyTorch's own, in no module
            made("scaled", 0),
            made("scores", 1),
            made("attention", 2, **named),
            made("shared", 0),
            made("other", 3, 4, module="blocks.1.mlp", op="aten.linear.default"),
            made("third", 4, module="blocks.0", op="aten.linear.default"),
            made("cast", 6),
        ]
    )
    modules = {operation.name: operation.module for operation in found}
    assert modules["outside"] == ""
    assert modules["scaled"] == modules["scores"] == "blocks.1.attention"
    assert modules["shared"] == "blocks"
    assert modules["cast"] == "", "nothing reads it"
