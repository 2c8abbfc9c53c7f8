"""Plans of recorded runs, whose ops may write into what they read."""

from __future__ import annotations

from convlint.model import Graph, OpCall, TensorArg, TensorMeta
from convlint.plan.aten_reader import read_aten


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
