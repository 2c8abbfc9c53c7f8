"""What each operation of MIL means, where its documentation says something that PyTorch does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb
from mil_programs import float32, value, values

from convlint.coremltools_adapter import operation_names
from convlint.mil import ExecutionError
from convlint.mil.table import CONTROL, OPERATIONS


def test_every_operation_of_the_op_sets_can_be_executed() -> None:
    internal = {"_const_symbolic"}  # a constant of coremltools' own tests, which no program holds
    assert operation_names() - OPERATIONS.keys() - CONTROL == internal


def test_no_function_of_the_table_is_left_over() -> None:
    assert OPERATIONS.keys() - operation_names() == set()


RAMP = float32([[[0, 1]]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("STRICT_ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
        ("ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
        ("DEFAULT", [0, 0.4, 0.8, 1, 1]),
        ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("UNALIGN_CORNERS", [0, 0.1, 0.5, 0.9, 1]),
    ],
)
def test_the_five_corner_conventions(mode: str, expected: list[float]) -> None:
    result = value(
        lambda x: mb.resize_bilinear(x=x, target_size_height=1, target_size_width=5, sampling_mode=mode),
        x=RAMP,
    )
    assert result.ravel() == pytest.approx(expected)


@pytest.mark.parametrize(("mode", "expected"), [("STRICT_ALIGN_CORNERS", 0), ("ALIGN_CORNERS", 0.5)])
def test_one_sample_is_the_corner_or_the_middle(mode: str, expected: float) -> None:
    result = value(
        lambda x: mb.resize_bilinear(x=x, target_size_height=1, target_size_width=1, sampling_mode=mode),
        x=RAMP,
    )
    assert result.item() == pytest.approx(expected)


def test_nearest_resizing_takes_centres_and_nearest_upsampling_corners() -> None:
    x = float32([[[10, 20]]])
    resized = value(lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=1, target_size_width=3), x=x)
    upsampled = value(
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.0, scale_factor_width=1.5), x=x
    )
    assert resized.ravel().tolist() == [10, 20, 20]
    assert upsampled.ravel().tolist() == [10, 10, 20]


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("pad_type", "expected"), [("same", [1, 2, 2, 1]), ("same_lower", [1, 2, 2, 2]), ("valid", [2, 2, 2])]
)
def test_odd_padding_goes_to_the_end_or_to_the_beginning(pad_type: str, expected: list[float]) -> None:
    x = float32([[[1, 1, 1, 1]]])
    result = value(lambda x: mb.conv(x=x, weight=ones(1, 1, 2), pad_type=pad_type), x=x)
    wanted = {"same": [2, 2, 2, 1], "same_lower": [1, 2, 2, 2], "valid": [2, 2, 2]}[pad_type]
    assert result.ravel().tolist() == wanted


def test_same_padding_looks_at_the_stride() -> None:
    x = float32([[[1, 2, 3, 4, 5]]])
    result = value(lambda x: mb.conv(x=x, weight=ones(1, 1, 3), pad_type="same", strides=[2]), x=x)
    assert result.ravel().tolist() == [3, 9, 9]


def test_a_transposed_convolution_is_cut_to_its_declared_shape() -> None:
    x = float32([[[1, 2]]])

    def build(**shape: Any) -> Any:
        return value(lambda x: mb.conv_transpose(x=x, weight=ones(1, 1, 3), strides=[2], **shape), x=x)

    assert build().ravel().tolist() == [1, 1, 3, 2, 2]
    assert build(pad_type="same").ravel().tolist() == [1, 1, 3, 2]
    assert build(pad_type="custom", pad=[1, 0]).ravel().tolist() == [1, 3, 2, 2]
    assert build(output_shape=[1, 1, 6]).ravel().tolist() == [1, 1, 3, 2, 2, 0]


def test_averages_count_the_padding_unless_told_otherwise() -> None:
    x = float32([[[3, 3, 3]]])

    def pool(**options: Any) -> list[float]:
        return value(
            lambda x: mb.avg_pool(
                x=x, kernel_sizes=[3], strides=[2], pad_type="custom", pad=[1, 1], **options
            ),
            x=x,
        ).ravel().tolist()  # fmt: skip

    assert pool() == [2, 2]
    assert pool(exclude_padding_from_average=True) == [3, 3]


def test_ceil_mode_never_counts_what_lies_beyond_the_padding() -> None:
    x = float32([[[2, 4, 6, 8]]])
    result = value(
        lambda x: mb.avg_pool(x=x, kernel_sizes=[3], strides=[2], pad_type="valid", ceil_mode=True), x=x
    )
    assert result.ravel().tolist() == [4, 7]


def test_gather_takes_negative_indices_until_iOS16_and_not_after() -> None:
    x, last = float32([1, 2, 3]), np.array([-1], np.int32)
    assert value(lambda x, i: mb.gather(x=x, indices=i), "iOS16", x=x, i=last).tolist() == [3]
    assert np.isnan(value(lambda x, i: mb.gather(x=x, indices=i), "iOS17", x=x, i=last)).all()


def test_validated_indices_stop_the_program() -> None:
    x, beyond = float32([1, 2, 3]), np.array([3], np.int32)
    with pytest.raises(ExecutionError, match="index of 3 is outside an axis of length 3"):
        value(lambda x, i: mb.gather(x=x, indices=i, validate_indices=True), x=x, i=beyond)


def test_gather_with_batch_dimensions() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    indices = np.array([[2, 0], [1, 1]], np.int32)
    result = value(lambda x, i: mb.gather(x=x, indices=i, axis=1, batch_dims=1), x=x, i=indices)
    assert result.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("update", [1, 9, 3]),
        ("add", [1, 2 + 4 + 9, 3]),
        ("sub", [1, 2 - 4 - 9, 3]),
        ("mul", [1, 2 * 4 * 9, 3]),
        ("div", [1, 2 / 4 / 9, 3]),
        ("max", [1, 9, 3]),
        ("min", [1, 2, 3]),
    ],
)
def test_scatter_combines_one_update_after_the_other(mode: str, expected: list[float]) -> None:
    result = value(
        lambda x, i, u: mb.scatter(data=x, indices=i, updates=u, mode=mode),
        x=float32([1, 2, 3]),
        i=np.array([1, 1], np.int32),
        u=float32([4, 9]),
    )
    assert result.tolist() == pytest.approx(expected)


def test_slices_go_backwards_and_squeeze() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = value(
        lambda x: mb.slice_by_index(
            x=x,
            begin=[-1, -1],
            end=[0, 0],
            stride=[1, -1],
            end_mask=[False, True],
            squeeze_mask=[True, False],
        ),
        x=x,
    )
    assert result.tolist() == [5, 4, 3]


def test_slice_update_writes_into_a_copy() -> None:
    x, update = np.zeros((2, 3), np.float32), float32([[7, 8]])
    before, after = values(
        lambda x, u: [
            mb.identity(x=x),
            mb.slice_update(x=x, update=u, begin=[1, 0], end=[2, 3], stride=[1, 2]),
        ],
        "iOS18",
        x=x,
        u=update,
    )
    assert before.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert after.tolist() == [[0, 0, 0], [7, 0, 8]]


def test_a_zero_in_a_shape_counts_from_the_right_from_iOS17_on() -> None:
    x = np.zeros((2, 50), np.float32)
    assert value(lambda x: mb.reshape(x=x, shape=[1, 0, -1, 0]), x=x).shape == (1, 1, 2, 50)


def test_interleaved_concatenation() -> None:
    a, b = float32([[1, 2], [3, 4]]), float32([[7, 8], [9, 10]])
    result = value(lambda a, b: mb.concat(values=[a, b], axis=0, interleave=True), a=a, b=b)
    assert result.tolist() == [[1, 2], [7, 8], [3, 4], [9, 10]]


def test_depth_to_space_and_pixel_shuffle_read_channels_in_another_order() -> None:
    x = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    blocks = value(lambda x: mb.depth_to_space(x=x, block_size=2), x=x)
    pixels = value(lambda x: mb.pixel_shuffle(x=x, upscale_factor=2), x=x)
    assert blocks[0, 0].tolist() == [[0, 2], [4, 6]]
    assert pixels[0, 0].tolist() == [[0, 1], [2, 3]]
    assert value(lambda x: mb.space_to_depth(x=x, block_size=2), x=blocks).tolist() == x.tolist()


def test_a_band_is_zero_outside_even_of_infinities() -> None:
    x = np.full((2, 2), np.inf, np.float32)
    assert value(lambda x: mb.band_part(x=x, lower=-1, upper=0), x=x).tolist() == [
        [math.inf, 0],
        [math.inf] * 2,
    ]


def test_integer_division_rounds_down_and_the_remainder_follows_the_divisor() -> None:
    x, y = np.array([-7, 7, 7], np.int32), np.array([2, -2, 2], np.int32)
    quotient, remainder = values(lambda x, y: [mb.floor_div(x=x, y=y), mb.mod(x=x, y=y)], x=x, y=y)
    assert quotient.tolist() == [-4, -4, 3]
    assert remainder.tolist() == [1, -1, 1]
    assert quotient.dtype == np.int32


def test_rounding_takes_halves_to_even_and_a_cast_cuts() -> None:
    x = float32([0.5, 1.5, -0.5, -1.7])
    rounded, cast = values(lambda x: [mb.round(x=x), mb.cast(x=x, dtype="int32")], x=x)
    assert rounded.tolist() == [0, 2, 0, -2]
    assert cast.tolist() == [0, 1, 0, -1]


def test_unsigned_integers_wrap() -> None:
    x = float32([1, 65535, 65536 + 5])
    assert value(lambda x: mb.cast(x=x, dtype="uint16"), x=x).tolist() == [1, 65535, 5]


def test_epsilons_are_added_where_the_documentation_says() -> None:
    x = float32([0.5])
    inverse, log, rsqrt = values(
        lambda x: [
            mb.inverse(x=x, epsilon=0.5),
            mb.log(x=x, epsilon=0.5),
            mb.rsqrt(x=x, epsilon=0.5),
        ],
        x=x,
    )
    assert (inverse.item(), log.item(), rsqrt.item()) == pytest.approx((1, 0, 1))


def test_attention_to_nothing_is_not_a_number() -> None:
    q = float32([[[1.0, 0.0]]])
    mask = np.array([[False]])
    result = value(
        lambda q, m: mb.scaled_dot_product_attention(query=q, key=q, value=q, attn_mask=m),
        "iOS18",
        q=q,
        m=mask,
    )
    assert np.isnan(result).all()


def test_softmax_of_nothing_but_minus_infinity_is_not_a_number() -> None:
    x = float32([[-np.inf, -np.inf], [-np.inf, 0]])
    result = value(lambda x: mb.softmax(x=x), x=x)
    assert np.isnan(result[0]).all()
    assert result[1].tolist() == [0, 1]


def test_the_first_of_equal_maxima() -> None:
    assert value(lambda x: mb.reduce_argmax(x=x, axis=0), x=float32([1, 3, 3])).item() == 1


def test_topk_of_everything_and_in_either_order() -> None:
    x = float32([3, 1, 2])
    best, worst = values(lambda x: [mb.topk(x=x, k=2)[1], mb.topk(x=x, k=-1, ascending=True)[0]], x=x)
    assert best.tolist() == [0, 2]
    assert worst.tolist() == [1, 2, 3]


def test_suppression_keeps_the_best_of_overlapping_boxes_and_fills_up() -> None:
    boxes = float32([[[0, 0, 2, 2], [0.1, 0, 2, 2], [9, 9, 1, 1]]]).transpose(0, 2, 1)
    scores = float32([[[0.5, 0.9, 0.2]]])
    kept, _, indices = values(
        lambda b, s: mb.non_maximum_suppression(boxes=b, scores=s, iou_threshold=0.5, max_boxes=3),
        b=boxes,
        s=scores,
    )
    assert indices.tolist() == [[1, 2, -1]]
    assert kept[0, :, 2].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("constant", [-5, 1, 3]), ("border", [1, 1, 3]), ("reflection", [2, 1, 3]), ("symmetric", [1, 1, 3])],
)
def test_what_lies_outside_an_image(padding: str, expected: list[float]) -> None:
    x = float32([[[[1, 2, 3]]]])
    places = float32([[[[-1, 0], [0, 0], [2, 0]]]])
    result = value(
        lambda x, c: mb.resample(
            x=x,
            coordinates=c,
            sampling_mode="nearest",
            padding_mode=padding,
            padding_value=-5.0,
            coordinates_mode="unnormalized",
            align_corners=True,
        ),
        x=x,
        c=places,
    )
    assert result.ravel().tolist() == expected


def test_boxes_beyond_the_image_read_the_padding() -> None:
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    result = value(
        lambda x: mb.crop_resize(
            x=x,
            boxes=float32([[0.1, 0.3, 1.3, 1.0]]),
            box_indices=np.array([0], np.int32),
            target_height=2,
            target_width=2,
            normalized_coordinates=True,
            sampling_mode="ALIGN_CORNERS",
            pad_value=10.0,
        ),
        x=x,
    )
    assert result.ravel().tolist() == pytest.approx([3.1, 5.2, 10, 10])


def test_the_outputs_of_a_reversed_rnn_stand_in_the_order_of_computation() -> None:
    x = float32([[[1]], [[2]], [[4]]])

    def build(x: Any) -> Any:
        return mb.rnn(
            x=x,
            initial_h=np.zeros((1, 1), np.float32),
            weight_ih=ones(1, 1),
            weight_hh=ones(1, 1),
            direction="reverse",
            output_sequence=True,
            activation="linear",
        )

    sequence, last = values(build, x=x)
    assert sequence.ravel().tolist() == [4, 6, 7]
    assert last.item() == 7


def test_quantisation_rounds_halves_to_even_and_saturates() -> None:
    x = float32([0.25, 0.75, 100, -100])
    quantized, back = values(
        lambda x: [
            q := mb.quantize(input=x, scale=0.5, zero_point=np.int8(10), output_dtype="int8"),
            mb.dequantize(input=q, scale=0.5, zero_point=np.int8(10)),
        ],
        x=x,
    )
    assert quantized.tolist() == [10, 12, 127, -128]
    assert back.tolist() == [0, 1, 58.5, -69]
