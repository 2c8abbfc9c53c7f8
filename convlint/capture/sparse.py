"""Tensors that are stored in another layout than strides say."""

from __future__ import annotations

from typing import Any


def is_sparse(tensor: Any) -> bool:
    """Whether only some elements of it are stored, in whichever of PyTorch's sparse layouts."""
    import torch

    return isinstance(tensor, torch.Tensor) and tensor.layout in (
        torch.sparse_coo,
        torch.sparse_csr,
        torch.sparse_csc,
        torch.sparse_bsr,
        torch.sparse_bsc,
    )
