"""What fix says of its result is what plain coremltools does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools as ct
import pytest
import torch
from torch import nn

from convlint.repair.fix import fix


class Wkv(nn.Module):
    """The recurrence of RWKV, with its running maximum, written step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.decay, self.first = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))

    def forward(self, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(key)
        above = below = torch.zeros_like(key[:, 0])
        high = torch.full_like(above, -1e38)
        for step in range(key.shape[1]):
            k, v = key[:, step], value[:, step]
            top = torch.maximum(high, k + self.first)
            old, new = torch.exp(high - top), torch.exp(k + self.first - top)
            out[:, step] = (old * above + new * v) / (old * below + new)
            top = torch.maximum(high - torch.exp(self.decay), k)
            old, new = torch.exp(high - torch.exp(self.decay) - top), torch.exp(k - top)
            above, below, high = old * above + new * v, old * below + new, top
        return out


class Calls(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def line(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def numbers(*shape: int) -> torch.Tensor:
    return torch.randint(-9, 9, shape, generator=torch.Generator().manual_seed(0))


MODELS: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...], bool]] = {
    "a recurrence": (Wkv(), (line(1, 3, 4), line(1, 3, 4)), True),
    "nothing to change": (Calls(torch.relu), (line(2, 3),), True),
    "a running sum of exponentials": (Calls(lambda x: torch.logcumsumexp(x, 1)), (line(2, 5) * 90,), True),
    "bits of a number without axes": (Calls(torch.bitwise_or), (numbers(3, 2), numbers()), True),
    "an input in another order": (Calls(torch.relu), (line(1, 2, 3, 4).permute(0, 2, 3, 1),), True),
    "a boolean returned as it came": (Calls(lambda x, m: (x * m, m)), (line(2, 3), line(2, 3) > 0), True),
    "places of pooled maxima": (
        Calls(lambda x: nn.functional.max_pool2d(x, 2, return_indices=True)), (line(1, 2, 4, 6),), True
    ),
    "the conjugate's imaginary part": (Calls(lambda x: torch.fft.rfft(x).conj().imag), (line(2, 6),), True),
    "a transform of a vector": (Calls(lambda x: torch.fft.rfft(x).abs()), (line(6),), True),
    "a transform of booleans": (Calls(lambda x: torch.fft.rfft(x).real), (line(2, 6) > 0,), True),
    "a function of integers": (Calls(torch.atan), (numbers(2, 3),), True),
    "probabilities, which other inputs are not": (
        Calls(nn.functional.binary_cross_entropy), (line(2, 3).sigmoid(), line(2, 3).sigmoid()), True
    ),
    "the first axis of three": (Calls(torch.cross), (line(3, 3, 2), line(3, 3, 2).flip(2)), True),
    "as many values as data say": (Calls(torch.masked_select), (line(2, 3), line(2, 3) > 0), False),
    "nothing to write it in": (Calls(torch.nextafter), (line(2, 3), line(2, 3) + 1), False),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_verdict_is_what_coremltools_does(name: str) -> None:
    module, inputs, expected = MODELS[name]
    fixed = fix(module.eval(), inputs)
    assert fixed.program is not None
    try:
        ct.convert(fixed.program, minimum_deployment_target=ct.target.iOS17, convert_to="milinternal")
        converts = True
    except Exception:
        converts = False
    assert (fixed.converts == "yes") is converts
    assert converts is expected, [(left.op, left.error) for left in fixed.remaining]
    if expected:
        assert fixed.ships
        wanted, found = module(*inputs), fixed.module(*inputs)
        for one, other in zip(
            *((each,) if isinstance(each, torch.Tensor) else each for each in (wanted, found)), strict=True
        ):
            assert one.dtype == other.dtype
            assert torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-5)
