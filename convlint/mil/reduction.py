"""Reductions. Without axes they reduce all; integers stay integers, truncated towards zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

_Reduce = Callable[[Tensor, list[int], bool], Tensor]


def over_axes(reduce: _Reduce) -> Callable[..., Tensor]:
    """An op of the family ``reduce_*``, made from a function of tensor, axes and whether to keep them."""

    def apply(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
        chosen = list(range(x.dim())) if axes is None else sorted({axis % x.dim() for axis in axes})
        if not chosen:  # an empty list means all axes in torch, and none here
            return reduce(x.unsqueeze(-1), [x.dim()], False)
        return reduce(x, chosen, keep_dims)

    return apply


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.dtype.is_floating_point:
        return x.mean(axes, keepdim=keep)
    return x.double().mean(axes, keepdim=keep).trunc()


def _l2_norm(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _real(x).square().sum(axes, keepdim=keep).sqrt()


def _log_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _real(x).sum(axes, keepdim=keep).log()


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _real(x).logsumexp(axes, keepdim=keep)


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in reversed(axes):
        x = x.prod(axis, keepdim=keep)
    return x


def _real(x: Tensor) -> Tensor:
    return x if x.dtype.is_floating_point else x.float()


def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "") -> Tensor:
    """The index of the first of equal maxima; Core ML does not document which it takes."""
    return x.argmax(axis, keepdim=keep_dims)


def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "") -> Tensor:
    return x.argmin(axis, keepdim=keep_dims)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "reduce_argmax": reduce_argmax,
    "reduce_argmin": reduce_argmin,
    "reduce_l1_norm": over_axes(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "reduce_l2_norm": over_axes(_l2_norm),
    "reduce_log_sum": over_axes(_log_sum),
    "reduce_log_sum_exp": over_axes(_log_sum_exp),
    "reduce_max": over_axes(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "reduce_mean": over_axes(_mean),
    "reduce_min": over_axes(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "reduce_prod": over_axes(_prod),
    "reduce_sum": over_axes(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "reduce_sum_square": over_axes(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
}
