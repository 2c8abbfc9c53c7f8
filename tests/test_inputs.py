"""Input specs: every form, every mistake, and the tensors that come of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlint.errors import UsageError
from convlint.inputs import _ALIASES, DTYPES, InputSpec, make_tensors, parse_input, parse_inputs, spec_of


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", InputSpec(None, (1, 3, 224, 224), "float32")),
        ("image=1x3x512x512:float32", InputSpec("image", (1, 3, 512, 512), "float32")),
        ("input_ids=1x64:int64", InputSpec("input_ids", (1, 64), "int64")),
        ("5", InputSpec(None, (5,), "float32")),
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
        ("1,3,224", "joined by 'x': 1x3x224"),
        ("(1, 3, 224)", "joined by 'x': 1x3x224"),
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
