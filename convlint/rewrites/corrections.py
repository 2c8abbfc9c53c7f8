"""The same function in other ops, for calls that coremltools converts to other numbers.

The rules of category ``numeric`` say which calls these are, and why; a call that no rule names is left alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from convlint.rewrites.reduction import logcumsumexp
from convlint.rewrites.resize import resized
from convlint.rewrites.table import NotApplicable, correction, need_numbers

Tensor = torch.Tensor


@correction("aten.add.Tensor")
def multiplied_first(self: Tensor, other: Tensor, *, alpha: float = 1) -> Tensor:
    """The factor multiplied first."""
    return self + other * alpha


@correction("aten.sub.Tensor")
def subtracted(self: Tensor, other: Tensor, *, alpha: float = 1) -> Tensor:
    """The factor multiplied first."""
    return self - other * alpha


@correction("aten.rsub.Tensor")
def subtracted_from(self: Tensor, other: Tensor, *, alpha: float = 1) -> Tensor:
    """The factor multiplied first."""
    return other - self * alpha


@correction("aten.elu.default")
def scaled_elu(self: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    """Scaled before and after."""
    return scale * torch.where(self > 0, self, functional.elu(input_scale * self, alpha))


@correction("aten.fill.Tensor")
def expanded(self: Tensor, value: Tensor) -> Tensor:
    """The value expanded to the shape."""
    return value.to(self.dtype).reshape([1] * self.dim()).expand(self.shape).clone()


@correction("aten.fill.Scalar")
def filled_in_its_dtype(self: Tensor, value: float) -> Tensor:
    """The number as the dtype of the tensor holds it."""
    if self.dtype is torch.bool:
        return torch.ops.aten.fill.Scalar(self, bool(value))
    number = float(value) if self.is_floating_point() else int(value)
    return torch.ops.aten.fill.Scalar(self, number)


@correction("aten.full_like.default")
def full_in_its_dtype(self: Tensor, fill_value: float, **options: object) -> Tensor:
    """The number as the dtype of the result holds it."""
    return torch.ops.aten.full_like.default(self, int(fill_value), **options)


@correction("aten.new_full.default")
def new_full_in_its_dtype(self: Tensor, size: list[int], fill_value: float, **options: object) -> Tensor:
    """The number as the dtype of the result holds it."""
    return torch.ops.aten.new_full.default(self, size, int(fill_value), **options)


@correction("aten.rms_norm.default")
def written_rms_norm(
    input: Tensor, normalized_shape: list[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """The root of the mean square, written out."""
    dims = list(range(-len(normalized_shape), 0))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    scaled = input * torch.rsqrt((input * input).mean(dims, keepdim=True) + small)
    return scaled if weight is None else scaled * weight


@correction("aten.argmax.default")
def flat_argmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index in the flattened tensor."""
    place = self.flatten().argmax(0)
    return place.reshape([1] * self.dim()) if keepdim else place


@correction("aten.argmin.default")
def flat_argmin(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index in the flattened tensor."""
    place = self.flatten().argmin(0)
    return place.reshape([1] * self.dim()) if keepdim else place


@correction("aten.any.default", "aten.any.dim", "aten.any.dims")
def any_not_zero(self: Tensor, dim: int | list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Compared with zero first."""
    return (self != 0).any() if dim is None else (self != 0).any(dim, keepdim)


@correction("aten.all.default", "aten.all.dim", "aten.all.dims")
def all_not_zero(self: Tensor, dim: int | list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Compared with zero first."""
    return (self != 0).all() if dim is None else (self != 0).all(dim, keepdim)


def _at_least(rows: int, columns: int, diagonal: int) -> Tensor:
    """The places of a matrix that lie on a diagonal or above it."""
    return torch.arange(columns)[None, :] - torch.arange(rows)[:, None] >= diagonal


@correction("aten.triu.default")
def chosen_above(self: Tensor, diagonal: int = 0) -> Tensor:
    """Chosen by place, so that no infinity is multiplied with zero."""
    need_numbers(*self.shape[-2:])
    return torch.where(_at_least(self.shape[-2], self.shape[-1], diagonal), self, torch.zeros_like(self))


@correction("aten.tril.default")
def chosen_below(self: Tensor, diagonal: int = 0) -> Tensor:
    """Chosen by place, so that no infinity is multiplied with zero."""
    need_numbers(*self.shape[-2:])
    return torch.where(_at_least(self.shape[-2], self.shape[-1], diagonal + 1), torch.zeros_like(self), self)


@correction("aten.reciprocal.default")
def divided(self: Tensor) -> Tensor:
    """A tensor of ones divided, which adds no epsilon."""
    return torch.ones_like(self) / self


@correction("aten.pow.Scalar")
def exponent_of_two(self: float, exponent: Tensor) -> Tensor:
    """exp2."""
    if self != 2:
        raise NotApplicable("its base is not 2")
    return torch.exp2(exponent)


@correction("aten.true_divide.Tensor")
def quotient(self: Tensor, other: Tensor) -> Tensor:
    """A division of floats."""
    return self.to(torch.get_default_dtype()) / other


@correction("aten.exp2.default")
def exp2_of_floats(self: Tensor) -> Tensor:
    """The exponent made a float first."""
    return torch.exp2(self.to(torch.get_default_dtype()))


@correction("aten.mean.default")
def mean_of_floats(self: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Made floats first."""
    return self.to(dtype or torch.get_default_dtype()).mean()


@correction("aten.mean.dim")
def mean_of_floats_over(
    self: Tensor, dim: list[int] | None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Made floats first."""
    return self.to(dtype or torch.get_default_dtype()).mean(dim, keepdim)


@correction("aten.sum.default")
def sum_in_dtype(self: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Cast first, as PyTorch does."""
    return self.to(dtype).sum()


@correction("aten.sum.dim_IntList")
def sum_in_dtype_over(
    self: Tensor, dim: list[int] | None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Cast first, as PyTorch does."""
    return self.to(dtype).sum(dim, keepdim)


@correction("aten.softplus.default")
def chosen_softplus(self: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """The line beyond the threshold chosen by a comparison."""
    return torch.where(self * beta > threshold, self, functional.softplus(self, beta))


@correction("aten.diagonal.default", "aten.diagonal_copy.default")
def strided_diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Every step-th place of the flattened first two axes."""
    if offset != 0 or dim1 != 0 or dim2 != 1:
        raise NotApplicable("it is not the main diagonal of the first two axes")
    rows, columns = self.shape[:2]
    need_numbers(rows, columns)
    last = (min(rows, columns) - 1) * (columns + 1) + 1
    return self.reshape(rows * columns, *self.shape[2:])[0 : last : columns + 1].movedim(0, -1)


@correction("aten.var.correction")
def unbiased_variance(
    self: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """The correction of 1, by its name."""
    return torch.var(self, dim, correction=1, keepdim=keepdim)


@correction("aten.std.correction")
def unbiased_deviation(
    self: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """The correction of 1, by its name."""
    return torch.std(self, dim, correction=1, keepdim=keepdim)


@correction("aten.conv_transpose2d.input", "aten.conv_transpose3d.input")
def batched_transposed_convolution(input: Tensor, weight: Tensor, *options: Any) -> Tensor:
    """With the batch axis."""
    convolve = functional.conv_transpose2d if weight.dim() == 4 else functional.conv_transpose3d
    batch: Tensor = convolve(input.unsqueeze(0), weight, *options)
    return batch.squeeze(0)


@correction("aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default")
def max_pool_in_floor_mode(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] = [],  # noqa: B006 the schema's own default
    padding: int | list[int] = 0,
    dilation: int | list[int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Without ceil_mode, where the last window lies inside anyway."""
    pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[len(kernel_size)]
    steps = list(stride) or None
    return pool(self, kernel_size, steps, padding, dilation, ceil_mode=False)


@correction("aten.avg_pool2d.default", "aten.avg_pool3d.default")
def avg_pool_in_floor_mode(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] = [],  # noqa: B006 the schema's own default
    padding: int | list[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Without ceil_mode, where the last window lies inside anyway."""
    pool = functional.avg_pool2d if len(kernel_size) == 2 else functional.avg_pool3d
    steps = list(stride) or None
    return pool(self, kernel_size, steps, padding, False, count_include_pad, divisor_override)


@correction("aten.avg_pool1d.default")
def avg_pool1d_in_floor_mode(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] = [],  # noqa: B006 the schema's own default
    padding: int | list[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Without ceil_mode, where the last window lies inside anyway."""
    return functional.avg_pool1d(
        self, kernel_size, list(stride) or kernel_size, padding, False, count_include_pad
    )


@correction("aten.clamp.Tensor", "aten.clip.Tensor")
def clamped_in_order(self: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:
    """First the lower bound, then the upper."""
    if min is None or max is None:
        raise NotApplicable("it has one bound")
    return torch.minimum(torch.maximum(self, min), max)


@correction("aten.masked_fill.Scalar", "aten.masked_fill.Tensor")
def filled_in_the_shape_of_both(self: Tensor, mask: Tensor, value: float | Tensor) -> Tensor:
    """The values in the shape, and the dtype, that PyTorch gives them."""
    shape = torch.broadcast_shapes(self.shape, mask.shape)
    own = torch.ops.aten._to_copy.default(self, dtype=self.dtype)
    return own.expand(shape).masked_fill(mask, value)


@correction("aten.where.ScalarSelf")
def chosen_in_the_shape_of_both(condition: Tensor, self: float, other: Tensor) -> Tensor:
    """The values in the shape of the condition."""
    shape = torch.broadcast_shapes(condition.shape, other.shape)
    return torch.where(condition, self, other.expand(shape))


@correction("aten.where.ScalarOther")
def chosen_in_the_shape_of_both_first(condition: Tensor, self: Tensor, other: float) -> Tensor:
    """The values in the shape of the condition."""
    shape = torch.broadcast_shapes(condition.shape, self.shape)
    return torch.where(condition, self.expand(shape), other)


def _as(src: Tensor, self: Tensor) -> Tensor:
    return src != 0 if self.dtype is torch.bool else src.to(self.dtype)


@correction("aten.copy.default")
def copied_in_its_dtype(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Cast to the dtype of what is written to."""
    return _as(src, self).expand(self.shape).clone()


@correction("aten.slice_scatter.default")
def sliced_in_its_dtype(
    self: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """Cast to the dtype of what is written to."""
    return torch.slice_scatter(self, _as(src, self), dim, start, end, step)


@correction("aten.select_scatter.default")
def selected_in_its_dtype(self: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Cast to the dtype of what is written to."""
    return torch.select_scatter(self, _as(src, self), dim, index)


@correction("aten.matmul.default")
def batched_vector(self: Tensor, other: Tensor) -> Tensor:
    """The vector with an axis for each of the matrix's."""
    if self.dim() != 1 or other.dim() < 3:
        raise NotApplicable("it is no vector times a batch of matrices")
    row = self.reshape([1] * (other.dim() - 1) + [-1]).expand(*other.shape[:-2], 1, self.shape[0])
    return torch.matmul(row, other).squeeze(-2)


@correction("aten.remainder.Scalar", "aten.remainder.Tensor")
def less_its_whole_part(self: Tensor, other: float | Tensor) -> Tensor:
    """What is left of the largest whole multiple below."""
    if not self.is_floating_point():
        return torch.zeros_like(self)
    return self - torch.floor(self / other) * other


@correction("aten.cosine_similarity.default")
def cosine_of_bounded_norms(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Each norm bounded by itself."""
    one = x1.pow(2).sum(dim).sqrt().clamp(min=eps)
    other = x2.pow(2).sum(dim).sqrt().clamp(min=eps)
    return (x1 * x2).sum(dim) / (one * other)


@correction("aten.logcumsumexp.default", "aten._logcumsumexp.default")
def logarithms_of_running_sums(self: Tensor, dim: int) -> Tensor:
    """Logarithms of sums of two exponentials, over ever longer steps."""
    return logcumsumexp(self, dim)


@correction("aten.slice.Tensor")
def sliced_to_nothing(
    self: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The axis sliced up to 0, which converts to nothing of it."""
    return torch.ops.aten.slice.Tensor(self, dim, 0, 0)


@correction("aten.pad.default")
def padded_by_parts(
    self: Tensor, pad: list[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """The real part padded with the number, the imaginary one with zeros."""
    re = functional.pad(self.real, pad, mode, value)
    return torch.complex(re, functional.pad(self.imag, pad, mode))


@correction("aten.upsample_bilinear2d.vec")
def resized_by_matrices(input: Tensor, output_size: Any, align_corners: bool, scale_factors: Any) -> Tensor:
    """Products with the matrices that resize, axis by axis."""
    return resized(input, [None, None], "bilinear", list(scale_factors), align_corners, False)
