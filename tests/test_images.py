"""Pictures as inputs: read, converted as such, and folded where Core ML cannot normalise them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import convlint
from convlint import check
from convlint.cli import main
from convlint.errors import UsageError
from convlint.image_fold import fold_std
from convlint.images import Image
from convlint.inputs import parse_input
from convlint.model import Finding, Report

IMAGENET = Image("rgb", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MEANS = "mean=0.485/0.456/0.406"
STDS = "std=0.229/0.224/0.225"


class Net(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.stem(x)).mean((2, 3)))


def told(report: Report, code: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule.code == code]


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("x=1x3x8x8:image", Image()),
        ("x=1x1x8x8:image", Image("gray")),
        ("x=1x3x8x8: image( bgr , mean=0.5 )", Image("bgr", (0.5,))),
        (f"x=1x3x8x8:image({MEANS},{STDS})", IMAGENET),
        ("x=1x3x[8..16]x8:image", Image()),
    ],
)
def test_pictures_are_read_and_written(text: str, image: Image) -> None:
    spec = parse_input(text)
    assert (spec.image, spec.dtype) == (image, "float32")
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1x2x8x8:image", "axis 1 of the shape has 2"),
        ("1x8x8x3:image", "the channels come second in PyTorch"),
        ("3x8x8:image", "this shape has 3"),
        ("1x3x8x8:image(gray)", "layout gray has 1 channels"),
        ("1x3x8x8:image(rgba)", "not one of rgb, bgr, gray"),
        ("1x3x8x8:image(mean=1/2)", "mean has 2 numbers"),
        ("1x3x8x8:image(std=0)", "std must be above 0"),
        ("1x3x8x8:image(std=x)", "no list of numbers"),
        ("1x3x8x8:image(std=nan)", "must be finite"),
        ("1x3x8x8:image(bgr,rgb)", "each once"),
        ("1x3x8x8:image(bgr", "is written image"),
        ("[1..4]x3x8x8:image", "only height and width"),
    ],
)
def test_pictures_that_make_no_sense(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_input(text)
    assert why in str(refused.value)


def test_scale_and_bias_are_those_of_the_normalisation() -> None:
    image = Image("rgb", (0.485, 0.456, 0.406), (0.25,))
    scale, bias = image.scale_and_bias()
    for byte in (0, 17, 255):
        for mean, shift in zip(image.mean, bias, strict=True):
            assert byte * scale + shift == pytest.approx((byte / 255 - mean) / 0.25)
    assert Image("gray").scale_and_bias() == (1.0, (0.0,))


def test_a_picture_is_one_in_the_converted_model(tmp_path: Path) -> None:
    import coremltools as ct

    path = str(tmp_path / "net.mlpackage")
    report = check(Net, ["x=1x3x64x64:image(bgr,mean=0.5,std=0.25)"], trial="full", output=path)
    assert report.convertible == "yes"
    assert told(report, "CL430") == told(report, "CL433") == []
    description = ct.models.MLModel(path, skip_model_load=True).get_spec().description.input[0]
    kind = description.type.imageType
    assert (description.name, kind.width, kind.height) == ("x", 64, 64)
    assert kind.colorSpace == kind.ColorSpace.Value("BGR")


def test_what_pictures_are_told_of() -> None:
    plain = check(Net, ["1x3x64x64"])
    assert [finding.severity for finding in told(plain, "CL430")] == ["note"]
    declared = check(Net, ["x=1x3x64x64:image"])
    assert (len(told(declared, "CL430")), len(told(declared, "CL433"))) == (0, 1)
    batch = check(Net, ["x=4x3x16x16:image"])
    assert (len(told(batch, "CL431")), batch.convertible, batch.exit_code) == (1, "no", 1)
    assert "must be of kind (1, 3, H, W)" in batch.trial.failures[0].error


def test_a_std_for_each_channel_is_folded_and_proved() -> None:
    report = check(Net, [f"x=1x3x16x16:image({MEANS},{STDS})"])
    assert report.convertible == "yes"
    (finding,) = told(report, "CL432")
    fold = finding.replacements[0]
    assert "stem" in fold.title
    assert fold.proof.startswith("compared on 3 random pictures")

    torch.manual_seed(0)
    model = Net()
    names: dict[str, object] = {"torch": torch, "model": model, "x": torch.zeros(1, 3, 16, 16)}
    import coremltools as ct

    bytes_ = torch.randint(0, 256, (1, 3, 16, 16)).float()
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
    expected = model((bytes_ / 255 - mean) / std)
    exec(fold.after, {**names, "ct": ct}, shown := {})
    (declared,) = shown["inputs"]
    handed = bytes_ * declared.scale + torch.tensor(declared.bias).reshape(1, 3, 1, 1)
    torch.testing.assert_close(model(handed), expected, rtol=1e-4, atol=1e-5)


def test_the_fold_leaves_the_model_alone() -> None:
    model = Net()
    before = model.stem.weight.clone()
    folded = convlint.fold_std(model, "stem", IMAGENET.std)
    assert torch.equal(model.stem.weight, before)
    assert list(folded.state_dict()) == list(model.state_dict())
    ratio = folded.stem.weight / before
    assert torch.allclose(ratio, torch.tensor(IMAGENET.remainder()).reshape(1, 3, 1, 1))
    with pytest.raises(AttributeError):
        fold_std(model, "nothing", IMAGENET.std)


def test_what_cannot_be_folded_is_not_offered() -> None:
    class Shared(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + x.mean()

    (finding,) = told(check(Shared, [f"x=1x3x16x16:image({STDS})"]), "CL432")
    assert all(not replacement.proof for replacement in finding.replacements)


def test_fix_proposes_the_fold(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(Net), encoding="utf-8"
    )
    code = main(["fix", "net.py:Net", "--input", f"x=1x3x16x16:image({MEANS},{STDS})", "--format", "json"])
    told_notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert code == 0
    assert "convlint.fold_std(model, 'stem', (0.229, 0.224, 0.225))" in told_notes
    assert "compared on 3 random pictures" in told_notes


class Normalises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET.std).reshape(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.stem((x - self.mean) / self.std))


class Bare(Normalises):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.stem(x))


def test_a_normalisation_in_forward_is_divided_and_proved() -> None:
    import coremltools as ct

    report = check(Normalises, ["x=1x3x16x16:image(mean=0,std=1)"])
    (finding,) = told(report, "CL435")
    assert "/ self.std" in finding.site.source
    fold = finding.replacements[0]
    assert fold.proof.startswith("compared on 3 random pictures")

    torch.manual_seed(0)
    model = Normalises()
    picture = torch.randint(0, 256, (1, 3, 16, 16)).float()
    expected = model(picture / 255)
    bare = Bare()
    bare.load_state_dict(model.state_dict())
    names: dict[str, object] = {"torch": torch, "ct": ct, "model": bare, "x": picture}
    exec(fold.after, names, shown := {})
    (declared,) = shown["inputs"]
    handed = picture * declared.scale + torch.tensor(declared.bias).reshape(1, 3, 1, 1)
    torch.testing.assert_close(bare(handed), expected, rtol=1e-4, atol=1e-4)
