"""Input specs: every form, every mistake, and the tensors that come of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlint import check
from convlint.errors import ModelError, UsageError
from convlint.interface.inputs import (
    _ALIASES,
    DTYPES,
    InputSpec,
    make_tensors,
    parse_input,
    parse_inputs,
    spec_of,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", InputSpec(None, (1, 3, 224, 224), "float32")),
        ("image=1x3x512x512:float32", InputSpec("image", (1, 3, 512, 512), "float32")),
        ("input_ids=1x64:int64", InputSpec("input_ids", (1, 64), "int64")),
        ("5", InputSpec(None, (5,), "float32")),
        ("1,3,224,224", InputSpec(None, (1, 3, 224, 224), "float32")),
        ("x=(1, 64):int64", InputSpec("x", (1, 64), "int64")),
        ("[1, 3]", InputSpec(None, (1, 3), "float32")),
        ("()", InputSpec(None, (), "float32")),
        ("scalar", InputSpec(None, (), "float32")),
        ("flag=():bool", InputSpec("flag", (), "bool")),
        (" mask = 1x4 : torch.half ", InputSpec("mask", (1, 4), "float16")),
    ],
)
def test_a_spec_is_read(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no shape"),
        ("image=", "no shape"),
        (":float32", "no shape"),
        ("0x3", "size 0 must be above 0"),
        ("1x-3", "size -3 must be above 0"),
        ("99999999999x1", "at most"),
        ("1x3:flaot32", "Did you mean float32?"),
        ("1x3:", "no dtype"),
        ("a=b=1x3", "more than one '='"),
        ("=1x3", "cannot be the name"),
        ("class=1x3", "cannot be the name"),
        ("in put=1x3", "cannot be the name"),
        ("1x", "a size is missing"),
        ("1xx3", "a size is missing"),
        ("1x3.5", "'3.5' is not a size"),
        ("1x٣", "is not a size"),
        ("(1, 3, 224", "joined by 'x': 1x3x224"),
        ("1X3", "joined by 'x': 1x3"),
        ("banana", "is not a size"),
    ],
)
def test_a_mistake_is_told_with_an_example(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_input(text)
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)
    assert "1x3x224x224" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_no_text_does_worse_than_a_usage_error(text: str) -> None:
    try:
        spec = parse_input(text)
    except UsageError:
        return
    assert parse_input(str(spec)) == spec


def test_the_same_name_twice_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="two inputs are named 'x'"):
        parse_inputs(["x=1x3", "x=1x4"])


def test_dtypes_are_those_of_torch() -> None:
    of_torch = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    own_names = {str(value).removeprefix("torch.") for value in of_torch.values()}
    assert own_names <= set(DTYPES), "a dtype of torch is missing in DTYPES"
    assert {
        name: str(value).removeprefix("torch.") for name, value in of_torch.items() if name not in own_names
    }.items() <= _ALIASES.items()


def test_named_inputs_are_keywords_even_when_they_come_first() -> None:
    args, kwargs = make_tensors(parse_inputs(["mask=1x4:bool", "1x3", "2x2:int32"]))
    assert [tuple(arg.shape) for arg in args] == [(1, 3), (2, 2)]
    assert list(kwargs) == ["mask"]
    assert kwargs["mask"].all()


def test_tensors_are_plausible_and_the_same_each_time() -> None:
    specs = parse_inputs(["4x4", "4x4", "3:int64", "2:complex64", "2:bfloat16", "()"])
    first, _ = make_tensors(specs)
    again, _ = make_tensors(specs)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert first[2].tolist() == [0, 0, 0]
    assert [str(tensor.dtype) for tensor in first] == [f"torch.{spec.dtype}" for spec in specs]


@pytest.mark.parametrize("dtype", [name for name in DTYPES if hasattr(torch, name)])
@pytest.mark.filterwarnings("ignore")
def test_every_dtype_gives_a_tensor(dtype: str) -> None:
    (tensor,), _ = make_tensors([InputSpec(None, (2,), dtype)])
    assert spec_of(tensor) == InputSpec(None, (2,), dtype)


def test_a_factory_decides_what_a_tensor_is() -> None:
    args, kwargs = make_tensors(
        parse_inputs(["1x3", "y=2"]), lambda spec: torch.empty(spec.shape, device="meta")
    )
    assert args[0].is_meta
    assert kwargs["y"].is_meta


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("lengths=1:int64=100", 100, 100),
        ("1:int64=100", 100, 100),
        ("ids=1x64:int64<32000", 0, 31999),
        ("ids=1x64:int32=5..9", 5, 9),
        ("mask=2x3:bool=0..1", 0, 1),
        ("t=1:float32=0.5", 0.5, 0.5),
        ("t=40:float16=-1..1", -1.0, 1.0),
    ],
)
def test_values_and_ranges_are_held_and_written_as_they_are_read(text: str, low: float, high: float) -> None:
    spec = parse_input(text)
    assert parse_input(str(spec)) == spec
    args, kwargs = make_tensors([spec])
    (tensor,) = (*args, *kwargs.values())
    assert tuple(tensor.shape) == spec.shape
    assert str(tensor.dtype) == f"torch.{spec.dtype}"
    values = tensor.double()
    assert low <= float(values.min())
    assert float(values.max()) <= high
    if low == high:
        assert float(values.min()) == low
    elif tensor.numel() > 5:
        assert len(values.unique()) > 1


def test_listed_values_stand_in_their_order() -> None:
    (tensor,), _ = make_tensors([parse_input("2x2:int64=10,6,3,1")])
    assert tensor.tolist() == [[10, 6], [3, 1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3:int64=1,2", "it lists 2 values for 3 elements"),
        ("3:int64=1.5", "'1.5' is not an integer"),
        ("3:int64=9..2", "the range 9..2 is reversed; write 2..9"),
        ("3:int64<0", "not including, a number above 0"),
        ("3:float32<4", "is for integers"),
        ("3:int64=many", "'many' is not a value; write =100, =10,6,3, =0..31999 or <32000"),
        ("[2..4]:int64=1,2", "a list of values fits one shape"),
        ("ids=1x64<9", "values follow a dtype"),
    ],
)
def test_wrong_values_say_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_input(text)
    assert says in str(caught.value)


class Packs(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(50, 4)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if int(lengths.min()) < 1:
            raise ValueError("lengths must be above 0")
        return self.table(ids)


def test_values_reach_the_model_and_an_error_says_that_integers_are_zeros() -> None:
    with pytest.raises(ModelError, match=r'Integers are zeros.*example_inputs=\["lengths=1:int64=100"\]'):
        check(Packs, ["ids=1x6:int64=1", "lengths=1:int64"], frontend="auto")
    report = check(Packs, ["ids=1x6:int64<50", "lengths=1:int64=6"], frontend="auto")
    assert report.graph is not None
    with pytest.raises(ModelError, match=r"forward takes \(ids"):
        check(Packs, ["idz=1x6:int64", "lengths=1:int64=6"], frontend="auto")


def test_a_mapping_given_as_the_inputs_is_keyword_arguments() -> None:
    from collections import UserDict

    batch = UserDict(ids=torch.zeros(1, 6, dtype=torch.int64), lengths=torch.tensor([6]))
    report = check(Packs, batch, frontend="auto")
    assert report.graph is not None
    assert len(report.graph.inputs) == 2
