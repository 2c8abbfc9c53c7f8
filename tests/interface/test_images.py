"""Pictures as inputs: read, converted as such, and folded where Core ML cannot normalise them."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

import convlint
from convlint import check
from convlint import coremltools_adapter as adapter
from convlint.checking.offers.image_fold import fold_std
from convlint.cli.program import main
from convlint.errors import UsageError
from convlint.interface.images import Image
from convlint.interface.inputs import parse_input
from convlint.interface.outputs import parse_output, parse_outputs
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


def findings_of(report: Report, code: str) -> list[Finding]:
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
        ("1x3x8x8:image(std=x)", "not a list of numbers"),
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
    assert findings_of(report, "CL430") == findings_of(report, "CL433") == []
    description = ct.models.MLModel(path, skip_model_load=True).get_spec().description.input[0]
    kind = description.type.imageType
    assert (description.name, kind.width, kind.height) == ("x", 64, 64)
    assert kind.colorSpace == kind.ColorSpace.Value("BGR")


def test_the_findings_about_pictures() -> None:
    plain = check(Net, ["1x3x64x64"])
    assert [finding.severity for finding in findings_of(plain, "CL430")] == ["note"]
    declared = check(Net, ["x=1x3x64x64:image"])
    assert (len(findings_of(declared, "CL430")), len(findings_of(declared, "CL433"))) == (0, 1)
    batch = check(Net, ["x=4x3x16x16:image"])
    assert (len(findings_of(batch, "CL431")), batch.convertible, batch.exit_code) == (1, "no", 1)
    assert "must be of kind (1, 3, H, W)" in batch.trial.failures[0].error


def test_a_std_for_each_channel_is_folded_and_proved() -> None:
    report = check(Net, [f"x=1x3x16x16:image({MEANS},{STDS})"])
    assert report.convertible == "yes"
    (finding,) = findings_of(report, "CL432")
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

    (finding,) = findings_of(check(Shared, [f"x=1x3x16x16:image({STDS})"]), "CL432")
    assert all(not replacement.proof for replacement in finding.replacements)


def test_fix_proposes_the_fold(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(Net), encoding="utf-8"
    )
    code = main(["fix", "net.py:Net", "--input", f"x=1x3x16x16:image({MEANS},{STDS})", "--format", "json"])
    notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert code == 0
    assert "convlint.fold_std(model, 'stem', (0.229, 0.224, 0.225))" in notes
    assert "compared on 3 random pictures" in notes


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
    (finding,) = findings_of(report, "CL435")
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


class Paints(nn.Module):
    def __init__(self, end: float = 255.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.end = end

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = torch.sigmoid(self.conv(x))
        return {"score": x.mean(), "picture": y * self.end, "mask": y[:, :1]}


@pytest.mark.parametrize(
    ("text", "name", "layout"),
    [
        ("image", None, None),
        ("y:image", "y", None),
        (" boxes.0 : image( bgr ) ", "boxes.0", "bgr"),
        ("1:image(gray16)", "1", "gray16"),
    ],
)
def test_output_specs_are_read_and_written(text: str, name: str | None, layout: str | None) -> None:
    spec = parse_output(text)
    assert (spec.name, spec.layout) == (name, layout)
    assert parse_output(str(spec)) == spec


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["y:picture"], "'picture' is not a kind of output"),
        (["y:image(rgba)"], "'rgba' is not one of rgb, bgr, gray, gray16"),
        (["y:image(mean=0.5)"], "is not a kind of output"),
        (["y z:image"], "'y z' cannot name an output"),
        (["y:image", "y:image(bgr)"], "two output specs are about 'y'"),
    ],
)
def test_output_specs_that_make_no_sense(texts: list[str], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_outputs(texts)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        (["pictur:image"], "no output 'pictur'. Did you mean picture? Its outputs: score, picture, mask."),
        (["image"], "the model has 3 outputs, so that the spec needs a name"),
        (["1:image", "picture:image"], "are about the same output"),
    ],
)
def test_output_specs_that_name_no_output(outputs: list[str], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(Paints, ["x=1x3x8x8"], trial=None, outputs=outputs)
    assert why in str(refused.value)


@pytest.mark.parametrize("frontend", ["export", "torchscript"])
def test_an_output_is_a_picture_in_the_converted_model(frontend: str, tmp_path: Path) -> None:
    import coremltools as ct

    path = str(tmp_path / "paints.mlpackage")
    outputs = ["picture:image(bgr)", "mask:image(gray16)"]
    report = check(Paints, ["x=1x3x64x32"], frontend=frontend, trial="full", output=path, outputs=outputs)
    assert report.convertible == "yes", report.trial
    assert [port.image for port in report.graph.outputs] == ["", "bgr", "gray16"]
    assert not any(findings_of(report, code) for code in ("CL434", "CL436", "CL437", "CL438"))
    _, picture, mask = ct.models.MLModel(path, skip_model_load=True).get_spec().description.output
    kinds = [port.type.imageType for port in (picture, mask)]
    assert [(kind.width, kind.height) for kind in kinds] == [(32, 64), (32, 64)]
    names = [kind.ColorSpace.Name(kind.colorSpace) for kind in kinds]
    assert names == ["BGR", "GRAYSCALE_FLOAT16"]


def test_the_findings_about_output_pictures() -> None:
    report = check(Paints, ["x=1x3x8x8"], outputs=["mask:image(rgb)"])
    (finding,) = findings_of(report, "CL436")
    assert "(1, 1, 8, 8)" in finding.message
    assert (report.convertible, [failure.stage for failure in report.trial.failures]) == ("no", ["output"])
    assert not findings_of(report, "CL190")
    old = check(Paints, ["x=1x3x8x8"], outputs=["mask:image(gray16)"], target="iOS15")
    assert (old.convertible, len(findings_of(old, "CL437")), findings_of(old, "CL190")) == ("no", 1, [])
    several = check(Paints, ["x={1x3x8x8,1x3x16x8}:image"], outputs=["picture:image"])
    assert several.convertible == "yes", several.trial


def test_pictures_that_come_out_are_configured(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "paints.py").write_text(
        "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(Paints), encoding="utf-8"
    )
    (project / "convlint.toml").write_text(
        "[[models]]\nspec = 'paints.py:Paints'\ninputs = ['x=1x3x8x8']\n"
        "outputs = [{ name = 'mask', image = true, layout = 'bgr' }]\n",
        encoding="utf-8",
    )
    assert main(["check", "--format", "json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert "CL436" in {finding["code"] for finding in report["findings"]}
    assert main(["check", "--output-type", "mask:image", "--format", "json"]) == 0  # the file is overruled


class Stem(nn.Module):
    """A normalisation before a convolution, in several spellings."""

    def __init__(self, how: str, padding: int) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("mean", torch.tensor(IMAGENET.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET.std).reshape(3, 1, 1))
        self.stem = nn.Conv2d(3, 8, 3, padding=padding, bias=how != "no bias")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "bytes":
            x = x / 255.0 - self.mean
        elif self.how == "numbers":
            x = 2.0 * x - 1.0
        elif self.how == "scale alone":
            return self.stem(x * self.std)
        elif self.how == "learned":
            return self.stem(x * self.stem.weight.mean())
        else:
            x = x - self.mean
        return torch.relu(self.stem(x if self.how == "numbers" else x / self.std))


@pytest.mark.parametrize(
    ("how", "padding", "left"),
    [
        ("buffers", 0, 0),
        ("bytes", 0, 0),
        ("no bias", 0, 0),
        ("numbers", 0, 0),
        ("scale alone", 1, 0),
        ("buffers", 1, 1),
        ("numbers", 1, 1),
    ],
)
def test_fix_folds_a_normalisation_into_the_convolution(how: str, padding: int, left: int) -> None:
    import coremltools as ct

    torch.manual_seed(0)
    model = Stem(how, padding).eval()
    fixed = convlint.fix(model, (torch.rand(1, 3, 12, 12),), for_="image")
    assert fixed.converts == "yes"
    (change,) = fixed.applied
    assert change.kind == "normalisation"
    assert ("the shift stays" in change.title) == bool(left and how != "scale alone")
    assert {"gradients", "outputs in float64"} <= set(fixed.checked)
    # What is left between picture and convolution once constants are computed.
    program = ct.convert(fixed.program, convert_to="milinternal", minimum_deployment_target=ct.target.iOS17)
    counts = Counter(str(operation.op_type) for operation in adapter.operations(program))
    assert sum(counts[name] for name in ("add", "sub", "mul", "real_div")) == left, counts
    picture = torch.rand(1, 3, 12, 12)
    torch.testing.assert_close(fixed.module(picture), model(picture), rtol=1e-4, atol=1e-5)
    # The weights stay the model's own: those that come of training are folded just as well.
    with torch.no_grad():
        model.stem.weight.mul_(1.5)
        model.mean.add_(0.1)
    torch.testing.assert_close(fixed.module(picture), model(picture), rtol=1e-4, atol=1e-5)


def test_fix_says_where_nothing_can_be_folded() -> None:
    fixed = convlint.fix(Stem("learned", 1), (torch.rand(1, 3, 12, 12),), for_="image")
    assert not fixed.applied
    assert "no input is only scaled and shifted" in " ".join(fixed.notes)
    with pytest.raises(UsageError, match="for_='video' is none of ane, image"):
        convlint.fix(Stem("buffers", 0), (torch.rand(1, 3, 12, 12),), for_="video")
