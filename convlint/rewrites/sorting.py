"""What depends on the order of values: sorting, medians and quantiles."""

from __future__ import annotations

import math

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_TABLE = 1 << 22
"""Elements of a comparison table beyond which a rewrite by comparison is no help."""


@rewrite("aten.median.dim")
def median(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The middle one of the sorted."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    return kthvalue(self, (self.shape[dim] + 1) // 2, dim, keepdim)


@rewrite("aten.median.default")
def median_of_all(self: Tensor) -> Tensor:
    """The middle one of the sorted."""
    return median(self.reshape(-1), 0)[0]


@rewrite("aten.kthvalue.default")
def kthvalue(self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The last one of the k smallest."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    values, places = torch.topk(self, k, dim, largest=False, sorted=True)
    one, two = values.narrow(dim, k - 1, 1), places.narrow(dim, k - 1, 1)
    return (one, two) if keepdim else (one.squeeze(dim), two.squeeze(dim))


def _numbers_sorted(self: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The numbers sorted, what is none behind them: values, places, and the count of numbers."""
    number = self == self
    values, places = torch.topk(
        torch.where(number, self, torch.full_like(self, math.inf)), self.shape[dim], dim, False, True
    )
    return values, places, number.to(self.dtype).sum([dim], keepdim=True)


@rewrite("aten.nanmedian.dim")
def nanmedian(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The middle one of the numbers, sorted."""
    if not self.is_floating_point() or self.dim() == 0:
        return median(self, dim, keepdim)
    values, places, count = _numbers_sorted(self, dim)
    middle = torch.clamp(torch.floor((count - 1) / 2), min=0.0).to(torch.int64)
    one, two = torch.gather(values, dim, middle), torch.gather(places, dim, middle)
    one = torch.where(count == 0, torch.full_like(one, math.nan), one)
    return (one, two) if keepdim else (one.squeeze(dim), two.squeeze(dim))


@rewrite("aten.nanmedian.default")
def nanmedian_of_all(self: Tensor) -> Tensor:
    """The middle one of the numbers, sorted."""
    return nanmedian(self.reshape(-1), 0)[0]


def _quantiles(
    self: Tensor, q: Tensor, dim: int | None, keepdim: bool, interpolation: str, ignored: bool
) -> Tensor:
    rank = self.dim()
    values = (self.reshape(-1) if dim is None else self.movedim(dim, -1)) if rank else self.reshape(1)
    size = values.shape[-1]
    need_numbers(size)
    if q.numel() * values.numel() > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    ordered, _, count = _numbers_sorted(values, values.dim() - 1)
    wanted = q.reshape([-1, *[1] * values.dim()])  # (Q, ..., 1)
    place = wanted * torch.clamp(count - 1, min=0.0) if ignored else wanted * (size - 1.0)
    if interpolation == "nearest":
        place = torch.round(place)
    first = torch.ceil(place) if interpolation == "higher" else torch.floor(place)
    numbers = torch.tensor([float(number) for number in range(size)]).to(self.dtype)

    def at(index: Tensor) -> Tensor:
        return torch.where(numbers == index, ordered, torch.zeros_like(ordered)).sum([-1], keepdim=True)

    low = at(first)
    high = at(
        torch.minimum(
            first + 1, torch.clamp(count - 1, min=0.0) if ignored else torch.full_like(count, size - 1.0)
        )
    )
    if interpolation in ("linear", "midpoint"):
        share = (place - first) if interpolation == "linear" else torch.full_like(place, 0.5)
        if interpolation == "midpoint":
            share = torch.where(place == first, torch.zeros_like(place), share)
        same = low == high  # infinities among them, whose difference is not a number
        low = torch.where(same, low, low + torch.where(same, torch.zeros_like(low), high - low) * share)
    missing = count == 0 if ignored else count < size
    out = torch.where(missing, torch.full_like(low, math.nan), low)  # (Q, ..., 1)
    if dim is None:
        out = out.reshape([out.shape[0], *[1] * rank])
        axes = list(range(1, rank + 1))
    else:
        out = out.movedim(-1, dim + 1 if dim >= 0 else dim) if rank else out.reshape([out.shape[0]])
        axes = [1 + dim % rank] if rank else []
    if not keepdim and axes:
        out = out.reshape([length for axis, length in enumerate(out.shape) if axis not in axes])
    return out if q.dim() else out.squeeze(0)


@rewrite("aten.quantile.default")
def quantile(
    self: Tensor, q: Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """What lies between two neighbours of the sorted."""
    return _quantiles(self, q, dim, keepdim, interpolation, False)


@rewrite("aten.quantile.scalar")
def quantile_of_number(
    self: Tensor, q: float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """What lies between two neighbours of the sorted."""
    share = torch.full((1,), q, dtype=self.dtype).reshape(())
    return _quantiles(self, share, dim, keepdim, interpolation, False)


@rewrite("aten.nanquantile.default")
def nanquantile(
    self: Tensor, q: Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """What lies between two neighbours of the sorted numbers."""
    return _quantiles(self, q, dim, keepdim, interpolation, True)


@rewrite("aten.nanquantile.scalar")
def nanquantile_of_number(
    self: Tensor, q: float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """What lies between two neighbours of the sorted numbers."""
    share = torch.full((1,), q, dtype=self.dtype).reshape(())
    return _quantiles(self, share, dim, keepdim, interpolation, True)


@rewrite("aten.sort.stable")
def sort_of_any_order(
    self: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False
) -> tuple[Tensor, Tensor]:
    """Sorted by the overload that has no word for the order of equal values."""
    if stable:
        raise NotApplicable("equal values are to keep their order")
    values, places = torch.sort(self, dim, descending)
    return values, places


@rewrite("aten.argsort.stable")
def argsort_of_any_order(
    self: Tensor, *, stable: bool | None = False, dim: int = -1, descending: bool = False
) -> Tensor:
    """Sorted by the overload that has no word for the order of equal values."""
    if stable:
        raise NotApplicable("equal values are to keep their order")
    return torch.argsort(self, dim, descending)


@rewrite("aten.sort.stable", "aten.sort.default")
def sort_by_rank(
    self: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False
) -> tuple[Tensor, Tensor]:
    """Every value put where its rank is: how many others go before it."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    size = self.shape[dim]
    need_numbers(size)
    if self.numel() * size > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    values = self.movedim(dim, -1)
    keys = values.to(torch.int32) if values.dtype is torch.bool else values
    mine, others = keys.unsqueeze(-1), keys.unsqueeze(-2)
    before = others > mine if descending else others < mine
    places = torch.tensor(list(range(size)), dtype=torch.int32)
    earlier = places.reshape(1, size) < places.reshape(size, 1)
    before = torch.logical_or(before, torch.logical_and(others == mine, earlier))
    if values.is_floating_point():  # what is not a number comes last, or first
        strange, others_strange = mine != mine, others != others
        one, two = (others_strange, strange) if descending else (strange, others_strange)
        before = torch.logical_or(before, torch.logical_and(one, torch.logical_not(two)))
        both = torch.logical_and(strange, others_strange)
        before = torch.logical_or(before, torch.logical_and(both, earlier))
    rank = before.to(torch.int32).sum([-1], dtype=torch.int32)  # (..., size)
    here = rank.unsqueeze(-2) == places.reshape(size, 1)  # (..., rank, place)
    order = (here.to(torch.int32) * places).sum([-1], dtype=torch.int32).to(torch.int64)
    ordered = torch.gather(keys, -1, order)
    ordered = ordered != 0 if values.dtype is torch.bool else ordered
    return ordered.movedim(-1, dim), order.movedim(-1, dim)


@rewrite("aten.sort.stable", safety="unsafe")
def sort_in_another_order(
    self: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False
) -> tuple[Tensor, Tensor]:
    """Sorted, equal values in whichever order: a table of ranks would be too large."""
    values, places = torch.sort(self, dim, descending)
    return values, places


@rewrite("aten.argmax.default")
def argmax_of_scalar(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """0: a scalar has one place."""
    if self.dim():
        raise NotApplicable("it has axes")
    return torch.full((1,), 0, dtype=torch.int64).reshape(())


@rewrite("aten.argmin.default")
def argmin_of_scalar(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """0: a scalar has one place."""
    return argmax_of_scalar(self, dim, keepdim)


@rewrite("aten.mode.default")
def mode(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The value that most others equal, of several the smallest; and the last place of it."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    size = self.shape[dim]
    need_numbers(size)
    if self.numel() * size > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    values = self.movedim(dim, -1)
    keys = values.to(torch.int32) if values.dtype is torch.bool else values
    equal = keys.unsqueeze(-1) == keys.unsqueeze(-2)
    count = equal.to(torch.int32).sum([-1], dtype=torch.int32)
    most = count == count.amax([-1], keepdim=True)
    smaller = torch.logical_and(keys.unsqueeze(-2) < keys.unsqueeze(-1), most.unsqueeze(-2))
    best = torch.logical_and(most, smaller.to(torch.int32).sum([-1], dtype=torch.int32) == 0)
    places = torch.tensor(list(range(size)), dtype=torch.int32)
    last = torch.where(best, places, torch.full_like(places, -1)).amax([-1], keepdim=True).to(torch.int64)
    found = torch.gather(keys, -1, last)
    found = found != 0 if values.dtype is torch.bool else found
    one, two = found.movedim(-1, dim), last.movedim(-1, dim)
    return (one, two) if keepdim else (one.squeeze(dim), two.squeeze(dim))
