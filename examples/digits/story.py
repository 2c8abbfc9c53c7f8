"""From an architecture that does not convert to a trained model that does, and the proof of each step.

    python examples/digits/story.py [FOLDER]

Check, fix, check, train two epochs, convert with the trained weights, compare. The data comes with
scikit-learn. Everything is written to FOLDER, a temporary one where none is given; the architecture
beside this file stays as it is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import convlint
from convlint.cli.program import main as run_convlint
from convlint.model.parity import Parity

ARCHITECTURE = Path(__file__).with_name("net.py")
TARGET = "iOS17"
EXAMPLE = torch.zeros(1, 1, 8, 8)


@dataclass(frozen=True, slots=True)
class Digits:
    """Images of 1x8x8 and their numbers, to train with and to judge by."""

    images: torch.Tensor
    numbers: torch.Tensor
    unseen_images: torch.Tensor
    unseen_numbers: torch.Tensor


@dataclass(frozen=True, slots=True)
class Story:
    """What came of each step. ``moved_by_fix`` is how far the fix moved any score of the trained model."""

    before: convlint.Report
    after: convlint.Report
    untrained: Parity
    trained: Parity
    accuracy_untrained: float
    accuracy: float
    accuracy_of_program: float
    moved_by_fix: float
    package: Path


def main(folder: Path) -> Story:
    source = Path(shutil.copy(ARCHITECTURE, folder / "net.py"))
    original = network(source, "digits_before")

    heading("1. Check the architecture as it was written")
    before = convlint.check(original(), EXAMPLE, target=TARGET)
    print(f"converts: {before.convertible}")
    for finding in before.errors():
        print(f"  {finding.rule.code} line {finding.site.line}: {finding.message}")

    heading("2. Fix it, in its source")
    with contextlib.chdir(folder):  # convlint writes inside the project that it is called from
        status = run_convlint(["fix", "net.py:DigitNet", "--input", "1x1x8x8", "--target", TARGET, "--write"])
    print(f"exit code {status}")
    fixed = network(source, "digits_after")

    heading("3. Check it again")
    torch.manual_seed(0)
    model = fixed()
    after = convlint.check(model, EXAMPLE, target=TARGET)
    print(f"converts: {after.convertible}")

    heading("4. Compare the untrained program with PyTorch, before an epoch is spent")
    digits = load()
    example = digits.unseen_images[:1]
    untrained = convlint.parity(model, example, target=TARGET, precision="float16")
    tell(untrained)
    accuracy_untrained = accuracy(scores(model, digits.unseen_images), digits.unseen_numbers)

    heading("5. Train two epochs")
    train(model, digits)
    trained_scores = scores(model, digits.unseen_images)
    reached = accuracy(trained_scores, digits.unseen_numbers)
    print(f"digits recognised: {accuracy_untrained:.1%} before, {reached:.1%} after")
    twin = original()
    twin.load_state_dict(model.state_dict())
    moved = float((scores(twin, digits.unseen_images) - trained_scores).abs().max())
    print(f"the architecture as it was written has the same scores with these weights, within {moved:.1e}")

    heading("6. Convert with the trained weights")
    program = torch.export.export(model.eval(), (example,)).run_decompositions({})
    converted = ct.convert(
        program,
        minimum_deployment_target=getattr(ct.target, TARGET),
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,  # Linux has nothing to load it with
    )
    package = folder / "Digits.mlpackage"
    converted.save(str(package))
    print(f"written: {package.name}, {sum(f.stat().st_size for f in package.rglob('*')) / 1000:.0f} kB")

    heading("7. Compare the trained program with PyTorch")
    trained = convlint.parity(model, example, target=TARGET, precision="float16")
    tell(trained)
    (name,) = (port.name for port in converted.get_spec().description.input)
    outputs = [
        next(iter(convlint.mil.run(package, {name: image[None]}).values())) for image in digits.unseen_images
    ]
    of_program = accuracy(torch.from_numpy(np.concatenate(outputs)), digits.unseen_numbers)
    print(f"digits recognised by the converted program: {of_program:.1%}")
    return Story(before, after, untrained, trained, accuracy_untrained, reached, of_program, moved, package)


def network(path: Path, name: str) -> type[nn.Module]:
    """The class in this file, as it stands there now."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DigitNet


def load() -> Digits:
    """1,797 digits of 8x8 pixels, of which a fifth is kept for judging."""
    images, numbers = load_digits(return_X_y=True)
    seen, unseen, known, unknown = train_test_split(
        images.reshape(-1, 1, 8, 8).astype(np.float32) / 16, numbers, test_size=0.2, random_state=0
    )
    return Digits(*map(torch.from_numpy, (seen, known, unseen, unknown)))


def train(model: nn.Module, digits: Digits, epochs: int = 2, batch: int = 32) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(digits.images)).split(batch):
            loss = F.cross_entropy(model(digits.images[chosen]), digits.numbers[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(chosen)
        print(f"epoch {epoch + 1}: loss {total / len(digits.images):.3f}")


def scores(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(images)


def accuracy(scores: torch.Tensor, numbers: torch.Tensor) -> float:
    return float((scores.argmax(1) == numbers).float().mean())


def tell(parity: Parity) -> None:
    print(
        f"{parity.status} at {parity.precision}: largest error {parity.max_rel_error:.1e} of the largest"
        " score"
    )


def heading(text: str) -> None:
    print(f"\n## {text}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
