"""``convlint.fix(..., for_="ane")``: the stream of a transformer kept channels-first, and proved."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import torch
from conftest import Convlint
from torch import nn

import convlint
from convlint.repair.layout import channels_first
from convlint.repair.layout.axes import Layout, plain_layout
from convlint.repair.layout.views import Carrier
from convlint.repair.layout.walk import Counterpart
from convlint.rewrites.table import NotApplicable


class Block(nn.Module):
    """Attention written out, and a feed-forward part, as encoders have them."""

    def __init__(self, size: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size, bias=False)
        self.up, self.down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, size = x.shape
        split = self.qkv(self.norm(x)).reshape(batch, length, 3, self.heads, size // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) * (size // self.heads) ** -0.5
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, size)
        x = x + self.out(mixed)
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


def calls(fixed: Any) -> Counter[str]:
    """The calls that an input reaches, by name: what is done to weights alone is done once."""
    signature = fixed.program.graph_signature
    reached = set(signature.user_inputs)
    found: Counter[str] = Counter()
    for node in fixed.program.graph.nodes:
        if node.op == "call_function" and any(source.name in reached for source in node.all_input_nodes):
            reached.add(node.name)
            found[getattr(node.target, "_opname", node.target.__name__)] += 1
    return found


@pytest.fixture(scope="module")
def blocks() -> tuple[nn.Module, torch.Tensor, Any]:
    torch.manual_seed(0)
    model, x = nn.Sequential(Block(), Block()).eval(), torch.randn(2, 7, 16)
    return model, x, convlint.fix(model, (x,), for_="ane")


def test_the_stream_is_transposed_where_it_begins_and_where_it_ends(blocks: Any) -> None:
    _, _, fixed = blocks
    found = calls(fixed)
    assert fixed.converts == "yes"
    assert found["linear"] == found["matmul"] == found["layer_norm"] == found["view"] == 0
    assert found["conv2d"] == 8
    assert found["einsum"] == 2 * 2 * 4  # two products in each of four heads of two blocks
    assert found["permute"] == 2
    assert found["transpose"] == 2 * 4  # of the keys, which the equation wants so
    # Only to (B, C, 1, S) and back.
    assert found["reshape"] == 2


def test_it_is_proved_as_every_change_is(blocks: Any) -> None:
    model, x, fixed = blocks
    assert fixed.rolled_back == ()
    assert {"gradients", "outputs in float64"} <= set(fixed.checked)
    assert fixed.max_rel_error < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(fixed.module(x), model(x), rtol=1e-4, atol=1e-5)
    titles = {change.title for change in fixed.applied}
    assert {"attention head by head", "a 1x1 convolution over (batch, channels, 1, sequence)"} <= titles


def test_the_weights_keep_their_names_and_shapes(blocks: Any) -> None:
    model, _, fixed = blocks
    kept = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in fixed.module.state_dict().items()} == kept
    assert fixed.module.get_parameter("0.qkv.weight") is model.get_parameter("0.qkv.weight")


def test_a_real_vision_transformer() -> None:
    import timm

    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=10
    ).eval()
    fixed = convlint.fix(model, (torch.randn(1, 3, 32, 32),), for_="ane")
    found = calls(fixed)
    assert fixed.converts == "yes"
    assert found["linear"] == found["scaled_dot_product_attention"] == found["layer_norm"] == 0
    assert found["conv2d"] == 1 + 2 * 4 + 1  # patches, qkv, projection and two of each MLP, the head
    assert found["einsum"] == 16
    assert found["permute"] == 0  # patches come channels-first, and the head reads one token
    assert fixed.rolled_back == ()


@pytest.mark.corpus
def test_a_real_bert() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32, return_dict=False,
    )  # fmt: skip
    mask = torch.tensor([[1] * 9 + [0] * 3])
    fixed = convlint.fix(BertModel(config).eval(), (torch.randint(0, 50, (1, 12)), mask), for_="ane")
    found = calls(fixed)
    assert fixed.converts == "yes"
    assert found["linear"] == found["scaled_dot_product_attention"] == found["layer_norm"] == 0
    assert found["conv2d"] == 2 * 6 + 1
    assert fixed.rolled_back == ()
    # The embeddings in, the hidden states out, and the mask of each layer.
    assert found["permute"] <= 2 + 2


def test_a_head_of_many_outputs_is_split() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 40000))
    fixed = convlint.fix(model, (torch.randn(1, 3, 8),), for_="ane")
    assert fixed.converts == "yes"
    assert calls(fixed)["conv2d"] == 3
    assert list(fixed.module.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_what_is_wrong_is_taken_back_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    real = channels_first.counterpart

    def wrong(relay: Any, node: Any, write: Any) -> Carrier:
        held = relay.carried[node.args[0]]
        return Carrier(held.layout, tuple(write(torch.ops.aten.tanh.default, part) for part in held.parts))

    def lying(op: str, node: Any) -> Counterpart | None:
        if op != "aten.gelu.default":
            return real(op, node)
        return Counterpart(wrong)

    monkeypatch.setattr(channels_first, "counterpart", lying)
    torch.manual_seed(0)
    model, x = Block().eval(), torch.randn(1, 5, 16)
    fixed = convlint.fix(model, (x,), for_="ane")
    assert fixed.converts == "yes"
    assert [text.partition(":")[0] for text in fixed.rolled_back] == ["gelu"]
    assert calls(fixed)["conv2d"] == 4
    with torch.no_grad():
        torch.testing.assert_close(fixed.module(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_model_without_such_layers_is_left_as_it_is() -> None:
    model = nn.Conv2d(3, 4, 3)
    fixed = convlint.fix(model, (torch.randn(1, 3, 8, 8),), for_="ane")
    assert fixed.module is model
    assert fixed.applied == ()
    assert "no linear layer" in fixed.notes[-1]


def test_another_purpose_is_bad_use(convlint: Convlint) -> None:
    from convlint import fix
    from convlint.errors import UsageError

    with pytest.raises(UsageError, match="none of ane"):
        fix(nn.ReLU(), (torch.ones(2),), for_="gpu")
    ran = convlint("fix", "torch.nn:ReLU", "--input", "2x3", "--for", "gpu")
    assert ran.code == 2
    assert "ane" in ran.err


def test_layouts_follow_views_and_permutations() -> None:
    """Random chains over numbered elements: the layout finds every element where the tensor has it."""
    choose = random.Random(0)
    followed = 0
    for _ in range(300):
        x = torch.arange(2 * 6 * 24).reshape(2, 6, 24)
        layout = plain_layout(x.shape)
        batch, places, channels = (run for run in layout.axes)
        layout = Layout(layout.axes, ((), batch, channels, places))
        data = x.permute(0, 2, 1).reshape(layout.data_shape)
        for _ in range(choose.randrange(1, 5)):
            if choose.random() < 0.5:
                order = choose.sample(range(x.dim()), x.dim())
                x, layout = x.permute(order), layout.permuted(order)
            else:
                shape = choose.choice(
                    [(2, 6, 4, 6), (2, 6, 1, 24), (12, 24), (2, 3, 2, 24), (6, 8, 6), (2, 144), (4, 3, 24)]
                )
                try:
                    x, layout = x.reshape(shape), layout.viewed(shape)
                except NotApplicable:
                    break
            assert tuple(x.shape) == layout.shape
        else:
            followed += 1
            small = layout.merged()
            now = [atom for group in small.groups for atom in group]
            order = [now.index(atom) for axis in small.axes for atom in axis]
            found = data.reshape([atom.size for atom in now]).permute(order).reshape(layout.shape)
            assert torch.equal(found, x)
    assert followed > 100
