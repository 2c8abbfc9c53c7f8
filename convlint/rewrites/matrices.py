"""Small matrices: determinant, inverse and solution by cofactors."""

from __future__ import annotations

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor
_LARGEST = 4
"""Rows of a matrix that is written out: the terms grow with the factorial, and so does their rounding."""

Entries = list[list[Tensor]]


@rewrite("aten.linalg_det.default")
def determinant(A: Tensor) -> Tensor:
    """The determinant by cofactors, of up to four rows."""
    return _determinant(_entries(A))


@rewrite("aten.linalg_inv.default")
def inverse(A: Tensor) -> Tensor:
    """The cofactors over the determinant, of up to four rows."""
    entries = _entries(A)
    size = len(entries)
    if size == 1:
        return 1.0 / A
    rows = [torch.stack([_cofactor(entries, j, i) for j in range(size)], -1) for i in range(size)]
    return torch.stack(rows, -2) / _determinant(entries).unsqueeze(-1).unsqueeze(-1)


@rewrite("aten.linalg_inv_ex.default")
def inverse_and_info(A: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """The cofactors over the determinant, of up to four rows; no failure is told."""
    return inverse(A), torch.full(list(A.shape[:-2]), 0, dtype=torch.int32)


@rewrite("aten.linalg_solve.default")
def solution(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """A product with the inverse by cofactors, of up to four rows."""
    if B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1]):
        return torch.matmul(inverse(A), B.unsqueeze(-1)).squeeze(-1)
    return torch.matmul(inverse(A), B) if left else torch.matmul(B, inverse(A))


@rewrite("aten.linalg_matrix_power.default", "aten.matrix_power.default")
def matrix_power(self: Tensor, n: int) -> Tensor:
    """Products of squares; of the inverse by cofactors for a negative power, of up to four rows."""
    size = self.shape[-1]
    if n == 0:
        return torch.eye(size, dtype=self.dtype).expand(self.shape).clone()
    square, left = (self if n > 0 else inverse(self)), abs(n)
    out = None
    while True:
        if left % 2:
            out = square if out is None else torch.matmul(out, square)
        left //= 2
        if not left:
            break
        square = torch.matmul(square, square)
    assert out is not None
    return out.clone() if out is self else out


@rewrite("aten.addbmm.default")
def addbmm(self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """The products of the batch, summed, and a sum."""
    product = torch.bmm(batch1, batch2).sum([0])
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (self if beta == 1 else self * beta) + product


def _entries(A: Tensor) -> Entries:
    size = A.shape[-1]
    if size > _LARGEST or A.is_complex():
        raise NotApplicable(f"cofactors are written out for real matrices of up to {_LARGEST} rows")
    return [[A.select(-2, i).select(-1, j) for j in range(size)] for i in range(size)]


def _cofactor(entries: Entries, row: int, column: int) -> Tensor:
    """The signed determinant of what is left without a row and a column."""
    rest = [
        [entry for j, entry in enumerate(line) if j != column] for i, line in enumerate(entries) if i != row
    ]
    minor = _determinant(rest)
    return -minor if (row + column) % 2 else minor


def _determinant(entries: Entries) -> Tensor:
    if len(entries) == 1:
        return entries[0][0]
    terms = [entry * _cofactor(entries, 0, column) for column, entry in enumerate(entries[0])]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
