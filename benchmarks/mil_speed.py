"""Time and memory of the executor beside PyTorch's own forward pass.

    python -m benchmarks.mil_speed [MODEL ...]

Each model of torchvision is converted at float32 with real random weights and run a few times both ways,
each in a process of its own (Linux). Memory is what running takes beyond loading, at its peak, and the
weights, without which neither side runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

MODELS = ("resnet50", "vit_b_16")
ROUNDS = 5


def measured(name: str, side: str) -> dict[str, float]:
    """Seconds of the fastest run, and megabytes that running took beyond loading."""
    import torch
    import torchvision

    from convlint import mil
    from convlint.capture.methods import Source
    from convlint.numerics.conversion import convert
    from convlint.numerics.running import program_inputs

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    x = torch.randn(1, 3, 224, 224)
    run: Any
    if side == "torch":
        run = torch.inference_mode()(lambda: model(x))
        weights = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    else:
        source = Source(None, model, lambda: ((x,), {}))
        converted = convert(source, "iOS17", "float32", "export", None)
        inputs = program_inputs(converted, ((x,), {}))
        run = lambda: mil.run(converted.program, inputs)  # noqa: E731
        weights = 0.0
    clear_peak()
    before = current()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "megabytes": high_water() - before, "weights": weights}


def clear_peak() -> None:
    """Start the kernel's record of the peak anew (Linux)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _status(key: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def current() -> float:
    return _status("VmRSS:")


def high_water() -> float:
    return _status("VmHWM:")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--side", choices=("torch", "mil"))
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measured(options.models[0], options.side)))
        return 0
    print(f"{'model':16} {'PyTorch':>9} {'executor':>9} {'ratio':>6} {'memory':>15} {'ratio':>6}")
    for name in options.models:
        found = {}
        for side in ("torch", "mil"):
            command = [sys.executable, "-m", "benchmarks.mil_speed", name, "--side", side]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[side] = json.loads(done.stdout.splitlines()[-1])
        torch_side, mil_side = found["torch"], found["mil"]
        room = torch_side["weights"] + torch_side["megabytes"]
        taken = torch_side["weights"] + mil_side["megabytes"]
        print(
            f"{name:16} {torch_side['seconds']:8.3f}s {mil_side['seconds']:8.3f}s "
            f"{mil_side['seconds'] / torch_side['seconds']:6.2f} "
            f"{room:6.0f} {taken:6.0f} MB {taken / room:6.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
