"""Every entry of the tables of counterparts, beside the op itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from convlint.repair.forms import complex_pairs, low_rank, scalars
from convlint.repair.forms.counterparts import Call, Carrier, Counterpart, Counterparts
from convlint.rewrites.table import NotApplicable


def overload(op: str) -> Any:
    space, name, kind = op.split(".")
    return getattr(getattr(getattr(torch.ops, space), name), kind)


def called(counterparts: Counterpart, carry: Callable[[Any], Any], example: Any) -> tuple[Any, Any]:
    """What the op gives, and what its counterpart gives with the arguments carried."""
    op, args, kwargs = example
    wanted = overload(op)(*args, **kwargs)
    node = torch.fx.Graph().call_function(overload(op), args=(), kwargs={})
    node.meta["val"] = wanted
    carried = pytree.tree_map(carry, (args, kwargs))
    return wanted, counterparts(Call(node, *carried))


def check(
    counterparts: Counterpart,
    carry: Callable[[Any], Any],
    restore: Callable[[Carrier], torch.Tensor],
    example: Any,
) -> None:
    wanted, results = called(counterparts, carry, example)
    several = isinstance(wanted, (list, tuple))
    pairs = zip(wanted, results, strict=True) if several else [(wanted, results)]
    for one, other in pairs:
        assert isinstance(other, Carrier) == isinstance(carry(one), Carrier)
        if isinstance(other, Carrier):
            assert other.shape == tuple(one.shape)
            other = restore(other)
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


def uncovered(counterparts: Counterparts, examples: list[Any]) -> set[str]:
    """The entries of the table that no example goes through."""
    names = {op for op, *_ in examples} | {f"{op.rpartition('.')[0]}." for op, *_ in examples}
    return set(counterparts.by_name) - names


def example(op: str, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    return f"aten.{op}", args, kwargs


torch.manual_seed(0)
Z, W = torch.randn(3, 4, dtype=torch.complex64), torch.randn(3, 4, dtype=torch.complex64)
X, MATRIX = torch.randn(3, 4), torch.randn(4, 2)
SQUARE = torch.randn(2, 3, 3, dtype=torch.complex64)

SOUND, HANN = torch.randn(2, 96), torch.hann_window(16)
FRAMES, ALL = torch.randn(2, 9, 13, dtype=torch.complex64), torch.randn(16, 13, dtype=torch.complex64)
ROOT = HANN + 0.1

COMPLEX = [
    example("stft.default", SOUND, 16, 4, 16, HANN, False, True, True),
    example("stft.default", SOUND[0], 16, None, None, None, True, False, True),
    example("stft.default", SOUND, 16, 5, 12, HANN[:12], False, None, True),
    example("stft.default", SOUND, 15, 4, None, None, False, True, True),
    example("stft.center", SOUND, 16, 4, 16, HANN, True, "reflect", False, True, True),
    example("stft.center", SOUND, 16, 4, 16, HANN, True, "constant", True, True, True),
    example("stft.center", SOUND, 16, 4, 16, HANN, False, return_complex=True),
    example("stft.default", SOUND, 16, 4, 16, HANN, False, True, False),
    example("istft.default", FRAMES, 16, 4, 16, ROOT),
    example("istft.default", FRAMES[0], 16, None, None, None, True, True),
    example("istft.default", FRAMES, 16, 4, 16, ROOT, False),
    example("istft.default", FRAMES, 16, 5, 12, ROOT[:12], True, False, True),
    example("istft.default", FRAMES[:, :8], 15, 4, None, None, length=40),
    example("istft.default", FRAMES, 16, 4, 16, ROOT, length=70),
    example("istft.default", ALL, 16, 4, 16, ROOT, onesided=False),
    example("view_as_complex.default", torch.randn(3, 4, 2)),
    example("complex.default", X, X + 1),
    example("polar.default", X.abs(), X),
    example("view_as_real.default", Z),
    example("real.default", Z),
    example("imag.default", Z),
    example("abs.default", Z),
    example("angle.default", Z),
    example("conj.default", Z),
    example("_conj.default", Z),
    example("conj_physical.default", Z),
    example("_conj_physical.default", Z),
    example("exp.default", Z),
    example("view.default", Z, [4, 3]),
    example("_unsafe_view.default", Z, [4, 3]),
    example("reshape.default", Z, [2, 6]),
    example("unsqueeze.default", Z, 1),
    example("squeeze.dim", Z[:1], 0),
    example("squeeze.default", Z[:1]),
    example("permute.default", SQUARE, [2, 0, 1]),
    example("transpose.int", SQUARE, 0, 2),
    example("expand.default", Z, [2, 3, 4]),
    example("slice.Tensor", Z, 1, 1, 4, 2),
    example("select.int", Z, 0, 2),
    example("clone.default", Z),
    example("alias.default", Z),
    example("detach.default", Z),
    example("contiguous.default", Z.T),
    example("cat.default", [Z, W], 1),
    example("stack.default", [Z, W], 1),
    example("index_select.default", Z, 1, torch.tensor([2, 0])),
    example("index.Tensor", Z, [None, torch.tensor([2, 0])]),
    example("neg.default", Z),
    example("roll.default", Z, [1], [1]),
    example("flip.default", Z, [1]),
    example("sum.dim_IntList", Z, [1]),
    example("sum.default", Z, dtype=torch.complex64),
    example("mean.dim", Z, [0], True),
    example("repeat.default", Z, [2, 1]),
    example("split.Tensor", Z, 2, 1),
    example("split_with_sizes.default", Z, [1, 3], 1),
    example("unbind.int", Z, 1),
    example("narrow.default", Z, 1, 1, 2),
    example("constant_pad_nd.default", Z, [1, 2], 0),
    example("constant_pad_nd.default", Z, [1, 2], 3.0),
    example("pad.default", Z, [1, 2]),
    example("pad.default", Z, [1, 2], "constant", -2.0),
    example("pad.default", Z, [1, 2], "reflect"),
    example("lift_fresh_copy.default", Z),
    example("movedim.int", SQUARE, 0, 2),
    example("flatten.using_ints", SQUARE, 1, 2),
    example("unflatten.int", Z, 1, [2, 2]),
    example("t.default", Z),
    example("resolve_conj.default", Z),
    example("resolve_neg.default", Z),
    example("fft_fftshift.default", Z, [1]),
    example("fft_ifftshift.default", Z),
    example("_to_copy.default", Z, dtype=torch.complex128),
    example("to.dtype", Z, torch.complex128),
    example("where.self", X > 0, Z, W),
    example("mul.Tensor", Z, W),
    example("mul.Tensor", Z, X),
    example("mul.Tensor", X, Z),
    example("mul.Tensor", Z, 2.0),
    example("mul.Tensor", Z, 2.0 + 1.0j),
    example("mm.default", Z, W.T),
    example("bmm.default", SQUARE, SQUARE),
    example("matmul.default", SQUARE, Z[:, :1]),
    example("add.Tensor", Z, W),
    example("add.Tensor", Z, X, alpha=2),
    example("add.Tensor", Z, 1.0j),
    example("sub.Tensor", Z, W, alpha=3),
    example("sub.Tensor", X, W),
    example("div.Tensor", Z, W),
    example("div.Tensor", X, W),
    example("div.Tensor", Z, X + 5),
    example("div.Tensor", Z, 2.0),
    example("div.Tensor", Z, 1.0 + 2.0j),
    example("reciprocal.default", Z),
    example("fft_fft.default", Z),
    example("fft_fft.default", X, 6, 0, "ortho"),
    example("fft_fft.default", Z, 2),
    example("fft_ifft.default", Z, None, 0, "forward"),
    example("fft_ifft.default", Z),
    example("fft_rfft.default", X),
    example("fft_rfft.default", X, 5, -1, "forward"),
    example("fft_irfft.default", Z),
    example("fft_irfft.default", Z, 5, -1, "ortho"),
    example("fft_fft2.default", Z),
    example("fft_ifft2.default", SQUARE),
    example("fft_rfft2.default", X),
    example("fft_irfft2.default", Z),
    example("fft_fftn.default", SQUARE),
    example("fft_fftn.default", SQUARE, [2, 4]),
    example("fft_ifftn.default", SQUARE, None, [0, 2], "ortho"),
    example("fft_rfftn.default", X),
    example("fft_irfftn.default", SQUARE, [3, 5], [0, 2]),
    example("_fft_r2c.default", X, [0, 1], 0, True),
    example("_fft_c2c.default", Z, [1], 1, True),
    example("_fft_c2c.default", Z, [0, 1], 2, False),
    example("_fft_c2r.default", Z, [1], 2, 6),
]


def as_pair(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_complex():
        return Carrier(complex_pairs.split(value), tuple(value.shape))
    return value


@pytest.mark.parametrize("row", COMPLEX, ids=lambda row: row[0])
def test_complex_pairs(row: Any) -> None:
    check(complex_pairs.COUNTERPARTS, as_pair, lambda pair: torch.complex(*pair.parts), row)


def test_every_entry_for_complex_pairs_has_an_example() -> None:
    assert uncovered(complex_pairs.COUNTERPARTS, COMPLEX) == set()


H, G = torch.randn(2, 1, 3, 2, 2, 3), torch.randn(2, 4, 3, 2, 2, 3)

HIGH = [
    example("view.default", H, [2, 3, 2, 6]),
    example("view.default", X.reshape(12), [1, 2, 1, 3, 1, 2]),
    example("_unsafe_view.default", H, [6, 2, 2, 3]),
    example("reshape.default", H, [3, 2, 2, 2, 1, 3]),
    example("unsqueeze.default", torch.randn(2, 1, 3, 2, 2), 3),
    example("squeeze.dim", H, 1),
    example("flatten.using_ints", H, 2, 4),
    example("unflatten.int", torch.randn(2, 3, 2, 2, 6), 4, [2, 3]),
    example("clone.default", H),
    example("alias.default", H),
    example("contiguous.default", H),
    example("detach.default", H),
    example("permute.default", G, [5, 3, 1, 0, 2, 4]),
    example("permute.default", G, [0, 2, 3, 1, 4, 5]),
    example("transpose.int", G, 1, -1),
    example("expand.default", H, [2, 4, 3, 2, 2, 3]),
    example("expand.default", torch.randn(2, 1, 3), [2, 2, 2, 2, 5, 3]),
    example("select.int", H, 2, 1),
    example("slice.Tensor", G, 1, 1, 4, 2),
    example("narrow.default", G, 1, 1, 2),
    example("index_select.default", G, 1, torch.tensor([3, 0])),
    example("_softmax.default", G, -1, False),
    example("softmax.int", G, 1),
    example("_log_softmax.default", G, 1, False),
    example("log_softmax.int", G, 2),
    example("cumsum.default", G, 1),
    example("unbind.int", G, 1),
    example("split.Tensor", G, 2, 1),
    example("split_with_sizes.default", G, [1, 3], 1),
    example("chunk.default", G, 2, 1),
    example("argmax.default", G, 1),
    example("argmin.default", G, dim=1, keepdim=True),
    example("max.dim", G, 1),
    example("min.dim", G, 2, True),
    example("topk.default", G, 2, 1),
    example("sort.default", G, 1),
    example("prod.dim_int", G, 1),
    example("glu.default", G, 1),
    example("sum.dim_IntList", G, [1, 3]),
    example("sum.dim_IntList", G, [2, 3], True),
    example("mean.dim", G, [-1]),
    example("amax.default", G, [0, 1]),
    example("amin.default", G, [1]),
    example("logsumexp.default", G, [1, 2]),
    example("cat.default", [H, G], 1),
    example("stack.default", [G, G + 1], 2),
    example("linear.default", G, torch.randn(5, 3), torch.randn(5)),
    example("matmul.default", G, torch.randn(3, 4)),
    example("matmul.default", H, G.transpose(-1, -2)),
    example("einsum.default", "abcdef,abcdgf->abcdeg", [G, G]),
    example("layer_norm.default", G, [2, 3], torch.randn(2, 3)),
    example("_to_copy.default", G, dtype=torch.float64),
    example("add.Tensor", G, H),
    example("add.Tensor", G, torch.randn(2, 3), alpha=2),
    example("mul.Tensor", G, torch.tensor(2.0)),
    example("relu.default", G),
]


def at_lower_rank(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dim() > 5:
        return Carrier((value.reshape(value.shape[0], -1),), tuple(value.shape))
    return value


@pytest.mark.parametrize("row", HIGH, ids=lambda row: row[0])
def test_low_rank(row: Any) -> None:
    check(watched, at_lower_rank, lambda low: low.parts[0].reshape(low.shape), row)


class Watch(TorchDispatchMode):
    """Lets no tensor of a rank above 5 come up."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        ranks = [leaf.dim() for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        assert max(ranks) <= 5, func
        return result


def watched(call: Call) -> Any:
    with Watch():
        return low_rank.COUNTERPARTS(call)


def test_every_entry_for_low_ranks_has_an_example() -> None:
    assert uncovered(low_rank.COUNTERPARTS, HIGH) == set()


NUMBER = torch.tensor(1.5)

NUMBERS = [
    example("sum.default", X),
    example("sum.default", X > 0),
    example("mean.default", X),
    example("amax.default", X),
    example("amin.default", NUMBER),
    example("_to_copy.default", NUMBER, dtype=torch.float64),
    example("clone.default", NUMBER),
    example("mul.Tensor", NUMBER, NUMBER),
    example("mul.Tensor", X, NUMBER),
    example("sqrt.default", NUMBER),
]


def with_axis(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dim() == 0:
        return Carrier((value.reshape(1),), ())
    return value


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row[0])
def test_scalars(row: Any) -> None:
    check(scalars.COUNTERPARTS, with_axis, lambda number: number.parts[0].reshape(()), row)


def test_every_entry_for_scalars_has_an_example() -> None:
    assert uncovered(scalars.COUNTERPARTS, NUMBERS) == set()


@pytest.mark.parametrize(
    ("counterparts", "carry", "row"),
    [
        (complex_pairs.COUNTERPARTS, as_pair, example("linalg_inv.default", SQUARE)),
        (complex_pairs.COUNTERPARTS, as_pair, example("fft_ihfft.default", X)),
        (low_rank.COUNTERPARTS, at_lower_rank, example("flip.default", G, [1])),
        (low_rank.COUNTERPARTS, at_lower_rank, example("sum.dim_IntList", G[..., None], [0, 2, 4, 6])),
        (scalars.COUNTERPARTS, with_axis, example("dot.default", X[0], X[1])),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_without_a_counterpart(counterparts: Counterparts, carry: Callable[[Any], Any], row: Any) -> None:
    with pytest.raises(NotApplicable):
        called(counterparts, carry, row)
