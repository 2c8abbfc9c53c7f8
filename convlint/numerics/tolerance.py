"""What counts as the same number: every tolerance of every comparison, each with its reason.

All are relative to the largest value of the tensor, since what is small beside its neighbours carries the
rounding of theirs; those that are not say so. The figures that some reasons name are printed by
``python -m benchmarks.rounding``.
"""

from __future__ import annotations

PARITY: dict[str, float] = {"float32": 1e-3, "float16": 2e-2}
"""A converted program beside PyTorch, by the precision of the conversion. ``tolerance=`` sets another."""

FIXED = 1e-4
"""A fixed, edited, recorded or folded module beside the original, both in PyTorch at float32."""

FIXED_OF_ZEROS = 1.0
"""What an error is a share of where the original returns zeros alone, in the comparison of a fixed module.

There is no largest value then, so the error counts as it is. A head that starts at zero is the usual case,
and the rounding of what leads up to it is no fault of the fix. Everywhere else any error is infinitely large.
"""

BLAME_OF_ZEROS = 1e-12
"""The same where a changed call is to be blamed: denormal numbers in the place of zeros blame nobody."""

REPLACEMENT = 1e-5
"""A replacement that a rule calls safe and names no ``rtol`` for, beside the code that it replaces."""

GRADIENT = 1e-3
"""Gradients of a fixed module beside those of the original, each relative to its own largest value."""

GRADIENT_NOISE = 1e-4
"""The share of the largest gradient of all below which one is rounding: that of a key's bias is zero, and
comes out as what is left of a sum that cancels."""

NORMALISED_OWN = 1e-4
NORMALISED_ABSOLUTE = 1e-5
"""What ``forward`` makes of a picture beside ``factors * x + offsets``: a share of each value, and an
absolute error. Each value is looked at by itself, since the claim is a formula for every pixel."""

ROUNDINGS = 4.0
"""How many times PyTorch's own rounding a program may be off."""

LAST_BIT = 2.0**-23
"""The relative step between neighbouring float32 numbers, by which inputs are moved to see what that does."""

HUGE = 3e38
"""Numbers beyond stand for infinity in a program: the TorchScript frontend writes 3.4e38 for infinity.

https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py
"""
