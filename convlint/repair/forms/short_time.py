"""Short-time Fourier transforms as convolutions, on real and imaginary parts.

A frame times its window times the matrix of the transform is a convolution that moves by the hop. Its inverse
adds up frames where they overlap, as a transposed convolution over the same matrix does.
https://docs.pytorch.org/docs/stable/generated/torch.istft.html has the sums.
"""

from __future__ import annotations

import math
from typing import Any

from convlint.repair.forms.counterparts import Call
from convlint.repair.forms.fourier import LONGEST
from convlint.rewrites.table import NotApplicable, need_numbers

FORWARD = ("aten.stft.default", "aten.stft.center")
INVERSE = ("aten.istft.default",)


def spectrum(call: Call, signal: Any) -> tuple[Any, Any]:
    """The parts of ``torch.stft`` of a real signal, (..., frequencies, frames)."""
    import torch

    size, hop = _sizes(call)
    if bool(call.argument("align_to_window")):
        raise NotApplicable("its frames are aligned to their windows")
    rows = signal.reshape(-1, 1, signal.shape[-1])
    if bool(call.argument("center", False)):
        rows = torch.nn.functional.pad(rows, (size // 2, size // 2), call.argument("pad_mode", "reflect"))
    shape = tuple(call.value.shape if call.value.is_complex() else call.value.shape[:-1])
    frequencies = int(shape[-2])
    cos, sin = _matrices(frequencies, size)
    scale = _window(call, size) * (1 / math.sqrt(size) if call.argument("normalized") else 1.0)
    parts = (
        torch.nn.functional.conv1d(rows, (matrix * scale).unsqueeze(1), stride=hop) for matrix in (cos, -sin)
    )
    re, im = (part.reshape(shape) for part in parts)
    return re, im


def signal(call: Call, re: Any, im: Any) -> Any:
    """``torch.istft`` of these parts: real, (..., samples)."""
    import torch

    size, hop = _sizes(call)
    frequencies, frames = size // 2 + 1, re.shape[-1]
    need_numbers(frames)
    re, im = re.narrow(-2, 0, frequencies), im.narrow(-2, 0, frequencies)  # of real values these say all
    if call.value.is_complex():
        raise NotApplicable("it returns complex values")
    window, centered = _window(call, size), bool(call.argument("center", True))
    twice = torch.tensor([1.0 if row in (0, size / 2) else 2.0 for row in range(frequencies)])
    cos, sin = (matrix * twice.reshape(-1, 1) for matrix in _matrices(frequencies, size))
    scale = window * (1 / math.sqrt(size) if call.argument("normalized") else 1 / size)
    added = torch.nn.functional.conv_transpose1d
    flat = (-1, frequencies, frames)
    whole = added(re.reshape(flat), (cos * scale).unsqueeze(1), stride=hop) - added(
        im.reshape(flat), (sin * scale).unsqueeze(1), stride=hop
    )
    squares = (window * window).reshape(1, 1, size)
    weight = added(torch.ones(1, 1, frames), squares, stride=hop)
    start = size // 2 if centered else 0
    wanted = int(call.value.shape[-1])
    there = min(wanted, int(whole.shape[-1]) - start)
    samples = whole.narrow(-1, start, there) / weight.narrow(-1, start, there)
    if there < wanted:
        samples = torch.nn.functional.pad(samples, (0, wanted - there))
    return samples.reshape(tuple(call.value.shape)).to(call.value.dtype)


def _sizes(call: Call) -> tuple[int, int]:
    """The length of a frame, and how far the next one is from it."""
    size = int(call.argument("n_fft"))
    if size > LONGEST:
        raise NotApplicable(f"the transform is longer than {LONGEST}")
    hop = call.argument("hop_length")
    return size, size // 4 if hop is None else int(hop)


def _window(call: Call, size: int) -> Any:
    """The window in the middle of a frame, zeros around it."""
    import torch

    window = call.argument("window")
    if window is None:
        length = call.argument("win_length")
        window = torch.ones(size if length is None else int(length))
    if window.is_complex():
        raise NotApplicable("its window is complex")
    missing = size - int(window.shape[0])
    if not missing:
        return window
    return torch.nn.functional.pad(window, (missing // 2, missing - missing // 2))


def _matrices(frequencies: int, size: int) -> tuple[Any, Any]:
    """Cosines and sines of a transform of one frame, (frequencies, size), real tensors of the trace."""
    import torch

    from convlint import torch_adapter

    with torch_adapter.real_tensors():
        turns = torch.outer(torch.arange(frequencies), torch.arange(size)) % size
        angle = turns.to(torch.float64) * (2 * math.pi / size)
        return torch.cos(angle).float(), torch.sin(angle).float()
