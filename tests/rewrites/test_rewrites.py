"""Every rewrite computes what its op computes, on PyTorch's own samples of that op."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from convlint.coreml.supported import snapshot
from convlint.rewrites.table import NotApplicable, Rewrite, all_rewrites, rewrites_of
from convlint.rules.rulebook import load_rulebook

UNINITIALISED = ("aten.empty", "aten.new_empty")
MISREAD = ("aten.std.dim", "aten.var.dim", "aten.kthvalue")
"""Overloads that take a sample of another overload for one of theirs."""


def overload(op: str) -> Any:
    space, name, kind = op.split(".")
    return getattr(getattr(getattr(torch.ops, space), name), kind)


def difference(wanted: Any, found: Any) -> str:
    """How two results differ, empty where they do not."""
    for one, other in zip(pytree.tree_leaves(wanted), pytree.tree_leaves(found), strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"{other.dtype}{list(other.shape)} instead of {one.dtype}{list(one.shape)}"
        finite = one.double()[torch.isfinite(one)].abs()
        scale = float(finite.max()) if finite.numel() else 1.0
        if not torch.allclose(
            one.double(), other.double(), rtol=1e-4, atol=1e-5 * max(scale, 1e-3), equal_nan=True
        ):
            return f"values apart by {float((one.double() - other.double()).abs().nan_to_num().max()):.3g}"
    return ""


def samples() -> Iterator[tuple[Rewrite, str, tuple[Any, ...], dict[str, Any]]]:
    from torch.testing._internal.common_methods_invocations import op_db

    by_name: dict[str, list[tuple[str, Rewrite]]] = defaultdict(list)
    for rewrite in all_rewrites():
        for op in rewrite.ops:
            if op.startswith("aten.") and not op.startswith((*UNINITIALISED, *MISREAD)):
                by_name[op.split(".")[1]].append((op, rewrite))
    for info in op_db:
        names = {info.aten_name, info.name.split(".")[-1]}
        found = [pair for name in names for pair in by_name.get(name or "", [])]
        if not found or torch.float32 not in info.dtypes:
            continue
        for sample in islice(info.sample_inputs("cpu", torch.float32, requires_grad=False), 6):
            args = (sample.input, *sample.args)
            tensors = [a for a in pytree.tree_leaves((args, sample.kwargs)) if isinstance(a, torch.Tensor)]
            if all(tensor.numel() and tensor.dim() for tensor in tensors):
                for op, rewrite in found:
                    yield rewrite, op, args, sample.kwargs


def dispatched(
    op: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments as they stand in a graph, where one number for all axes has become a list."""
    schema = overload(op)._schema.arguments
    lists = {argument.name for argument in schema if str(argument.type) == "List[int]"}

    def listed(name: str, value: Any) -> Any:
        return [value] if name in lists and type(value) is int else value

    named = zip((argument.name for argument in schema), args, strict=False)
    return tuple(listed(*pair) for pair in named), {name: listed(name, kwargs[name]) for name in kwargs}


def test_rewrites_compute_what_their_op_does_on_the_samples_of_pytorch() -> None:
    compared: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rewrite, op, args, kwargs in samples():
            try:
                wanted = overload(op)(*args, **kwargs)
                if not all(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(wanted)):
                    continue
            except (RuntimeError, TypeError, ValueError, IndexError):
                continue  # a sample of another overload
            try:
                args, kwargs = dispatched(op, args, kwargs)
                found = rewrite.function(*args, **kwargs)
            except NotApplicable:
                continue  # the search takes the next candidate
            compared[rewrite.name] += 1
            problem = difference(wanted, found)
            if problem and "scales_h" not in kwargs:  # some samples give a size that the scale contradicts
                wrong.setdefault(f"{rewrite.name} for {op}", problem)
    assert not wrong
    assert len(compared) > 110, sorted(compared)


class Comparing(TorchDispatchMode):
    """Lays every rewrite of what is called beside the call."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        wanted = func(*args, **(kwargs or {}))
        for rewrite in () if str(func).startswith(UNINITIALISED) else rewrites_of(str(func)):
            try:
                found = rewrite.function(*args, **(kwargs or {}))
            except NotApplicable:
                continue
            first = (wanted[0], found[0]) if isinstance(wanted, tuple) else (wanted, found)
            assert difference(*first) == "", f"{rewrite.name} for {func}"
            self.compared[rewrite.name] += 1
        return wanted


LINE, PLANE, SPACE = (2, 3, 17), (2, 3, 13, 10), (1, 2, 6, 7, 9)
MODES = {
    "bicubic": [PLANE],
    "bilinear": [PLANE],
    "linear": [LINE],
    "trilinear": [SPACE],
    "nearest": [LINE, PLANE, SPACE],
    "nearest-exact": [LINE, PLANE, SPACE],
}


@pytest.mark.parametrize("mode", MODES)
def test_resizing_by_matrices_equals_interpolate(mode: str) -> None:
    torch.manual_seed(0)
    comparing = Comparing()
    for shape in MODES[mode]:
        x = torch.randn(shape)
        for corners in (None,) if "nearest" in mode else (False, True):
            for smooth in (False, True) if mode in ("bicubic", "bilinear") else (False,):
                for size in (
                    {"scale_factor": 2.0},
                    {"scale_factor": 1.7},
                    {"scale_factor": 0.6},
                    {"scale_factor": 1.7, "recompute_scale_factor": True},
                    {"size": [23, 7, 5][: x.dim() - 2]},
                ):
                    with comparing:
                        functional.interpolate(
                            x,
                            mode=mode,
                            align_corners=corners,
                            antialias=smooth,
                            **size,  # type: ignore[arg-type]
                        )
    assert sum(comparing.compared.values()) >= 5


def test_pooling_written_out_equals_pooling() -> None:
    torch.manual_seed(0)
    line, plane, space = torch.randn(LINE), torch.randn(PLANE), torch.randn(SPACE)
    comparing = Comparing()
    with comparing:
        for size in (1, 3, (4, 7), (13, 10)):
            functional.adaptive_avg_pool2d(plane, size)
            functional.adaptive_max_pool2d(plane, size)
        for whole in (1, 3, (4, 7, 2)):
            functional.adaptive_avg_pool3d(space, whole)
            functional.adaptive_max_pool3d(space, whole)
        for one in (1, 5, 17):
            functional.adaptive_avg_pool1d(line, one)
        for kernel, stride, padding, ceil, dilation in (
            (3, 2, 1, False, 1),
            (3, 2, 1, True, 1),
            (2, None, 0, False, 1),
            (3, 1, 1, True, 2),
            (5, 3, 2, True, 1),
        ):
            functional.max_pool2d(plane, kernel, stride, padding, dilation, ceil)
            functional.max_pool3d(space, kernel, stride, padding, 1, ceil)
            for counted in (True, False):
                functional.avg_pool2d(plane, kernel, stride, padding, ceil, counted)
                functional.avg_pool3d(space, kernel, stride, padding, ceil, counted)
        for mode in ("reflect", "replicate", "circular"):
            functional.pad(plane, (2, 1, 3, 4), mode=mode)
        functional.pad(plane, (-1, 2, 3, -2), value=2.0)
        columns = functional.unfold(plane, (3, 2), 1, 1, 2)
        functional.fold(columns, (13, 10), (3, 2), 1, 1, 2)
    assert comparing.compared.keys() >= {
        "adaptive_avg_pool2d", "adaptive_avg_pool3d", "max_pool_and_places", "avg_pool", "im2col", "col2im",
        "reflection_pad", "replication_pad", "constant_pad", "adaptive_max_pool",
    }  # fmt: skip


@pytest.mark.parametrize("layer", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False}])
def test_recurrent_layers_written_out_equal_the_layer(layer: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    made = layer(4, 5, batch_first=True, **options)
    x = torch.randn(2, 6, 4)
    count = 2 * options.get("num_layers", 1) if options.get("bidirectional") else 1
    states = [torch.randn(count, 2, 5) for _ in range(2 if layer is torch.nn.LSTM else 1)]
    flat = (states if layer is torch.nn.LSTM else states[0], made._flat_weights)
    op = {torch.nn.LSTM: "aten.lstm.input", torch.nn.GRU: "aten.gru.input"}.get(layer, "aten.rnn_tanh.input")
    arguments = (x, *flat, made.bias, made.num_layers, 0.0, False, made.bidirectional, True)
    with torch.no_grad():
        wanted = overload(op)(*arguments)
        assert difference(wanted, rewrites_of(op)[0].function(*arguments)) == ""


def test_bits_of_negative_numbers() -> None:
    one = torch.tensor([-7, 12, 2**31 - 1, -(2**31), 0, 5])
    two = torch.tensor([3, -4, 1, -1, 9, 6])
    for op in ("aten.bitwise_and.Tensor", "aten.bitwise_or.Tensor", "aten.bitwise_xor.Tensor"):
        wanted = overload(op)(one, two)
        assert torch.equal(rewrites_of(op)[1].function(one, two), wanted), op


def test_every_rewrite_names_ops_that_exist_and_says_what_it_does() -> None:
    for rewrite in all_rewrites():
        assert rewrite.function.__doc__, rewrite.name
        for op in rewrite.ops:
            if op.startswith("aten."):
                overload(op)


def test_no_two_rewrites_share_a_name() -> None:
    listed = {(rewrite.name, op) for rewrite in all_rewrites() for op in rewrite.ops}
    ops = {op for _, op in listed}
    registered = {(rewrite.name, op) for op in ops for rewrite in rewrites_of(op)}
    assert registered == listed, "all_rewrites() goes by name"
    assert {"aten.bilinear.default", "aten.upsample_bilinear2d.default"} <= ops


NOTHING_TO_WRITE = {
    "torch.export leaves no call of it, or takes it apart into calls whose rules speak": (
        "aten.contiguous.default", "aten.detach.default", "aten.lift_fresh_copy.default",
        "aten.positive.default", "aten.conj_physical.default", "aten.movedim.int", "aten.movedim.intlist",
        "aten.moveaxis.int", "aten.view.dtype", "aten.narrow_copy.default", "aten.hardshrink.default",
        "aten.softshrink.default", "aten.norm.ScalarOpt_dim",
    ),
    "a backend's name for a call whose rule speaks; no source says it": (
        "aten._prelu_kernel.default", "aten._pad_circular.default", "aten._adaptive_avg_pool2d.default",
        "aten._grouped_mm.default", "aten.empty_strided.default",
        "transformers.grouped_mm_fallback.default", "aten._embedding_bag.default",
        "aten._embedding_bag_forward_only.default", "aten._safe_softmax.default",
        "aten.nll_loss_forward.default", "aten.nll_loss2d_forward.default", "aten._neg_view.default",
    ),
    "of another library than PyTorch: fix says it in the graph, and the helper file does not": (
        "torchvision.deform_conv2d.default",
    ),
    "too long for a line: fix puts a function of it into the helper file": (
        "aten.__lshift__.Tensor", "aten.__rshift__.Tensor",
        *(f"aten.bitwise_{side}_shift.{kind}" for side in ("left", "right")
          for kind in ("Tensor", "Scalar_Tensor")),
        *(f"aten.{name}.default" for name in (
            "angle", "digamma", "embedding_bag", "erfinv", "fmax", "fmin", "gcd", "i0", "index_reduce", "lcm",
            "lgamma", "masked_scatter", "polygamma")),
        *(f"aten.special_{name}.default" for name in (
            "erfcx", "erfinv", "i0e", "i1", "i1e", "ndtri", "polygamma", "spherical_bessel_j0",
            *(f"bessel_{kind}" for kind in ("j0", "j1", "y0", "y1")),
            *(f"modified_bessel_{kind}" for kind in ("i0", "i1", "k0", "k1")),
            "scaled_modified_bessel_k0", "scaled_modified_bessel_k1")),
        *(f"aten.special_{kind}chebyshev_polynomial_{letter}.{overload}" for kind in ("", "shifted_")
          for letter in "tuvw" for overload in ("default", "n_scalar", "x_scalar")),
        *(f"aten.{name}.{kind}" for name in ("quantile", "nanquantile") for kind in ("default", "scalar")),
        "aten.linalg_matrix_power.default", "aten.matrix_power.default", "aten.mode.default",
        "aten.nanmedian.default", "aten.nanmedian.dim", "aten.embedding_bag.padding_idx",
    ),
}  # fmt: skip
"""Rewritten ops without a rule that says in source what the rewrite does, by the reason for that."""

STANDS_BY = (
    "aten.adaptive_avg_pool1d.default", "aten.adaptive_avg_pool2d.default",
    "aten.adaptive_max_pool1d.default", "aten.adaptive_max_pool2d.default", "aten.arange.default",
    "aten.clone.default", "aten.copy.default", "aten.empty.memory_format",
    "aten.empty_like.default", "aten.floor_divide.Scalar", "aten.floor_divide.default",
    "aten.frac.default", "aten.glu.default", "aten.logical_and.default", "aten.logical_not.default",
    "aten.logical_or.default", "aten.logical_xor.default", "aten.mish.default",
    "aten.narrow.default", "aten.norm.Scalar", "aten.ones_like.default", "aten.real.default",
    "aten.scalar_tensor.default", "aten.upsample_nearest1d.default", "aten.upsample_nearest1d.vec",
    "aten.upsample_bilinear2d.default", "aten.upsample_nearest2d.default", "aten.upsample_nearest2d.vec",
    "aten.zeros.default",
    "aten.zeros_like.default",
)  # fmt: skip
"""Ops that convert: their rewrite stands by for an operand or dtype that a rule about those names."""


def test_every_rewrite_has_a_rule_that_says_it_in_source() -> None:
    said = [rule for rule in load_rulebook() if any(each.before for each in rule.replacements)]
    patterns = [
        name
        for rule in said
        for match in rule.matches
        if match.subject == "op"
        for name in match.names
        if name != "*"
    ]
    ops = {op for rewrite in all_rewrites() for op in rewrite.ops}
    bare = {op for op in ops if not any(fnmatchcase(op, pattern) for pattern in patterns)}
    excused = {*STANDS_BY, *(op for group in NOTHING_TO_WRITE.values() for op in group)}
    assert bare - excused == set(), "write their rule: before, after, and an example that is refused"
    assert excused - bare == set(), "these need no excuse any more"
    release = snapshot("9.0")
    assert [op for op in STANDS_BY if not release.converts(op)] == []


def test_small_matrices_by_cofactors() -> None:
    torch.manual_seed(0)
    for size in (1, 2, 3, 4):
        square = torch.randn(3, size, size) + 3 * torch.eye(size)
        right, vector = torch.randn(3, size, 2), torch.randn(3, size)
        for op, arguments in (
            ("aten.linalg_det.default", (square,)),
            ("aten.linalg_inv.default", (square,)),
            ("aten.linalg_solve.default", (square, right)),
            ("aten.linalg_solve.default", (square, vector)),
        ):
            assert difference(overload(op)(*arguments), rewrites_of(op)[0].function(*arguments)) == "", op
    with pytest.raises(NotApplicable, match="up to 4 rows"):
        rewrites_of("aten.linalg_inv.default")[0].function(torch.eye(5))
