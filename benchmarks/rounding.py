"""How far a correct conversion is from PyTorch by rounding alone, beside what ``noise_of`` predicts.

    python -m benchmarks.rounding
    python -m benchmarks.rounding --modules
    python -m benchmarks.rounding --float16

Layers that add up or cancel, and architectures of torchvision and timm with random weights, each converted
at float32 through both frontends and run on random inputs. The first figure is the largest error of an
output, in units of what PyTorch's own rounding and the last bit of its inputs move that output by:
``ROUNDINGS`` in ``convlint/numerics/tolerance.py`` must lie above all of them. The second is the same error
as a share of the largest value, which the tolerances of float32 must lie above, but for outputs that are
rounding alone. ``--modules`` compares each module with its exported and decomposed program instead, in
PyTorch: outputs, gradients, and gradients that are small beside the largest one of the model. ``--float16``
prints what rounding to float16 after each operation does to the outputs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from convlint.numerics.difference import share_of

SEEDS = 5


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(size, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


FRONTENDS = ("export", "torchscript")


def layers() -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Each with its name and an input."""
    rows, picture = torch.randn(4, 1024), torch.randn(2, 16, 24, 24)
    far = rows + 100.0
    functions: dict[str, tuple[Callable[..., Any], torch.Tensor]] = {
        "softmax": (lambda x: F.softmax(x, -1), rows),
        "log_softmax": (lambda x: F.log_softmax(x, -1), rows),
        "logsumexp of large numbers": (lambda x: torch.logsumexp(x, -1), far),
        "cumsum of 1024": (lambda x: torch.cumsum(x, -1), rows),
        "cumsum of 1024, less itself": (lambda x: torch.cumsum(x, -1) - torch.cumsum(x * 1.0, -1), rows),
        "mean of 1024": (lambda x: x.mean(-1), rows),
        "x less its mean, summed": (lambda x: (x - x.mean(-1, keepdim=True)).sum(-1), far),
        "variance far from zero": (lambda x: x.var(-1), far),
        "variance of nearly equal values": (lambda x: (x * 1e-6 + 1).var(-1), rows),
        "standard deviation": (lambda x: x.std(-1), far),
        "norm": (lambda x: x.norm(dim=-1), rows),
        "cosine similarity with itself": (lambda x: F.cosine_similarity(x, x * 2.0, -1) - 1, rows),
        "distance of two ways": (lambda x: (x @ x.T) - (x.unsqueeze(1) * x.unsqueeze(0)).sum(-1), rows),
        "product of matrices": (lambda x: x @ x.T, rows),
        "x squared less squares": (lambda x: (x + 1) ** 2 - x**2 - 2 * x - 1, far),
        "exp less exp": (lambda x: torch.exp(x) - torch.exp(-x) - 2 * torch.sinh(x), rows),
        "sine squared and cosine squared": (lambda x: torch.sin(x) ** 2 + torch.cos(x) ** 2 - 1, rows),
        "sine of large numbers": (lambda x: torch.sin(x * 1000), rows),
        "sigmoid and tanh": (lambda x: 2 * torch.sigmoid(2 * x) - 1 - torch.tanh(x), rows),
        "bilinear resize": (lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"), picture),
        "average pooling, less the mean": (
            lambda x: F.adaptive_avg_pool2d(x, 1) - x.mean((2, 3), keepdim=True),
            picture,
        ),
    }
    for name, (function, example) in functions.items():
        yield name, Function(function), example
    yield "attention", Attention(64), torch.randn(2, 32, 64)
    yield "layer norm", nn.LayerNorm(1024), rows
    yield "layer norm far from zero", nn.LayerNorm(1024), rows * 1e-3 + 100
    yield "group norm", nn.GroupNorm(4, 16), picture
    yield "instance norm far from zero", nn.InstanceNorm2d(16), picture * 1e-3 + 100
    yield "batch norm", nn.BatchNorm2d(16), picture
    yield "twelve linear layers", nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(12))), rows
    yield "convolution of 3x3", nn.Conv2d(16, 64, 3, padding=1), picture
    yield "LSTM", nn.LSTM(64, 64, batch_first=True), torch.randn(2, 40, 64)
    encoder = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    yield "transformer layer", encoder, torch.randn(2, 32, 64)


VISION = ("resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x1_0", "densenet121", "vgg11_bn")
TIMM = (
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "convnext_atto",
    "efficientnet_b0",
    "mixer_s32_224",
    "regnety_002",
    "resmlp_12_224",
    "mobilevit_xxs",
)


def architectures() -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Each with its name and an input."""
    import timm
    import torchvision

    picture = torch.randn(1, 3, 224, 224)
    for name in VISION:
        yield f"torchvision {name}", torchvision.models.get_model(name, weights=None), picture
    for name in TIMM:
        yield f"timm {name}", timm.create_model(name, pretrained=False), picture


def shares(module: nn.Module, example: torch.Tensor, frontend: Any) -> Iterator[tuple[float, float]]:
    """For each output of each run its error in units of the rounding, and as a share of its largest value."""
    from convlint import mil
    from convlint.capture.methods import Source
    from convlint.numerics.conversion import convert
    from convlint.numerics.noise import rounding_of
    from convlint.numerics.program_errors import measure
    from convlint.numerics.running import expected, paired, program_inputs
    from convlint.numerics.samples import varied

    converted = convert(Source(None, module, lambda: ((example,), {})), "iOS18", "float32", frontend, 300.0)
    for seed in range(SEEDS):
        inputs = varied(converted.inputs, seed)
        right = expected(converted, inputs)
        outputs = paired(converted, right, mil.run(converted.program, program_inputs(converted, inputs)))
        units = rounding_of(module, inputs, right)
        assert units is not None
        for one, other, unit in zip(outputs, right, units, strict=True):
            errors = measure([one], [other])
            yield share_of(errors.max_abs_error, unit), errors.max_rel_error


def module_shares(module: nn.Module, example: torch.Tensor) -> tuple[float, float, float]:
    """Of a decomposed program beside its module: errors of outputs, of gradients, and of vanishing ones.

    Each is relative to the largest value of its tensor, vanishing gradients to the largest of all.
    """
    from convlint.numerics.comparison import module_difference, outputs_of
    from convlint.numerics.difference import distances, scale_of
    from convlint.numerics.gradients import gradients_of
    from convlint.numerics.tolerance import GRADIENT_NOISE

    program = torch.export.export(module, (example,)).run_decompositions().module()
    inputs = ((example,), {})
    outputs = module_difference(outputs_of(program, inputs, 0), outputs_of(module, inputs, 0)).share
    right, actual = gradients_of(module, inputs), gradients_of(program, inputs)
    pairs = [(right[name], actual[name]) for name in right if right[name] is not None]
    largest = max((scale_of(one) for one, _ in pairs), default=0.0)
    gradients = vanishing = 0.0
    for one, other in pairs:
        scale, error = scale_of(one), float(distances(other, one).max())
        if scale > GRADIENT_NOISE * largest:
            gradients = max(gradients, error / scale)
        else:
            vanishing = max(vanishing, error / largest)
    return outputs, gradients, vanishing


def print_modules() -> None:
    """The errors of every module beside its own program, a line each."""
    for name, module, example in (case for group in (layers, architectures) for case in group()):
        try:
            outputs, gradients, vanishing = module_shares(module.eval(), example)
        except Exception as error:  # what does not export has nothing to compare
            print(f"{name}: {type(error).__name__}: {str(error)[:120]}", flush=True)
            continue
        print(
            f"{name}: outputs {outputs:.2g}, gradients {gradients:.2g}, vanishing {vanishing:.2g}", flush=True
        )


def print_float16() -> None:
    """The error of every float16 conversion, relative to the largest value, a line each."""
    from convlint.capture.methods import Source
    from convlint.numerics.conversion import convert
    from convlint.numerics.running import measured

    for name, module, example in (case for group in (layers, architectures) for case in group()):
        inputs = ((example,), {})
        source = Source(None, module.eval(), partial(tuple, inputs))
        try:
            converted = convert(source, "iOS18", "float16", "export", 300.0)
            errors = measured(converted, converted.inputs, None)
        except Exception as error:  # what does not convert has nothing to compare
            print(f"{name}: {type(error).__name__}: {str(error)[:120]}", flush=True)
            continue
        print(f"{name}: {errors.max_rel_error:.2g} of the largest value", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", action="store_true", help="leave the architectures out")
    parser.add_argument("--float16", action="store_true", help="convert at float16")
    parser.add_argument("--modules", action="store_true", help="compare modules with their own programs")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if options.modules:
        print_modules()
        return 0
    if options.float16:
        print_float16()
        return 0
    rows = []
    cases = [layers] if options.layers else [layers, architectures]
    for name, module, example in (case for group in cases for case in group()):
        for frontend in FRONTENDS:
            try:
                pairs = list(shares(module.eval(), example, frontend))
            except Exception as error:  # what does not convert has nothing to compare
                print(f"{name}, {frontend}: {type(error).__name__}: {str(error)[:120]}", flush=True)
                continue
            units, relative = (max(column) for column in zip(*pairs, strict=True))
            rows.append((units, f"{name}, {frontend}"))
            print(f"{rows[-1][1]}: {units:.2f} roundings, {relative:.2g} of the largest value", flush=True)
    for units, name in sorted(rows, reverse=True)[:5]:
        print(f"largest of {len(rows)}: {units:.2f} ({name})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
