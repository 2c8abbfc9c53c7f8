"""The form that a model is shipped in, made of the one that it is trained in, and told in every report."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Convlint
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel

import convlint
from convlint.errors import ModelError
from convlint.model.form import Form

X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(5))


class Branches(nn.Module):
    """Two branches while it is trained, one convolution where it is shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.merged: nn.Conv2d | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.merged is not None:
            return self.merged(x)
        return self.norm(self.wide(x)) + x

    def reparameterize(self) -> None:
        if self.merged is not None:
            return
        self.merged = nn.Conv2d(3, 3, 3, padding=1)
        scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        kernel = self.wide.weight * scale[:, None, None, None]
        kernel = kernel.clone()
        kernel[range(3), range(3), 1, 1] += 1
        self.merged.weight.data = kernel
        self.merged.bias.data = (self.wide.bias - self.norm.running_mean) * scale + self.norm.bias
        del self.wide, self.norm


class Forgetful(Branches):
    """Its switch forgets the statistics of the norm, which a new model does not show."""

    def reparameterize(self) -> None:
        self.merged = nn.Conv2d(3, 3, 3, padding=1)
        kernel = self.wide.weight.data.clone()
        kernel[range(3), range(3), 1, 1] += 1
        self.merged.weight.data, self.merged.bias.data = kernel, self.wide.bias.data
        del self.wide, self.norm


class Fused(nn.Module):
    """Its ``fuse`` gives the module that takes its place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 3, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        fused = nn.Conv2d(3, 3, 1, bias=False)
        fused.weight.data.copy_(
            (self.second.weight[:, :, 0, 0] @ self.first.weight[:, :, 0, 0])[:, :, None, None]
        )
        return fused


class Features(nn.Module):
    """Has a method of that name which fuses what it has computed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.parts = [self.layer(x), x]
        return self.fuse()

    def fuse(self) -> torch.Tensor:
        return self.parts[0] + self.parts[1]


def weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 4, 3)))


def observed() -> nn.Module:
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(quantization.QuantStub(), nn.Conv2d(3, 4, 3)).eval()
        model.qconfig = quantization.get_default_qconfig("x86")
        quantization.prepare(model, inplace=True)
    model(X)
    return model


def fake_quantized() -> nn.Module:
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(quantization.QuantStub(), nn.Conv2d(3, 4, 3)).train()
        model.qconfig = quantization.get_default_qat_qconfig("x86")
        quantization.prepare_qat(model, inplace=True)
    model(X)
    return model


def pruned() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


FOLLOWS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a switch": (
        lambda: nn.Sequential(Branches(), Branches()),
        "2 blocks reparameterized (Branches.reparameterize)",
    ),
    "a replacement": (lambda: nn.Sequential(Fused()), "1 block reparameterized (Fused.fuse)"),
    "a replacement of the whole": (Fused, "1 block reparameterized (Fused.fuse)"),
    "old weight norm": (weight_norm, "1 weight norm folded (remove_weight_norm)"),
    "old spectral norm": (
        lambda: nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 4, 3))),
        "1 spectral norm folded (remove_spectral_norm)",
    ),
    "weight norm": (
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
        "1 weight norm folded (remove_parametrizations)",
    ),
    "spectral norm": (
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))),
        "1 spectral norm folded (remove_parametrizations)",
    ),
    "another parametrization": (
        lambda: nn.Sequential(parametrizations.orthogonal(nn.Conv2d(3, 4, 3))),
        "1 parametrization folded (remove_parametrizations)",
    ),
    "pruning": (pruned, "1 pruned weight made permanent (torch.nn.utils.prune.remove)"),
    "observers": (observed, "2 observers taken out (HistogramObserver)"),
    "fake quantization": (
        fake_quantized,
        "3 fake quantizations with fixed scales (FusedMovingAvgObsFakeQuantize)",
    ),
}


def values_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def form_of(model: Any, **options: Any) -> Form:
    form = convlint.check(model, X, trial=None, **options).form
    assert form is not None
    return form


@pytest.mark.parametrize("kind", FOLLOWS)
def test_the_deployed_form_is_judged_and_the_model_left_as_it_is(kind: str) -> None:
    build, words = FOLLOWS[kind]
    model = build()
    values, kinds = values_of(model), [type(part) for part in model.modules()]
    model.train()
    random = torch.get_rng_state()
    report = convlint.check(model, X)
    assert report.convertible == "yes"
    assert report.form is not None
    assert report.form.deployed
    assert not report.form.kept
    assert report.form.sentence == f"Judged in its deployed form: {words}; --as-trained for the other."
    assert report.form.error is not None
    assert report.form.error < 1e-5
    assert torch.equal(torch.get_rng_state(), random)
    assert [type(part) for part in model.modules()] == kinds
    assert model.training
    after = model.state_dict()
    assert list(after) == list(values)
    assert all(torch.equal(after[name], values[name]) for name in values)
    with torch.no_grad():
        model.eval()(X)  # and still runs


@pytest.mark.parametrize("kind", ["a switch", "old weight norm", "weight norm"])
def test_a_builder_is_judged_in_the_deployed_form_without_weights(kind: str) -> None:
    build, words = FOLLOWS[kind]
    deployed, trained = convlint.check(build, X), convlint.check(build, X, as_trained=True)
    assert deployed.form is not None
    assert trained.form is not None
    assert deployed.capture_method == "torch.export on tensors without data"
    assert deployed.form.sentence.startswith(f"Judged in its deployed form: {words}")
    assert trained.form.sentence == f"Judged as trained, as asked; the deployed form: {words}."
    assert deployed.graph is not None
    assert trained.graph is not None
    assert len(deployed.graph.tensor_calls) < len(trained.graph.tensor_calls)


def test_a_switch_that_changes_the_numbers_is_taken_back() -> None:
    for model in (Forgetful, nn.Sequential(Forgetful(), Branches())):
        form = form_of(model) if model is Forgetful else form_of(trained_a_little(model))
        assert [each.how for each in form.kept] == ["Forgetful.reparameterize"]
        assert "the outputs differ by" in form.sentence
        assert [step.how for step in form.steps] == (
            [] if model is Forgetful else ["Branches.reparameterize"]
        )


def trained_a_little(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, 3, 16, 16) * 3 + 1)
    return model


def test_a_method_that_only_has_the_name_of_a_switch_is_left_alone() -> None:
    form = form_of(nn.Sequential(Features(), Branches()))
    assert [step.how for step in form.steps] == ["Branches.reparameterize"]
    assert [each.how for each in form.kept] == ["Features.fuse"]


def test_what_only_training_needs_is_taken_off_without_a_copy_of_a_weight() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    for wrapped, name in (
        (torch.compile(net), "torch.compile"),
        (nn.DataParallel(net), "DataParallel"),
        (AveragedModel(net), "AveragedModel"),
        (nn.Sequential(nn.DataParallel(net)), "DataParallel"),
    ):
        report = convlint.check(wrapped, X, trial=None)
        assert report.form is not None
        assert report.form.sentence == f"Judged in its deployed form: without {name}."
        assert report.model == "Sequential"


def test_gradient_checkpointing_is_named() -> None:
    class Recomputing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)
            self.grad_checkpointing = True

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            from torch.utils.checkpoint import checkpoint

            return checkpoint(self.layer, x, use_reentrant=False)

    report = convlint.check(Recomputing(), X)
    assert report.convertible == "yes"
    assert report.form is not None
    assert report.form.sentence == "Judged in its deployed form: without gradient checkpointing."


def test_a_module_on_the_meta_device_is_switched_and_not_compared() -> None:
    with torch.device("meta"):
        model = nn.Sequential(Branches())
    form = form_of(model)
    assert form.deployed
    assert form.error is None
    assert form.sentence.endswith("; the two were not compared: the model has no weights.")


def test_a_switch_that_reads_values_gets_them() -> None:
    class Reads(Branches):
        def reparameterize(self) -> None:
            if float(self.norm.running_var.min()) < 0:
                raise ValueError("a variance is negative")
            super().reparameterize()

    form = form_of(lambda: nn.Sequential(Reads()))
    assert form.deployed
    assert [step.number for step in form.steps] == [1]


def test_a_deployed_form_may_leave_out_what_serves_training() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.many = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = {"one": self.one(x)}
            return found | {"many": self.many(x)} if hasattr(self, "many") else found

        def fuse(self) -> None:
            del self.many

    form = form_of(Detector())
    assert form.deployed
    assert form.dropped == 1
    assert "1 output of training left out" in form.sentence


def test_every_view_of_a_model_is_of_the_same_form() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Branches4())
    for deployed in (True, False):
        options = {} if deployed else {"as_trained": True}
        fixed = convlint.fix(model, X, **options)
        compared = convlint.parity(model, X, **options)
        planned = convlint.plan(model, X, **options)
        assert fixed.form is not None
        assert fixed.form.deployed is deployed
        assert compared.form is not None
        assert compared.form.deployed is deployed
        assert compared.status == "equal"
        assert fixed.form.sentence in fixed.notes
        assert fixed.form.sentence in planned.notes
        assert any("merged" in name for name, _ in fixed.module.named_parameters()) is deployed


class Branches4(Branches):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def reparameterize(self) -> None:
        self.merged = nn.Conv2d(4, 4, 3, padding=1)
        scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        kernel = (self.wide.weight * scale[:, None, None, None]).detach().clone()
        kernel[range(4), range(4), 1, 1] += 1
        self.merged.weight.data = kernel
        self.merged.bias.data = (self.wide.bias - self.norm.running_mean) * scale + self.norm.bias
        del self.wide, self.norm


def test_a_model_with_one_form_has_no_word_about_it() -> None:
    report = convlint.check(nn.Conv2d(3, 4, 3), X, trial=None)
    assert report.form is None
    assert report.to_dict()["form"] is None
    assert "deployed" not in str(report)


def test_adapters_of_peft_style_layers_are_merged() -> None:
    class Adapter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.low, self.high = (
                nn.Conv2d(3, 4, 1),
                nn.Conv2d(3, 2, 1),
                nn.Conv2d(2, 4, 1, bias=False),
            )
            nn.init.zeros_(self.low.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + self.high(self.low(x))

        def get_base_layer(self) -> nn.Module:
            return self.base

        @torch.no_grad()
        def merge(self, safe_merge: bool = False) -> None:
            more = self.high.weight[:, :, 0, 0] @ self.low.weight[:, :, 0, 0]
            self.base.weight += more[:, :, None, None]
            self.base.bias += self.high.weight[:, :, 0, 0] @ self.low.bias

    model = nn.Sequential(Adapter())
    before = values_of(model)
    assert form_of(model).sentence.startswith("Judged in its deployed form: 1 adapter merged (Adapter.merge)")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


MODELS = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = weight_norm(nn.Conv2d(3, 8, 3))

    def forward(self, x):
        return torch.relu(self.layer(x))
"""


def test_the_command_line_says_which_form_it_judged(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    words = ["models.py:Net", "--input", "1x3x16x16"]
    deployed = "Judged in its deployed form: 1 weight norm folded (remove_parametrizations); --as-trained for"
    trained = "Judged as trained, as asked; the deployed form: 1 weight norm folded"
    for command in ("check", "plan", "fix"):
        assert deployed in " ".join(convlint(command, *words).out.split())
        assert trained in " ".join(convlint(command, *words, "--as-trained").out.split())
    answer = json.loads(convlint("check", *words, "--format", "json").out)
    form = answer.get("reports", [answer])[0]["form"]
    assert form["deployed"]
    assert form["sentence"].startswith(deployed)


def test_no_script_is_left_that_converts_another_form(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    words = ["fix", "models.py:Net", "--input", "1x3x16x16", "--emit", "convert.py"]
    told = " ".join(convlint(*words).out.split())
    assert "let the function that builds the model switch it, or give --as-trained" in told
    assert not (tmp_path / "convert.py").exists()


def test_the_configuration_knows_the_other_form(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "convlint.toml").write_text(
        'as-trained = true\n[[models]]\nspec = "models.py:Net"\ninputs = ["1x3x16x16"]\n'
    )
    assert "Judged as trained" in convlint("check").out


def test_a_comparison_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Branches):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(30)
            return super().forward(x)

    monkeypatch.setattr("convlint.capture.given.TIME_TO_COMPARE", 0.5)
    with pytest.raises(ModelError, match=r"deployed form took longer than 0\.5 seconds"):
        convlint.check(Slow(), X, trial=None)


def test_two_copies_of_a_parametrized_module_do_not_share_its_class() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)))
    twin = copy.deepcopy(model)
    convlint.check(model, X, trial=None)
    assert torch.equal(model(X), twin(X))
