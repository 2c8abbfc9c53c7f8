"""Models by the names that their libraries give them: what builds them, what they take, and mistakes."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Convlint

from convlint.errors import ModelError, UsageError
from convlint.interface.inputs import make_tensors
from convlint.usercode.by_name import full
from convlint.usercode.by_name.full import InFull, Library, in_full
from convlint.usercode.spec import load_model

FEW = "torchvision:squeezenet1_1"
"""A model that is built and converted in a moment."""


def found(spec: str, args: dict[str, Any] | None = None, exprs: dict[str, str] | None = None) -> InFull:
    model = in_full(spec, args or {}, exprs or {})
    assert model is not None
    return model


def shapes(model: InFull) -> list[tuple[int, ...]]:
    return [each.shape for each in model.inputs]


def run_without_memory(model: InFull) -> None:
    """Build the model and run its forward with the stated inputs, on the meta device."""
    args, kwargs = make_tensors(model.inputs)
    with torch.device("meta"), torch.no_grad():
        module = load_model(model.spec, model.args, model.arg_exprs).build().eval()
        module(*(each.to("meta") for each in args), **{k: each.to("meta") for k, each in kwargs.items()})


# torchvision


def test_every_name_of_torchvision_is_the_function_that_builds_it() -> None:
    models = import_module("torchvision.models")
    for name in models.list_models():
        if "rcnn" in name or "retina" in name or "fcos" in name or "ssd" in name:
            continue  # these are asked for their sizes, which takes longer
        model = found(f"torchvision:{name}")
        where, _, attribute = model.spec.partition(":")
        assert getattr(import_module(where), attribute) is models.get_model_builder(name)
        assert model.inputs
        assert not model.args


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("resnet18", "torchvision.models:resnet18", [(1, 3, 224, 224)]),
        ("vit_h_14", "torchvision.models:vit_h_14", [(1, 3, 224, 224)]),  # has larger weights too
        ("inception_v3", "torchvision.models:inception_v3", [(1, 3, 299, 299)]),
        ("efficientnet_b1", "torchvision.models:efficientnet_b1", [(1, 3, 240, 240)]),
        (
            "lraspp_mobilenet_v3_large",
            "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
            [(1, 3, 520, 520)],
        ),
        ("r3d_18", "torchvision.models.video:r3d_18", [(1, 3, 16, 112, 112)]),
        ("raft_small", "torchvision.models.optical_flow:raft_small", [(1, 3, 224, 224)] * 2),
        ("quantized_resnet18", "torchvision.models.quantization:resnet18", [(1, 3, 224, 224)]),
    ],
)
def test_the_sizes_are_those_that_the_weights_were_trained_for(
    name: str, spec: str, expected: list[tuple[int, ...]]
) -> None:
    model = found(f"torchvision:{name}")
    assert model.spec == spec
    assert shapes(model) == expected
    if "quantized" not in name:  # its batch norms look at values
        run_without_memory(model)


def test_a_size_that_is_given_to_the_model_is_the_size_of_its_picture() -> None:
    model = found("torchvision:vit_b_16", {"image_size": 96})
    assert shapes(model) == [(1, 3, 96, 96)]
    run_without_memory(model)


@pytest.mark.parametrize(
    ("name", "side"),
    [("fasterrcnn_mobilenet_v3_large_320_fpn", 320), ("ssd300_vgg16", 300), ("retinanet_resnet50_fpn", 800)],
)
def test_a_detector_takes_pictures_of_the_size_that_it_works_at(name: str, side: int) -> None:
    model = found(f"torchvision:{name}")
    assert model.spec == f"torchvision.models.detection:{name}"
    assert shapes(model) == [(1, 3, side, side)]
    if side == 320:  # the others take half a minute
        loaded = load_model(model.spec, model.args, model.arg_exprs)
        with torch.no_grad():
            assert len(loaded.build().eval()(torch.rand(shapes(model)[0]))) == 1  # nothing was fetched for it


def test_a_detector_of_another_size() -> None:
    model = found("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", {"min_size": 192})
    assert shapes(model) == [(1, 3, 192, 192)]


# timm


def test_timm_states_the_size_of_the_picture() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    model = found("timm:test_vit")
    assert model == InFull("timm:create_model", {"model_name": "test_vit"}, {}, model.inputs)
    assert shapes(model) == [(1, 3, 160, 160)]
    run_without_memory(model)
    assert shapes(found("timm:vit_tiny_patch16_224.augreg_in21k")) == [(1, 3, 224, 224)]


def test_arguments_of_timm_change_the_picture() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    model = found("timm:test_vit", {"in_chans": 1, "img_size": 96, "num_classes": 7})
    assert shapes(model) == [(1, 1, 96, 96)]
    run_without_memory(model)
    with pytest.raises(UsageError, match="leave --arg model_name out"):
        in_full("timm:test_vit", {"model_name": "resnet18"}, {})


def test_the_long_form_stays() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    assert in_full("timm:create_model", {"model_name": "test_vit"}, {}) is None
    assert in_full("torchvision.models:resnet18", {}, {}) is None
    assert in_full("torchvision:models.resnet18", {}, {}) is None
    with pytest.raises(ModelError, match=r"no model named 'resnet18\.large'"):
        in_full("torchvision:resnet18.large", {}, {})
    assert in_full("nets.py:Net", {}, {}) is None


# transformers


@pytest.mark.parametrize(
    ("name", "cls", "inputs"),
    [
        ("bert", "BertModel", {"input_ids": (1, 64)}),
        ("t5", "T5Model", {"input_ids": (1, 64), "decoder_input_ids": (1, 16)}),
        ("vit", "ViTModel", {"pixel_values": (1, 3, 224, 224)}),
        ("clip", "CLIPModel", {"input_ids": (1, 64), "pixel_values": (1, 3, 224, 224)}),
        ("whisper", "WhisperModel", {"input_features": (1, 80, 3000), "decoder_input_ids": (1, 16)}),
        ("wav2vec2", "Wav2Vec2Model", {"input_values": (1, 16_000)}),
        ("audio-spectrogram-transformer", "ASTModel", {"input_values": (1, 1024, 128)}),
        ("videomae", "VideoMAEModel", {"pixel_values": (1, 16, 3, 224, 224)}),
        ("parakeet_encoder", "ParakeetEncoder", {"input_features": (1, 256, 80)}),
        ("glmasr_encoder", "GlmAsrEncoder", {"input_features": (1, 128, 256)}),
        ("patchtst", "PatchTSTModel", {"past_values": (1, 32, 1)}),
        ("sam2", "Sam2Model", {"pixel_values": (1, 3, 1024, 1024)}),
        (
            "lxmert",
            "LxmertModel",
            {"input_ids": (1, 64), "visual_feats": (1, 36, 2048), "visual_pos": (1, 36, 4)},
        ),
    ],
)
def test_a_type_of_transformers_has_a_model_and_its_inputs(
    name: str, cls: str, inputs: dict[str, tuple[int, ...]]
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    model = found(f"hf:{name}")
    assert model.spec == f"transformers:{cls}"
    assert {each.name: each.shape for each in model.inputs} == inputs
    assert "num_hidden_layers" not in model.arg_exprs["config"]
    run_without_memory(model)


def test_an_encoder_of_patches_has_their_grid_as_values() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = found("hf:qwen3_vl_vision", {"depth": 1})
    assert list(map(str, model.inputs)) == ["hidden_states=256x1536:float32", "grid_thw=1x3:int64=1,16,16"]
    encoder = transformers.AutoModel.from_config(transformers.Qwen3VLVisionConfig(depth=1))
    with torch.no_grad():
        rows = encoder(torch.zeros(256, 1536), torch.tensor([[1, 16, 16]])).last_hidden_state
    assert rows.shape[0] == 256


def test_inputs_that_no_signature_tells_are_stated_with_the_sizes_of_the_configuration() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    inputs = found("hf:bros", {"dim_bbox": 4}).inputs
    assert {each.name: each.shape for each in inputs} == {"input_ids": (1, 64), "bbox": (1, 64, 4)}
    inputs = found("hf:bros").inputs
    reader = transformers.AutoModel.from_config(transformers.BrosConfig(num_hidden_layers=1)).eval()
    with torch.no_grad():
        assert reader(**make_tensors(inputs)[1]).last_hidden_state.shape == (1, 64, 768)


def test_an_agent_is_given_what_it_saw_and_did() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    inputs = found("hf:decision_transformer").inputs
    assert {each.name: each.shape for each in inputs} == {
        "states": (1, 20, 17),
        "actions": (1, 20, 4),
        "rewards": (1, 20, 1),
        "returns_to_go": (1, 20, 1),
        "timesteps": (1, 20),
    }
    agent = transformers.AutoModel.from_config(transformers.DecisionTransformerConfig(num_hidden_layers=1))
    with torch.no_grad():
        assert agent(**make_tensors(inputs)[1]).action_preds.shape == (1, 20, 4)


def test_a_very_large_default_has_few_layers() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    model = found("hf:llama")
    assert model.arg_exprs == {"config": "transformers.LlamaConfig(num_hidden_layers=4)"}
    run_without_memory(model)
    whole = found("hf:llama", {"num_hidden_layers": 32})
    assert whole.arg_exprs == {"config": "transformers.LlamaConfig(num_hidden_layers=32)"}


def test_arguments_are_the_models_or_its_configurations() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    model = found("hf:bert", {"hidden_size": 96, "num_attention_heads": 3, "add_pooling_layer": False})
    assert model.args == {"add_pooling_layer": False}
    assert model.arg_exprs == {"config": "transformers.BertConfig(hidden_size=96, num_attention_heads=3)"}
    mine = "transformers.BertConfig(max_position_embeddings=32)"
    model = found("hf:bert", exprs={"config": mine})
    assert (model.arg_exprs, shapes(model)) == ({"config": mine}, [(1, 32)])


def test_a_setting_that_the_configuration_lacks_is_refused() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    with pytest.raises(UsageError, match=r"BertConfig, .* has no 'hiden_size'. Did you mean hidden_size"):
        in_full("hf:bert", {"hiden_size": 96}, {})
    assert in_full("hf:gpt2", {"n_layer": 2, "num_attention_heads": 4}, {}) is not None


def test_a_type_without_a_model_says_what_to_write() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    with pytest.raises(ModelError, match="names no model for the type 'encoder-decoder' alone"):
        in_full("hf:encoder-decoder", {}, {})


# mistakes


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("torchvision:resnet81", "torchvision has no model named 'resnet81'. Did you mean resnet18?"),
        ("torchvision:maskrcnn", "Names with it: maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2."),
        ("torchvision:nothing", "torchvision has no model named 'nothing'."),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(convlint: Convlint, spec: str, said: str) -> None:
    ran = convlint("check", spec)
    assert ran.code == 3
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("package", "spec", "nearest"),
    [
        ("timm", "timm:vit_tiny_patch_224", "vit_tiny_patch16_224"),
        ("timm", "timm:vit_tiny_patch16_224.augreg_in21", "vit_tiny_patch16_224.augreg_in21k"),
        ("transformers", "hf:bertt", "bert"),
    ],
)
def test_an_unknown_name_of_the_others(package: str, spec: str, nearest: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    with pytest.raises(ModelError, match=f"Did you mean {nearest}"):
        in_full(spec, {}, {})


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(full.LIBRARIES, "zoo", Library("zoo", "a_zoo_that_is_nowhere", "of_timm"))
    with pytest.raises(ModelError, match="which is not installed here: pip install a_zoo_that_is_nowhere"):
        in_full("zoo:lion", {}, {})


def test_a_module_of_ones_own_comes_first(convlint: Convlint, tmp_path: Path) -> None:
    net = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 4)\n"
    (tmp_path / "hf.py").write_text(f"from torch import nn\n{net}")
    (tmp_path / "timm.py").write_text(f"from torch import nn\n{net}")
    for spec in ("hf:Net", "timm:Net"):
        ran = convlint("check", spec, "--input", "1x3", "--no-trial", "--format", "json")
        assert json.loads(ran.out)["model"] == spec


# commands


def test_check_knows_the_inputs_and_says_the_long_form(convlint: Convlint) -> None:
    ran = convlint("check", FEW, "--format", "json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["convertible"] == "yes"
    full_form = "torchvision.models:squeezenet1_1 --input 1x3x224x224:float32"
    assert f"{FEW} is {full_form}" in report["notes"]


def test_a_given_input_takes_the_place_of_the_stated_one(convlint: Convlint) -> None:
    ran = convlint("plan", FEW, "--input", "1x3x64x64", "--format", "json")
    plan = json.loads(ran.out)
    assert plan["model"] == FEW
    assert [1, 64, 31, 31] in [output["shape"] for op in plan["ops"] for output in op["outputs"]]


def test_a_configured_model_has_a_name_too_and_is_kept(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "convlint.toml").write_text(f'[[models]]\nname = "small"\nspec = "{FEW}"\n')
    kept = {"CONVLINT_CACHE": "1", "CONVLINT_CACHE_DIR": str(tmp_path / "kept")}
    first = json.loads(convlint("check", "--model", "small", "--no-trial", "--format", "json", **kept).out)
    assert first["model"] == "small"
    second = json.loads(convlint("check", "--model", "small", "--no-trial", "--format", "json", **kept).out)
    assert any("the result of an earlier check" in note for note in second["notes"])


def test_fix_writes_a_script_of_the_long_form(convlint: Convlint, tmp_path: Path) -> None:
    ran = convlint("fix", FEW, "--input", "1x3x32x32", "--emit", "to_coreml.py", timeout=300)
    assert ran.code == 0, ran.out + ran.err
    script = (tmp_path / "to_coreml.py").read_text()
    assert "from torchvision.models import squeezenet1_1" in script
    assert "model = squeezenet1_1().eval()" in script
