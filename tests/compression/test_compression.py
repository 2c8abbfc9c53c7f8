"""Precision and compression by real conversions, and checkpoints that are those of the model, or not."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Convlint
from safetensors.torch import save_file
from sklearn.cluster import KMeans
from torch import nn

from convlint.capture.methods import Source
from convlint.checking.check import check
from convlint.checking.options import Options
from convlint.child import run_in_child
from convlint.compression.measure import measure_settings
from convlint.compression.settings import Setting, parse_settings
from convlint.errors import UsageError
from convlint.interface.inputs import parse_inputs
from convlint.model.as_dict import report_to_dict
from convlint.model.compression import Compression, Row
from convlint.model.run import Outcome, Run
from convlint.output.html.page import render_html
from convlint.output.markdown import render_markdown
from convlint.output.terminal import render_text
from convlint.runs.session import Session
from convlint.settings.jobs import Job
from convlint.usercode.checkpoint import load_into, read_checkpoint


class Net(nn.Module):
    """Two layers large enough to be compressed, one that is not, and sums that ``mixed`` keeps in float32."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        self.body = nn.Conv2d(32, width, 3)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.body(torch.relu(self.stem(x)))).mean((2, 3))
        return self.head(self.norm(y))


IMPOSSIBLE = Setting("palettize", 5)
"""What the command line refuses; coremltools does too, and the settings after it are made nevertheless."""


def _measured(*settings: Setting, precision: Any = "float16", target: str = "iOS18") -> Compression:
    source = Source(Net, None, lambda: ((torch.randn(1, 3, 16, 16),), {}))
    torch.manual_seed(0)
    return measure_settings(source, target, "export", precision, settings, timeout=250)


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    """Every setting on one model, by name."""
    words = ["int8,int4", "palettize:1..8", "prune:0.5", "w8a8"]
    measured = _measured(IMPOSSIBLE, *parse_settings(words, "iOS18"))
    assert not measured.plain.detail
    return {"none": measured.plain} | {row.setting: row for row in measured.rows}


def test_threads_that_the_parent_started_do_not_stop_the_child() -> None:
    """k-means has a pool of threads of its own, which a fork does not inherit and waited for."""
    values = np.random.default_rng(0).normal(size=(4096, 1))
    KMeans(4, n_init=1).fit(values)
    outcome = run_in_child(lambda channel: channel.send(len(KMeans(4, n_init=1).fit(values).labels_)), 60)
    assert (outcome.ending, outcome.sent) == ("finished", [4096])


def test_every_setting_is_made_and_smaller(table: dict[str, Row]) -> None:
    palettes = [f"palettize:{bits}" for bits in (1, 2, 3, 4, 6, 8)]
    assert list(table) == ["none", "palettize:5", "int8", "int4", *palettes, "prune:0.5", "w8a8"]
    assert [name for name, row in table.items() if row.detail] == ["palettize:5"]
    assert table["palettize:5"].detail.startswith("ValueError")
    plain = table["none"].bytes
    parameters = sum(parameter.numel() for parameter in Net().parameters())
    assert plain == pytest.approx(2 * parameters, rel=0.1)
    share = {name: row.bytes / plain for name, row in table.items()}
    assert 0.5 < share["int8"] < 0.65
    assert 0.5 < share["w8a8"] < 0.65
    assert 0.25 < share["int4"] < 0.45
    assert 0.5 < share["prune:0.5"] < 0.7, "half of the values, and a bit for each to say which"
    assert all(share[left] < share[right] for left, right in pairwise(palettes))


def test_errors_grow_with_what_is_saved(table: dict[str, Row]) -> None:
    noise = {name: row.errors.snr_db for name, row in table.items() if row.errors is not None}
    assert noise["none"] > 45
    assert noise["none"] > noise["int8"] > noise["int4"] > 0
    assert noise["palettize:8"] > noise["palettize:4"] > noise["palettize:2"] > noise["palettize:1"]
    assert noise["w8a8"] < noise["int8"], "rounding activations too costs something"


def test_layers_are_named_with_what_each_alone_costs(table: dict[str, Row]) -> None:
    row = table["palettize:2"]
    assert {layer.name for layer in row.layers} == {"body", "head"}, "the stem has fewer than 2,048 weights"
    for layer in row.layers:
        assert layer.bytes_after < layer.bytes_before / 4
        assert layer.errors is not None
        assert layer.errors.snr_db > 0
    costs = [layer.errors.snr_db for layer in row.layers if layer.errors is not None]
    assert costs == sorted(costs)
    assert row.errors is not None
    assert min(costs) >= row.errors.snr_db - 3, "one layer alone does not hurt more than all"


def test_precisions_differ_in_size_and_error(table: dict[str, Row]) -> None:
    mixed, half = _measured(precision="mixed").plain, table["none"]
    assert not mixed.detail
    assert half.bytes < mixed.bytes < 1.1 * half.bytes, "the scale and the shift of the norm are in float32"
    assert mixed.errors is not None
    assert half.errors is not None
    assert mixed.errors.snr_db >= half.errors.snr_db


@pytest.mark.parametrize(
    ("word", "target", "message"),
    [
        ("int4", "iOS17", "only iOS18 and later can read, and the target is iOS17: give --target iOS18"),
        ("w8a8", "macOS13", "only iOS17 and later"),
        ("int8", "iOS15", "only iOS16 and later"),
        ("int9", "iOS18", "no setting 'int9'. Did you mean int8"),
        ("palettize", "iOS18", "give the bits"),
        ("palettize:5", "iOS18", "palettes of 1, 2, 3, 4, 6, 8 bits"),
        ("palettize:6..2", "iOS18", "the range is reversed; write palettize:2..6"),
        ("palettize:0..16", "iOS18", "palettes of 1, 2, 3, 4, 6, 8 bits"),
        ("prune:1.5", "iOS18", "as in prune:0.5"),
        ("prune:nan", "iOS18", "as in prune:0.5"),
        ("int8:4", "iOS18", "int8 takes no number"),
    ],
)
def test_settings_that_cannot_be(word: str, target: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings([word], target)
    assert message in str(caught.value)


def test_the_python_function_refuses_too() -> None:
    with pytest.raises(UsageError, match="only iOS18 and later"):
        check(Net, torch.zeros(1, 3, 16, 16), compress=["int4"])


def test_the_command_line_refuses_before_it_imports_anything(convlint: Convlint) -> None:
    ran = convlint("compress", "nowhere:Net", "--input", "1x3", "--to", "int8,int4", "--target", "iOS16")
    assert ran.code == 2
    assert "int4 makes a model that only iOS18 and later can read" in ran.err
    ran = convlint("check", "nowhere:Net", "--input", "1x3", "--precision", "float32", "--no-trial")
    assert ran.code == 2


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    files = {"zip.pt": True, "legacy.pt": False}
    for name, zipped in files.items():
        torch.save(
            {"state_dict": {"w": torch.ones(2)}, "more": _Evil(ran)},
            tmp_path / name,
            _use_new_zipfile_serialization=zipped,
        )
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(_Evil(ran)))
    for name in (*files, "plain.pkl"):
        with pytest.raises(UsageError, match=r"is refused, and none of its code was run|cannot be read"):
            read_checkpoint(str(tmp_path / name))
        assert not ran.exists()
    with pytest.raises(UsageError, match="is refused, and none of its code was run"):
        read_checkpoint(str(tmp_path / "zip.pt"))


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_a_truncated_checkpoint_is_one_clear_sentence(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    state = Net().state_dict()
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    with pytest.raises(UsageError, match="cut off, damaged or no file of weights"):
        read_checkpoint(str(path))


def test_a_checkpoint_of_another_model_says_what_differs(tmp_path: Path) -> None:
    torch.save(Net(width=48).state_dict(), tmp_path / "wide.pt")
    state = read_checkpoint(str(tmp_path / "wide.pt"))
    with pytest.raises(UsageError) as caught:
        load_into(Net(), state, "wide.pt")
    assert "is that of another model: body.weight is 48x32x3x3 there and 32x32x3x3 in the model" in str(
        caught.value
    )
    with pytest.raises(UsageError, match="it has no weight"):
        load_into(nn.Linear(2, 2), state, "wide.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UsageError, match="holds a list without tensors"):
        read_checkpoint(str(tmp_path / "list.pt"))
    with pytest.raises(UsageError, match="there is no checkpoint"):
        read_checkpoint(str(tmp_path / "nowhere.pt"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
    ],
    ids=["plain", "with-optimizer", "data-parallel"],
)
def test_checkpoints_as_training_scripts_write_them(tmp_path: Path, wrap: Any) -> None:
    trained = Net()
    torch.save(wrap(trained.state_dict()), tmp_path / "net.pt")
    loaded = load_into(Net(), read_checkpoint(str(tmp_path / "net.pt")), "net.pt")
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), loaded.parameters(), strict=True))


def test_one_name_of_tied_weights_is_enough(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(8, 4), nn.Linear(4, 8, bias=False)
            self.head.weight = self.embed.weight

    weight = torch.arange(32.0).reshape(8, 4)
    save_file({"embed.weight": weight}, tmp_path / "tied.safetensors")
    loaded = load_into(Tied(), read_checkpoint(str(tmp_path / "tied.safetensors")), "tied.safetensors")
    assert torch.equal(loaded.head.weight, weight)
    with pytest.raises(UsageError, match=r"it has no embed\.weight"):
        load_into(Tied(), {"other": weight}, "tied.safetensors")


def test_check_shows_the_table_with_the_weights_of_a_checkpoint(project: Path) -> None:
    (project / "net.py").write_text(
        "import torch\n\nclass Net(torch.nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(64, 64)\n"
    )
    linear = nn.Linear(64, 64)
    with torch.no_grad():  # every weight 1 or -1: one bit says it all
        linear.weight.copy_(torch.where(torch.rand(64, 64) < 0.5, 1.0, -1.0))
    save_file(linear.state_dict(), project / "net.safetensors")
    job = Job(
        "net",
        "net.py:Net",
        inputs=parse_inputs(["1x64"]),
        options=Options(
            precision="float32",
            compress=parse_settings(["palettize:1"], "iOS17"),
            checkpoint=str(project / "net.safetensors"),
        ),
        root=str(project),
    )
    report = Session(quiet=True).check(job).report
    assert report is not None
    assert report.compression is not None
    (palette,) = report.compression.rows
    assert report.compression.plain.bytes == 4 * (64 * 64 + 64)
    assert palette.errors is not None
    assert palette.errors.snr_db > 40, "a palette of two colours holds these weights exactly"
    text = render_text(report)
    assert "Precision and compression: iOS17, float32, weights of" in text
    assert "random" not in text.partition("Precision and compression")[2]
    assert "palettize:1: hurts most in " in text
    run = Run((Outcome("net", "net.py:Net", str(project), report),), str(project))
    pages = ((render_markdown(run), "| palettize:1 | iOS16 |"), (render_html(run), "<td>palettize:1</td>"))
    for page, cell in pages:
        assert "Precision and compression: iOS17, float32, weights of" in page
        assert cell in page
    table = report_to_dict(report)["compression"]
    assert [row["setting"] for row in table["rows"]] == ["palettize:1"]
    assert table["rows"][0]["bytes"] == palette.bytes

    wrong = replace(job, options=replace(job.options, checkpoint=str(project / "wide.safetensors")))
    save_file(nn.Linear(32, 64).state_dict(), project / "wide.safetensors")
    outcome = Session(quiet=True).check(wrong)
    assert outcome.error is not None
    assert outcome.error.exit_code == 2
    assert "is that of another model: weight is 64x32 there and 64x64 in the model" in str(outcome.error)
