"""What counts as the same number: every tolerance of every comparison, each with its reason.

All are relative to the largest value of the tensor, since what is small beside its neighbours carries the
rounding of theirs; those that are not say so. Figures that were measured are of coremltools 9.0, torch 2.14.1
and ``python -m benchmarks.rounding``: small layers, and architectures of torchvision and timm.
"""

from __future__ import annotations

PARITY: dict[str, float] = {"float32": 1e-3, "float16": 2e-2}
"""A converted program beside PyTorch, by the precision of the conversion; ``tolerance=`` sets another.

Correct conversions come within 1.4e-6 at float32, and within 3.4e-3 at float16, unless their outputs are the
rest of a cancellation or too small for float16. What the limits leave beyond is for deeper models.
"""

FIXED = 1e-4
"""A fixed, edited, recorded or folded module beside the original, both in PyTorch at float32.

A module and its own decomposed program are within 1.0e-6. What a fix writes in other words rounds elsewhere,
a few calls of many, so there is less to allow for than in a converted program.
"""

FIXED_OF_ZEROS = 1.0
"""What an error is a share of where the original returns zeros alone, in the comparison of a fixed module.

There is no largest value then, so the error counts as it is. A head that starts at zero is the usual case,
and the rounding of what leads up to it is no fault of the fix. Everywhere else any error is infinitely large.
"""

BLAME_OF_ZEROS = 1e-12
"""The same where a changed call is to be blamed: denormal numbers in the place of zeros blame nobody."""

REPLACEMENT = 1e-5
"""A replacement that a rule calls safe and names no ``rtol`` for, beside the code that it replaces.

Both are a call or two on small inputs; small layers and their own decomposed programs are within 3.9e-7.
"""

GRADIENT = 1e-3
"""Gradients of a fixed module beside those of the original, each relative to its own largest value.

Those of a module and of its own decomposed program are within 3.6e-6; a gradient is a longer sum than an
output, and is not looked at in float64.
"""

GRADIENT_NOISE = 1e-4
"""The share of the largest gradient of all below which one is rounding: that of a key's bias is zero, and
comes out as what is left of a sum that cancels. The share is a choice; what was measured is 1e-10."""

NORMALISED_OWN = 1e-4
NORMALISED_ABSOLUTE = 1e-5
"""What ``forward`` makes of a picture beside ``factors * x + offsets``: a share of each value, and an
absolute error. Each value is looked at by itself, since the claim is a formula for every pixel."""

ROUNDINGS = 4.0
"""How many times PyTorch's own rounding, as :mod:`convlint.numerics.noise` measures it, a program may be off.

Correct conversions that compute in another order are off by up to 2.5 (the variance of nearly equal values);
architectures, attention and norms by up to 2.0. The executor uses PyTorch's kernels, so that this says
nothing of Core ML's own rounding: what runs on a device is judged by ``PARITY`` alone.
"""

LAST_BIT = 2.0**-23
"""The relative step between neighbouring float32 numbers, by which inputs are moved to see what that does."""

HUGE = 3e38
"""Numbers beyond stand for infinity in a program: the TorchScript frontend writes 3.4e38 for infinity.

https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py
"""
