"""The precisions of a conversion."""

from __future__ import annotations

from typing import Any, Literal

Precision = Literal["float32", "float16", "mixed"]

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "mixed")

KEPT_IN_FLOAT32 = frozenset(
    "batch_norm cumsum exp exp2 instance_norm l2_norm layer_norm log pow reduce_l2_norm reduce_log_sum"
    " reduce_log_sum_exp reduce_mean reduce_prod reduce_sum reduce_sum_square rsqrt softmax".split()
)
"""Operations that ``mixed`` leaves in float32: those that sum many numbers or widen their range."""


def compute_precision(precision: Precision) -> Any:
    """The value for ``compute_precision`` of ``coremltools.convert``."""
    import coremltools as ct

    if precision == "mixed":
        return ct.transform.FP16ComputePrecision(op_selector=lambda op: op.op_type not in KEPT_IN_FLOAT32)
    return getattr(ct.precision, precision.upper())
