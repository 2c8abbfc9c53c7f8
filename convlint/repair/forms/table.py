"""The forms in which tensors are carried that Core ML has none for."""

from __future__ import annotations

from typing import Any

from convlint.repair.forms import complex_pairs, low_rank, scalars
from convlint.repair.forms.axes import HIGHEST
from convlint.repair.forms.walk import RegionPass


def _high(value: Any) -> bool:
    return bool(value.dim() > HIGHEST)


def _scalar(value: Any) -> bool:
    return bool(value.dim() == 0)


def _complex(value: Any) -> bool:
    return bool(value.is_complex())


REGION_PASSES: dict[str, RegionPass] = {
    "complex": RegionPass(
        "complex",
        "complex numbers as pairs of real ones",
        _complex,
        complex_pairs.COUNTERPARTS,
        complex_pairs.split,
    ),
    "scalar": RegionPass(
        "scalar",
        "numbers computed from weights kept in an axis of size 1",
        _scalar,
        scalars.COUNTERPARTS,
        None,
        ("zero-rank", "'float' object", "numpy.float32"),
    ),
    "rank": RegionPass(
        "rank", "tensors of rank above 5 reshaped to lower rank", _high, low_rank.COUNTERPARTS, None
    ),
}
"""The passes, in the order to try them."""
