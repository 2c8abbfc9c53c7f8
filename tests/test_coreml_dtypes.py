"""The dtypes that tensors really have in Core ML, followed through the graph."""

from __future__ import annotations

from typing import Any

import pytest

from convlint.coreml_dtypes import coreml_dtypes, with_dtypes
from convlint.model import OpCall, TensorArg, TensorMeta
from convlint.versions import parse_release


def tensor(name: str, dtype: str, const: bool = False) -> TensorArg:
    return TensorArg(name, TensorMeta((3,), dtype), "input", const)


def call(op: str, out: str, **args: Any) -> OpCall:
    name = op.split(".")[1]
    meta = TensorMeta((3,), out)
    return OpCall(op, name, args, tuple(args), len(args), (), (meta,), (0,), (), False, None)


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
    ],
)
def test_a_converter_that_ignores_the_dtype(made: OpCall, release: str, expected: str | None) -> None:
    assert coreml_dtypes([made], parse_release(release)).get(made.name) == expected


def test_an_unusual_dtype_is_handed_on_until_a_cast() -> None:
    made = coreml_dtypes(
        [
            call("aten.zeros.default", "int64", size=(3,)),
            call("aten.view.default", "int64", self=tensor("zeros", "int64"), size=(3, 1)),
            call("aten.add.Tensor", "int64", self=tensor("view", "int64"), other=1, alpha=1),
            call("aten._to_copy.default", "int64", self=tensor("add", "int64"), dtype="int64"),
            call("aten.clone.default", "int64", self=tensor("_to_copy", "int64")),
        ],
        parse_release("9.0"),
    )
    assert made == {"zeros": "fp32", "view": "fp32", "add": "fp32"}


def test_the_tensors_of_an_argument_are_told_theirs() -> None:
    one, other = tensor("zeros", "bool"), tensor("x", "bool")
    told = with_dtypes((None, (one, other), 3), {"zeros": "fp32"})
    assert [item.coreml for item in told[1]] == ["fp32", ""]
    assert told[0] is None
    assert told[2] == 3
