"""Reads an image at computed places: crop_resize, resample and affine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from convlint.mil.failures import UnsupportedOperation
from convlint.mil.grids import box_points


def _corners(boxes: Tensor, mode: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``h_start, w_start, h_end, w_end`` of boxes (N, 4) in any coordinate mode."""
    a, b, c, d = boxes.float().unbind(-1)
    if mode == "CORNERS_HEIGHT_FIRST":
        return a, b, c, d
    if mode == "CORNERS_WIDTH_FIRST":
        return b, a, d, c
    if mode == "CENTER_SIZE_HEIGHT_FIRST":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    if mode == "CENTER_SIZE_WIDTH_FIRST":
        return b - d / 2, a - c / 2, b + d / 2, a + c / 2
    raise UnsupportedOperation(f"{mode!r} is not a box coordinate mode of MIL.")


def crop_resize(
    x: Tensor,
    roi: Tensor | None = None,
    boxes: Tensor | None = None,
    box_indices: Tensor | Sequence[int] | None = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Tensor:
    """Boxes cut out and resized; a point outside the image gives ``pad_value``.

    Up to iOS16 the boxes come as ``roi`` of shape (N, 1, 4 or 5, 1, 1) and the output has a batch axis.
    """
    height, width = x.shape[-2:]
    owners: Tensor | None
    if boxes is not None:
        corners = boxes
        owners = torch.arange(len(boxes)) if box_indices is None else torch.as_tensor(box_indices).long()
    elif roi is not None:
        corners = roi.reshape(roi.shape[0], -1)
        owners = corners[:, 0].long() if corners.shape[1] == 5 else None
        corners = corners[:, -4:]
    else:
        raise UnsupportedOperation("crop_resize needs boxes or a roi.")
    top, left, bottom, right = (side * spatial_scale for side in _corners(corners, box_coordinate_mode))
    if normalized_coordinates:
        top, bottom = top * (height - 1), bottom * (height - 1)
        left, right = left * (width - 1), right * (width - 1)
    rows = box_points(top, bottom, target_height, sampling_mode)
    columns = box_points(left, right, target_width, sampling_mode)
    grid_y = rows.unsqueeze(2).expand(-1, -1, target_width)
    grid_x = columns.unsqueeze(1).expand(-1, target_height, -1)
    outside = (grid_y < 0) | (grid_y > height - 1) | (grid_x < 0) | (grid_x > width - 1)
    images = range(x.shape[0]) if owners is None else [None]
    crops = []
    for image in images:
        source = x[owners] if image is None else x[image].expand(len(corners), -1, -1, -1)
        crop = _bilinear(source, grid_x, grid_y, None)
        crops.append(crop.masked_fill(outside.unsqueeze(1), pad_value))
    return crops[0] if boxes is not None else torch.stack(crops, 1)


def _pixels(x: Tensor, column: Tensor, row: Tensor, fill: float | None) -> Tensor:
    """``x`` (N, C, H, W) at whole positions (N, h, w); ``fill`` outside, or the nearest edge for None."""
    height, width = x.shape[-2:]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
    flat = index.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
    pixels = x.flatten(2).gather(2, flat).reshape(*x.shape[:2], *index.shape[1:])
    return pixels if fill is None else torch.where(inside.unsqueeze(1), pixels, fill)


def _bilinear(x: Tensor, column: Tensor, row: Tensor, fill: float | None) -> Tensor:
    left, top = column.floor(), row.floor()
    across, down = (column - left).unsqueeze(1), (row - top).unsqueeze(1)
    above = torch.lerp(_pixels(x, left, top, fill), _pixels(x, left + 1, top, fill), across)
    below = torch.lerp(_pixels(x, left, top + 1, fill), _pixels(x, left + 1, top + 1, fill), across)
    return torch.lerp(above, below, down)


def _unnormalised(coordinate: Tensor, size: int, mode: str, align_corners: bool) -> Tensor:
    """Pixel positions for coordinates of any mode."""
    if mode == "unnormalized":
        return coordinate
    unit = (coordinate + 1) / 2 if mode == "normalized_minus_one_to_one" else coordinate
    return unit * (size - 1) if align_corners else unit * size - 0.5


def _reflected(position: Tensor, low: float, high: float) -> Tensor:
    """``position`` folded back into the interval as often as it takes."""
    span = high - low
    if span <= 0:
        return torch.full_like(position, max(low, 0.0))
    turned = (position - low).abs() % (2 * span)
    return torch.where(turned > span, 2 * span - turned, turned) + low


def _confined(position: Tensor, size: int, padding: str) -> Tensor:
    if padding == "reflection":
        position = _reflected(position, 0, size - 1)
    elif padding == "symmetric":
        position = _reflected(position, -0.5, size - 0.5)
    return position.clamp(0, size - 1)


def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """``x`` read at the places in ``coordinates`` (N, h, w, 2), in the order x, y."""
    height, width = x.shape[-2:]
    places = coordinates.float()
    column = _unnormalised(places[..., 0], width, coordinates_mode, align_corners)
    row = _unnormalised(places[..., 1], height, coordinates_mode, align_corners)
    fill: float | None = padding_value
    if padding_mode != "constant":
        fill = None
        column, row = _confined(column, width, padding_mode), _confined(row, height, padding_mode)
    if sampling_mode == "nearest":
        return _pixels(x, column.round(), row.round(), fill)
    return _bilinear(x, column, row, fill)


def affine(
    x: Tensor,
    transform_matrix: Tensor,
    output_height: int,
    output_width: int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """``x`` resampled on a grid over [-1, 1] that the matrix transforms."""
    if align_corners:
        axes = [
            torch.linspace(-1, 1, size) if size > 1 else -torch.ones(1)
            for size in (output_height, output_width)
        ]
    else:
        axes = [(2 * torch.arange(float(size)) + 1) / size - 1 for size in (output_height, output_width)]
    y, x_axis = torch.meshgrid(*axes, indexing="ij")
    matrix = transform_matrix.float().expand(x.shape[0], 6).reshape(-1, 2, 3)
    points = torch.stack([x_axis, y, torch.ones_like(y)], -1).reshape(-1, 3)
    moved = (points @ matrix.transpose(1, 2)).reshape(x.shape[0], output_height, output_width, 2)
    return resample(x, moved, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "affine": affine,
    "crop_resize": crop_resize,
    "resample": resample,
}
