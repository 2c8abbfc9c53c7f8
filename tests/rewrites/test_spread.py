"""Rewrites on values that lie far apart, very large and very small: nothing overflows that the op bears."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import pytest
import torch
from test_rewrites import difference, dispatched, overload, samples
from torch.utils import _pytree as pytree

from convlint.rewrites.table import NotApplicable, rewrites_of

KINDS = {"wide": 200.0, "huge": 1e18, "tiny": 1e-18}
NEEDS_ORDER = ("bucketize", "searchsorted_by_comparison")
"""Rewrites of ops whose second argument is sorted, which random numbers are not."""

Call = tuple[tuple[Any, ...], dict[str, Any]]


def spread(call: Call, largest: float) -> Call:
    """The call with random floats of both signs up to ``largest``."""
    generator = torch.Generator().manual_seed(0)

    def draw(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dtype is torch.float32:
            return (torch.rand(value.shape, generator=generator) * 2 - 1) * largest
        return value

    args, kwargs = pytree.tree_map(draw, call)
    return args, kwargs


def gradients(function: Any, call: Call) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The gradient of each float argument, with the elements of it that count.

    Where a result is not finite, and the gradient can be told apart by its shape, the others count.
    """
    leaves: list[torch.Tensor] = []

    def own(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dtype is torch.float32:
            leaves.append(value.detach().clone().requires_grad_())
            return leaves[-1]
        return value

    args, kwargs = pytree.tree_map(own, call)
    results = [
        leaf
        for leaf in pytree.tree_leaves(function(*args, **kwargs))
        if isinstance(leaf, torch.Tensor) and leaf.requires_grad
    ]
    if not results:
        return []
    total = torch.stack([result.sum() for result in results]).sum()
    found = []
    for leaf, gradient in zip(leaves, torch.autograd.grad(total, leaves, allow_unused=True), strict=True):
        finite = [torch.isfinite(result) for result in results]
        counts = torch.full(leaf.shape, all(bool(each.all()) for each in finite))
        if len(results) == 1 and finite[0].shape == leaf.shape:
            counts = finite[0]
        found.append((torch.zeros_like(leaf) if gradient is None else gradient, counts))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_values_far_apart(kind: str) -> None:
    compared: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rewrite, op, args, kwargs in samples():
            if rewrite.name in NEEDS_ORDER or "scales_h" in kwargs:
                continue
            call = spread((args, kwargs), KINDS[kind])
            try:
                wanted = overload(op)(*call[0], **call[1])
                if not all(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(wanted)):
                    continue
            except (RuntimeError, TypeError, ValueError, IndexError):
                continue  # a sample of another overload, or numbers that the op refuses
            try:
                call = dispatched(op, *call)
                found = rewrite.function(*call[0], **call[1])
            except NotApplicable:
                continue
            compared[rewrite.name] += 1
            problem = difference(wanted, found)
            if problem:
                wrong.setdefault(f"{rewrite.name} for {op}", problem)
            try:
                before, after = gradients(overload(op), call), gradients(rewrite.function, call)
            except RuntimeError:
                continue  # no gradient is defined
            if not before:
                continue  # of an integer or a boolean
            if not after and any(bool(one.any()) for one, _ in before):
                wrong.setdefault(f"{rewrite.name} for {op}", "no gradient flows")
            for (one, counts), (two, _) in zip(before, after, strict=False):
                if bool((torch.isfinite(one) & counts & ~torch.isfinite(two)).any()):
                    wrong.setdefault(f"{rewrite.name} for {op}", "the gradient is not finite")
    assert not wrong
    assert len(compared) > 100, sorted(compared)


@pytest.mark.parametrize(
    ("op", "values"),
    [
        ("aten.logcumsumexp.default", [-200.0, 0.0, 300.0, -1e30, 88.0]),
        ("aten.logcumsumexp.default", [float("-inf"), -200.0, float("-inf"), 0.0]),
        ("aten.logcumsumexp.default", [1e30, float("inf"), 0.0]),
    ],
)
def test_running_logarithms_of_sums(op: str, values: list[float]) -> None:
    line = torch.tensor(values)
    for dim, x in ((0, line), (-1, torch.stack([line, line.flip(0)]))):
        assert difference(overload(op)(x, dim), rewrites_of(op)[0].function(x, dim)) == ""
    ways = overload(op), rewrites_of(op)[0].function
    wanted, found = (gradients(way, ((line, 0), {}))[0][0] for way in ways)
    finite = torch.isfinite(wanted)
    assert torch.allclose(found[finite], wanted[finite], atol=1e-6)


def test_logarithms_of_sums_of_infinities() -> None:
    x = torch.tensor([[float("-inf")] * 2, [float("-inf"), 0.0], [float("inf"), 1.0], [200.0, -200.0]])
    for op, arguments in (
        ("aten.logsumexp.default", (x, [1])),
        ("aten.logsumexp.default", (x, [0, 1], True)),
        ("aten.logaddexp.default", (x[:, 0], x[:, 1])),
        ("aten.logaddexp2.default", (x[:, 0], x[:, 1])),
    ):
        assert difference(overload(op)(*arguments), rewrites_of(op)[0].function(*arguments)) == "", op


FUNCTIONS = (
    *(f"aten.special_{kind}.default" for kind in ("i0e", "i1", "i1e", "erfcx", "spherical_bessel_j0")),
    *(f"aten.special_bessel_{kind}.default" for kind in ("j0", "j1", "y0", "y1")),
    *(f"aten.special_{part}modified_bessel_{k}.default" for part in ("", "scaled_") for k in ("k0", "k1")),
    "aten.i0.default", "aten.digamma.default", "aten.lgamma.default",
)  # fmt: skip


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_by_polynomials(op: str) -> None:
    line = torch.cat([torch.linspace(-30, 30, 4001), torch.linspace(-3, 3, 1001)])
    points = torch.tensor([0.0, 1e-6, 1e-3, 0.5, 1.0, 2.0, 8.0, 50.0, 300.0, float("inf"), float("nan")])
    line = torch.cat([line, points])
    wanted, found = overload(op)(line), rewrites_of(op)[0].function(line)
    finite = torch.isfinite(wanted)
    assert torch.equal(finite, torch.isfinite(found))
    assert torch.equal(torch.isnan(wanted), torch.isnan(found))
    gap = (wanted - found)[finite].abs()
    # Near a zero of the function the gap is measured by what the function comes to around it.
    assert float((gap / (wanted[finite].abs() + 0.1)).max()) < 5e-5


def test_inverses_of_distributions() -> None:
    p = torch.cat([torch.linspace(0, 1, 2001), torch.tensor([1e-30, 1e-12, 1e-6, 1 - 1e-6, -0.1, 1.1])])
    for op, points in (("aten.special_ndtri.default", p), ("aten.erfinv.default", 2 * p - 1)):
        assert difference(overload(op)(points), rewrites_of(op)[0].function(points)) == "", op


@pytest.mark.parametrize("order", range(4))
def test_derivatives_of_digamma(order: int) -> None:
    x = torch.linspace(-9.3, 30, 1001)
    x = x[(x - x.round()).abs() > 0.05]
    wanted, found = (
        way(order, x)
        for way in (torch.ops.aten.polygamma.default, rewrites_of("aten.polygamma.default")[0].function)
    )
    assert torch.allclose(wanted, found, rtol=2e-4, atol=1e-4 * float(wanted.abs().mean()))
