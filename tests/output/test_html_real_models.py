"""The page of real models, from check to browser: a ViT, a detector, Llama; with trials in the long run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, opened

from convlint.cli.program import main

VIT = ("torchvision.models:vit_b_16", "--input", "1x3x224x224")
DETECTOR = (
    "torchvision.models.detection:ssdlite320_mobilenet_v3_large",
    "--arg-expr=weights_backbone=None",
    "--input",
    "1x3x320x320",
)
YOLOS = (
    "transformers:YolosForObjectDetection",
    "--arg-expr",
    "config=transformers.YolosConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768)",
    "--input",
    "1x3x512x864",
)
"""The tiny one of https://huggingface.co/hustvl/yolos-tiny, on the size of image that its tables are of."""
LLAMA = (
    "transformers:LlamaForCausalLM",
    "--arg-expr",
    "config=transformers.LlamaConfig()",
    "--input",
    "input_ids=1x64:int64",
)


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.stem(x).mean((2, 3)))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def report(project: Path) -> Callable[..., str]:
    """The page that the command line writes of a model, beside its drawing."""

    def write(*words: str) -> str:
        files = ("--report", "report.html", "--report", "report.svg")
        code = main(["check", *words, "--frontend", "export", "--no-cache", "--quiet", *files])
        assert code in (0, 1)
        assert (project / "report.svg").read_text(encoding="utf-8").startswith("<svg")
        return (project / "report.html").read_text(encoding="utf-8")

    return write


def look_through(browser: Any, text: str, folder: Path, module: str) -> None:
    """Open it, find a module, open everything, and follow the first link of a finding to its op."""
    with opened(browser, text, folder) as shown:
        page = shown.page
        painted = int(page.evaluate("document.documentElement.dataset.painted"))
        print(f"{page.title()}: {len(text) / 1e6:.1f} MB, painted after {painted} ms")
        page.get_by_role("combobox").fill(module)
        page.get_by_role("combobox").press("Enter")
        assert shown.in_sight(shown.chosen())
        assert module in page.locator(".details").inner_text()
        link = page.locator("article.finding a[data-show^=n]").first
        link.click()
        assert shown.in_sight(shown.chosen())
        page.get_by_role("button", name="Open every module").click()
        assert page.locator(".op").count() > 10
        page.get_by_role("button", name="Close every module").click()
        assert page.locator(".leaves > g").count() < 100


def test_a_vit(browser: Any, report: Callable[..., str], tmp_path: Path) -> None:
    text = report(*VIT, "--no-trial")
    look_through(browser, text, tmp_path, "encoder.layers.encoder_layer_7.mlp")
    assert "scaled_dot_product_attention" in text
    assert "A17 Pro, iOS17" in text
    assert "Off the Neural Engine" in text


def test_a_plan_of_a_program(browser: Any, project: Path, tmp_path: Path) -> None:
    (project / "nets.py").write_text(NET, encoding="utf-8")
    words = ["plan", "nets.py:Net", "--input", "1x3x64x64", "--chip", "M1", "--os", "macOS14", "--quiet"]
    assert main([*words, "--report", "plan.html", "--report", "plan.svg"]) == 0
    with opened(browser, (project / "plan.html").read_text(encoding="utf-8"), tmp_path) as shown:
        shown.page.get_by_role("button", name="Open every module").click()
        assert {"conv", "relu"} <= set(shown.page.locator(".op .name").all_text_contents())
        assert "M1, macOS14" in shown.page.locator(".facts").inner_text()
        assert shown.page.locator(".op .unit").count() == shown.page.locator(".op").count()
    assert "<svg" in (project / "plan.svg").read_text(encoding="utf-8")
    assert main(["check", *words[1:4], "--chip", "A99", "--report", "page.html"]) == 2
    assert not (project / "page.html").exists()


def test_a_detector(browser: Any, report: Callable[..., str], tmp_path: Path) -> None:
    look_through(browser, report(*YOLOS, "--no-trial"), tmp_path, "bbox_predictor")


def test_llama_with_its_seven_billion_parameters(
    browser: Any, report: Callable[..., str], tmp_path: Path
) -> None:
    text = report(*LLAMA, "--no-trial")
    assert "6.74 B" in text
    look_through(browser, text, tmp_path, "model.layers.17.self_attn")


@pytest.mark.corpus
def test_a_detector_of_recorded_ops(browser: Any, report: Callable[..., str], tmp_path: Path) -> None:
    look_through(browser, report(*DETECTOR), tmp_path, "head.regression_head")


@pytest.mark.corpus
def test_llama_with_its_trial(browser: Any, report: Callable[..., str], tmp_path: Path) -> None:
    look_through(browser, report(*LLAMA), tmp_path, "model.layers.17.self_attn")


def test_a_model_and_its_changed_copy_stand_side_by_side(browser: Any, project: Path, tmp_path: Path) -> None:
    before = NET.replace("self.stem(x).mean((2, 3))", "torch.hypot(self.stem(x), self.stem(x)).mean((2, 3))")
    (project / "old_net.py").write_text(before, encoding="utf-8")
    (project / "net.py").write_text(NET, encoding="utf-8")
    models = [
        f'[[models]]\nname = "{name}"\nspec = "{spec}"\ninputs = ["1x3x32x32"]\n'
        for name, spec in (("before", "old_net.py:Net"), ("after", "net.py:Net"))
    ]
    (project / "convlint.toml").write_text("\n".join(models), encoding="utf-8")
    assert main(["check", "--all", "--html", "both.html", "--quiet", "--frontend", "export"]) == 1
    with opened(browser, (project / "both.html").read_text(encoding="utf-8"), tmp_path) as shown:
        shown.page.get_by_label("beside it").select_option("after")
        verdicts = shown.page.locator(".verdict h2").all_inner_texts()
        assert [text.split()[0] for text in verdicts] == ["Does", "Converts"]
        assert shown.page.locator("section.model:visible").count() == 2
