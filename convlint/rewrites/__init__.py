"""Replacements for ATen ops that coremltools refuses, one module a kind of op.

Each function is ordinary PyTorch over the arguments of the op. It is traced with the shapes of the
user's model, so loops over static sizes and Python conditions on shapes are welcome.
"""

KINDS = (
    "masks",
    "creation",
    "arithmetic",
    "functions",
    "activations",
    "reduction",
    "distances",
    "sorting",
    "matrices",
    "einsum",
    "indexing",
    "scatters",
    "shape",
    "resize",
    "pooling",
    "normalisation",
    "recurrence",
    "layers",
    "losses",
    "convolution",
    "bessel",
    "special",
    "operands",
    "polynomials",
    "corrections",
)
"""The modules of this package that register rewrites."""
