"""Imported once by the server of :mod:`command_line`: everything that a first check imports."""

from __future__ import annotations

import coremltools  # noqa: F401
import torch

from convlint.testing import quiet_check

torch.set_num_threads(1)
quiet_check(torch.nn.Linear(1, 1), torch.rand(1, 1))
