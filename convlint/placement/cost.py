"""The cost of an op on any unit: arithmetic, traffic, and the traffic that padding adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from convlint.model import TensorMeta
from convlint.placement.attributes import CONVOLUTIONS, POOLINGS, PRODUCTS
from convlint.placement.operations import ITEM_BYTES, Operation, dense_bytes, numel, stored_dtype

ROW_BYTES = 64
"""The Neural Engine rounds the last axis of a buffer up to this many bytes:
https://machinelearning.apple.com/research/neural-engine-transformers"""

MANY_CHANNELS = 16
"""From so many channels a group on a convolution is as efficient as a dense one; assumed."""

_MOVING = frozenset(
    "batch_to_space cast concat copy depth_to_space expand_dims fill_like gather gather_along_axis gather_nd "
    "identity pad pixel_shuffle pixel_unshuffle read_state reshape reshape_like reverse scatter "
    "scatter_along_axis scatter_nd slice_by_index slice_by_size slice_update space_to_batch space_to_depth "
    "split squeeze stack tile transpose coreml_update_state".split()
)
_FREE = frozenset("expand_dims identity read_state reshape reshape_like squeeze".split())
"""Ops that only reshape the same bytes, as long as the rows stay the same."""
_FUSED = frozenset(
    "batch_norm clip elu gelu leaky_relu linear_activation prelu relu relu6 scaled_tanh sigmoid sigmoid_hard "
    "silu softplus tanh thresholded_relu clamped_relu".split()
)
"""Functions of one value that the engine applies at the end of the op before."""
ENTRYWISE = _FUSED | frozenset(
    "abs add atan cast ceil cos erf exp exp2 floor floor_div inverse log maximum minimum mul pow real_div "
    "round rsqrt select sign sin softsign sqrt square sub".split()
)
"""Functions of each entry, which the GPU's compiler puts into the kernel of a product before:
https://developer.apple.com/videos/play/wwdc2021/10152/"""
_PER_ENTRY = {"softmax": 5, "layer_norm": 8, "instance_norm": 8, "l2_norm": 4, "local_response_norm": 8}
"""Operations for each element, counted from the formula; a function of one value is assumed to be one.
They count on other units: on the Neural Engine only multiply-adds are timed (``estimate.ane_ms``)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``flops``: a multiply-add counts as two. ``traffic``: bytes of activations, rows padded; ``padding``:
    those of them that hold nothing; ``values``: bytes of one item of each value, and of all its batch.
    ``weights``: bytes of constants. ``work``: how efficient its multiply-adds are, "dense" or "grouped"
    (convolutions) or "product", "" for all else. ``fused``: the engine does it at the end of the op before.
    ``gpu_traffic``: bytes of activations that the GPU moves; ``stitched``: it does so in the kernel of the
    op before; ``entrywise``: it is a function of each entry."""

    flops: int
    traffic: int
    padding: int
    weights: int
    work: str = ""
    fused: bool = False
    values: tuple[tuple[int, int], ...] = ()
    gpu_traffic: int = 0
    stitched: bool = False
    entrywise: bool = False

    def spilled(self, resident: int) -> int:
        """The bytes of values of which one item is larger than stays on the chip between two ops."""
        return sum(whole for item, whole in self.values if item > resident)


def cost_of(operation: Operation, follows: Operation | None, sole: bool, absorbed: int = 0) -> Cost:
    """The cost of one op. ``follows`` made its first input; ``sole``: nothing else reads that input.
    ``absorbed``: bytes of the largest input that a product made and nothing else reads."""
    tensors = [*operation.activations, *operation.outputs]
    padded = sum(padded_bytes(meta) for meta in tensors)
    dense = stored_bytes(tensors)
    fused = _is_fused(operation, follows, sole)
    entrywise = operation.kind in ENTRYWISE
    stitched = operation.kind in _FREE or (entrywise and absorbed > 0)
    on_gpu = dense
    if (
        stitched
    ):  # a product's result is neither written nor read again; a reshape moves nothing where rows are dense
        on_gpu = 0 if operation.kind in _FREE else max(dense - 2 * absorbed, 0)
    if fused or _is_free(operation):
        padded = dense = on_gpu = 0
        tensors = []
    return Cost(
        flops=flops_of(operation),
        traffic=padded,
        padding=padded - dense,
        weights=stored_bytes(operation.weights) if operation.kind != "gather" else 0,
        work=_work(operation),
        fused=fused or _is_free(operation),
        values=tuple(_value(meta) for meta in tensors),
        gpu_traffic=on_gpu,
        stitched=stitched,
        entrywise=entrywise,
    )


def stored_bytes(tensors: Iterable[TensorMeta]) -> int:
    """The bytes of tensors as Core ML stores them, without padding."""
    return sum(dense_bytes(meta, _item(meta)) for meta in tensors)


def _value(meta: TensorMeta) -> tuple[int, int]:
    """Bytes of one item of the batch, and of the whole value: the engine takes a batch one by one."""
    items = meta.shape[0] if len(meta.shape) > 2 and isinstance(meta.shape[0], int) else 1
    return padded_bytes(meta) // max(items, 1), padded_bytes(meta)


def padded_bytes(meta: TensorMeta) -> int:
    """The bytes of a tensor with its rows rounded up; a single number takes one row."""
    item = _item(meta)
    if not meta.shape:
        return item
    row = meta.shape[-1] if isinstance(meta.shape[-1], int) else 1
    rows = numel(meta.shape[:-1])
    return rows * (-(-row * item // ROW_BYTES) * ROW_BYTES)


def _item(meta: TensorMeta) -> int:
    return ITEM_BYTES.get(stored_dtype(meta.dtype), 2)


def flops_of(operation: Operation) -> int:
    """Floating-point operations of one op."""
    count = numel(operation.outputs[0].shape) if operation.outputs else 0
    kind = operation.kind
    depth = operation.attributes.get("depth")
    if kind == "conv_transpose" and isinstance(depth, int):
        # Each input is multiplied into its window of outputs.
        entries = next((numel(meta.shape) for meta in operation.activations), 0)
        spread = _product(operation.attributes.get("kernel", ()))
        channels = operation.outputs[0].shape[1] if len(operation.outputs[0].shape) > 1 else 1
        groups = int(operation.attributes.get("groups") or 1)
        return 2 * entries * spread * (channels if isinstance(channels, int) else 1) // groups
    if kind in (*CONVOLUTIONS, *PRODUCTS):
        return 2 * count * (depth if isinstance(depth, int) else 1)
    if kind == "scaled_dot_product_attention":
        return _attention(list(operation.activations))
    if kind in ("lstm", "gru", "rnn"):
        steps = next((meta.shape[0] for meta in operation.activations), 1)
        batch = next((meta.shape[1] for meta in operation.activations if len(meta.shape) > 1), 1)
        weights = sum(numel(meta.shape) for meta in operation.weights)
        return 2 * weights * _size(steps) * _size(batch)
    if kind in POOLINGS:
        return count * _product(operation.attributes.get("kernel", ()))
    if kind in _MOVING:
        return 0
    if kind.startswith("reduce_"):
        return sum(numel(meta.shape) for meta in operation.activations)
    return count * _PER_ENTRY.get(kind, 1)


def _attention(tensors: Sequence[TensorMeta]) -> int:
    if len(tensors) < 3 or min(len(meta.shape) for meta in tensors[:3]) < 2:
        return 0
    query, key, value = tensors[:3]
    scores = numel(query.shape[:-1]) * _size(key.shape[-2])
    return 2 * scores * (_size(query.shape[-1]) + _size(value.shape[-1])) + _PER_ENTRY["softmax"] * scores


def _work(operation: Operation) -> str:
    if operation.kind not in (*CONVOLUTIONS, *PRODUCTS, "scaled_dot_product_attention", "lstm", "gru", "rnn"):
        return ""
    kernel = _product(operation.attributes.get("kernel", ()))
    depth = operation.attributes.get("depth")
    channels = depth // kernel if isinstance(depth, int) and kernel else depth
    grouped = int(operation.attributes.get("groups") or 1) > 1
    if operation.kind in (*PRODUCTS, "scaled_dot_product_attention"):
        return "product"
    return "grouped" if grouped and isinstance(channels, int) and channels < MANY_CHANNELS else "dense"


def _is_fused(operation: Operation, follows: Operation | None, sole: bool) -> bool:
    return (
        operation.kind in _FUSED
        and sole
        and follows is not None
        and (follows.kind in (*CONVOLUTIONS, *PRODUCTS) or follows.kind in ("batch_norm", "add"))
    )


def _is_free(operation: Operation) -> bool:
    if operation.kind not in _FREE:
        return False
    shapes = [meta.shape for meta in operation.tensors]
    return len({shape[-1:] for shape in shapes}) == 1


def _product(sizes: Sequence[int | str]) -> int:
    return numel(tuple(sizes))


def _size(size: int | str) -> int:
    return size if isinstance(size, int) else 1
