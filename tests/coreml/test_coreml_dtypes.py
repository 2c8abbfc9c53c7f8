"""The dtypes that tensors really have in Core ML, followed through the graph."""

from __future__ import annotations

from typing import Any

import pytest

from convlint.coreml.dtypes import coreml_dtypes, with_dtypes
from convlint.coreml.versions import parse_release
from convlint.model import OpCall, Port, TensorArg, TensorMeta


def tensor(name: str, dtype: str, output: int = 0) -> TensorArg:
    """A tensor that the call of this name made, or the input of this name."""
    return TensorArg(f"{name}_{output}", TensorMeta((3,), dtype), "computed", False, call=name, output=output)


def call(op: str, *outs: str, **args: Any) -> OpCall:
    name = op.split(".")[1]
    metas = tuple(TensorMeta((3,), out) for out in outs)
    return OpCall(op, name, args, tuple(args), len(args), (), metas, (0,), (), False, None)


@pytest.mark.parametrize(
    ("made", "release", "expected"),
    [
        (call("aten.zeros.default", "bool", size=(3,), dtype="bool"), "9.0", "fp32"),
        (call("aten.zeros.default", "float32", size=(3,)), "9.0", None),
        (call("aten.new_zeros.default", "int64", self=tensor("x", "int64"), size=(3,)), "9.0", "fp32"),
        (call("aten.zeros_like.default", "bool", self=tensor("x", "int64"), dtype="bool"), "9.0", "int32"),
        (call("aten.ones_like.default", "bool", self=tensor("x", "int64"), dtype="bool"), "9.0", "fp32"),
        (call("aten.ones_like.default", "bool", self=tensor("x", "int64"), dtype="bool"), "9.1.dev1", None),
        (call("aten.full.default", "int64", size=(3,), fill_value=2, dtype=None), "9.0", "fp32"),
        (call("aten.full.default", "int64", size=(3,), fill_value=2, dtype="int64"), "9.0", None),
        (
            call("aten.full_like.default", "float32", self=tensor("x", "float32"), fill_value=2),
            "9.0",
            "int32",
        ),
        (call("aten.arange.start", "float32", start=0, end=3, dtype="float32"), "9.0", "int32"),
        (call("aten.arange.default", "int64", end=3), "9.0", None),
        (call("aten.fill.Scalar", "float32", self=tensor("x", "float32"), value=1), "9.0", "int32"),
        (
            call("aten.copy.default", "float32", self=tensor("x", "float32"), src=tensor("y", "int64")),
            "9.0",
            "int32",
        ),
        (
            call("aten.index_put.default", "bool", self=tensor("x", "bool"), indices=(tensor("i", "int64"),)),
            "9.0",
            "int32",
        ),
        (call("aten.sum.default", "int64", self=tensor("x", "bool")), "9.0", "fp32"),
        (call("aten.floor_divide.default", "int64", self=tensor("x", "int64"), other=2), "9.0", "fp32"),
        (call("aten.floor_divide.default", "int64", self=tensor("x", "int64"), other=2), "9.1.dev1", None),
        (call("aten.add.Tensor", "float32", self=tensor("x", "float32"), other=1), "9.0", None),
        (call("aten.mul.Tensor", "float16", self=tensor("x", "float16"), other=0.5), "9.0", "fp32"),
        (call("aten.mul.Tensor", "float16", self=tensor("x", "float16"), other=2), "9.0", None),
        (call("aten.div.Tensor", "float16", self=tensor("x", "float16"), other=2), "9.0", "fp32"),
        (
            call("aten.div.Tensor_mode", "int64", self=tensor("x", "int64"), other=2, rounding_mode="floor"),
            "9.1.dev1",
            None,
        ),
        (call("aten.pad.default", "int64", self=tensor("x", "int64"), pad=(1, 1)), "9.0", "fp32"),
        (call("aten.constant_pad_nd.default", "bool", self=tensor("x", "bool"), pad=(1, 1)), "9.0", "fp32"),
        (call("aten.eye.default", "int64", n=3, dtype="int64"), "9.0", "fp32"),
        (
            call("aten.linalg_vector_norm.default", "float32", self=tensor("x", "float32"), ord=0),
            "9.0",
            "int32",
        ),
        (
            call("aten.linalg_vector_norm.default", "float32", self=tensor("x", "float32"), ord=3.0),
            "9.0",
            None,
        ),
        (
            call("aten.clamp.default", "int64", self=tensor("x", "int64"), min=0, max=None),
            "9.0",
            "fp32",
        ),
        (call("aten.clamp.default", "int64", self=tensor("x", "int64"), min=0, max=9), "9.0", None),
        (call("aten.log.default", "float32", self=tensor("x", "int64")), "9.0", None),
        (call("aten.exp2.default", "float32", self=tensor("x", "int64")), "9.0", "int32"),
    ],
)
def test_a_converter_that_ignores_the_dtype(made: OpCall, release: str, expected: str | None) -> None:
    assert coreml_dtypes([made], parse_release(release)).get((made.name, 0)) == expected


def test_an_unusual_dtype_is_handed_on_until_a_cast() -> None:
    dtypes = coreml_dtypes(
        [
            call("aten.zeros.default", "int64", size=(3,)),
            call("aten.view.default", "int64", self=tensor("zeros", "int64"), size=(3, 1)),
            call("aten.add.Tensor", "int64", self=tensor("view", "int64"), other=1, alpha=1),
            call("aten._to_copy.default", "int64", self=tensor("add", "int64"), dtype="int64"),
            call("aten.clone.default", "int64", self=tensor("_to_copy", "int64")),
        ],
        parse_release("9.0"),
    )
    assert dtypes == {("zeros", 0): "fp32", ("view", 0): "fp32", ("add", 0): "fp32"}


def test_each_part_of_a_split_tensor_keeps_its_dtype() -> None:
    dtypes = coreml_dtypes(
        [
            call("aten.zeros.default", "int64", size=(3,)),
            call("aten.split.Tensor", "int64", "int64", self=tensor("zeros", "int64"), split_size=2),
            call("aten.neg.default", "int64", self=tensor("split", "int64", output=1)),
            call("aten.sort.default", "int64", "int64", self=tensor("neg", "int64")),
            call("aten.abs.default", "int64", self=tensor("sort", "int64", output=1)),
        ],
        parse_release("9.0"),
    )
    assert dtypes == {
        ("zeros", 0): "fp32",
        ("split", 0): "fp32",
        ("split", 1): "fp32",
        ("neg", 0): "fp32",
        ("sort", 0): "fp32",
    }


def test_an_input_of_16_bit_integers_becomes_an_int32() -> None:
    port = Port("x", "tensor", TensorMeta((3,), "int16"))
    tensor_arg = TensorArg("x", TensorMeta((3,), "int16"), "input", False)
    dtypes = coreml_dtypes(
        [call("aten.clone.default", "int16", self=tensor_arg)], parse_release("9.0"), [port]
    )
    assert dtypes == {("x", 0): "int32", ("clone", 0): "int32"}


def test_the_tensors_of_an_argument_are_told_theirs() -> None:
    one, other = tensor("zeros", "bool"), tensor("x", "bool")
    typed = with_dtypes((None, (one, other), 3), {("zeros", 0): "fp32"})
    assert [item.coreml for item in typed[1]] == ["fp32", ""]
    assert typed[0] is None
    assert typed[2] == 3
