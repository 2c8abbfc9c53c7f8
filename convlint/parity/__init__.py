"""Whether the converted program computes what the PyTorch model computes."""

from __future__ import annotations

from convlint.parity.compare import compare, parity
from convlint.parity.result import Divergence, Parity

__all__ = ["Divergence", "Parity", "compare", "parity"]
