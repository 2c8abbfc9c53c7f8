"""The small configurations by which the benchmark builds a type of transformers."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("transformers", reason="transformers is not installed")

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.measure import _first_that_fits
from benchmarks.catalogue.sources.cuts import small_settings
from benchmarks.catalogue.sources.of_transformers import candidates
from convlint.errors import ConvlintError


@cache
def by_name() -> dict[str, Candidate]:
    return {candidate.name: candidate for candidate in candidates()}


def settings(name: str) -> list[dict[str, Any]]:
    import transformers

    return list(small_settings(transformers.CONFIG_MAPPING[name]()))


def test_layers_go_first_then_words_then_widths() -> None:
    layers, words, widths, *_ = settings("bert")
    assert layers == {"num_hidden_layers": 2}
    assert words == {"num_hidden_layers": 2, "vocab_size": 1000}
    assert widths["hidden_size"] == 32


def test_few_heads_are_as_wide_as_they_were() -> None:
    narrow = settings("gptj")[3]
    assert narrow["n_embd"] == 4 * 4096 // 16
    assert narrow["n_head"] == 4


def test_a_part_keeps_what_the_whole_made_of_it() -> None:
    backbone = settings("rt_detr")[3]["backbone_config"]
    assert backbone["model_type"] == "rt_detr_resnet"
    assert backbone["out_features"] == ["stage2", "stage3", "stage4"]
    assert list(backbone["depths"]) == [2, 2, 2, 2]


@pytest.mark.parametrize("name", ["esm", "deepseek_v2", "glm4v_text"])  # none runs as it is by default
def test_the_first_that_runs_is_taken(name: str) -> None:
    candidate = by_name()[f"transformers/{name}"]
    words = _first_that_fits(candidate)
    assert words in candidate.commands
    assert words != candidate.commands[0]


def test_what_never_runs_says_the_first_problem() -> None:
    command = ("hf:bert", "--input", "input_ids=1x1000:int64")  # beyond the positions
    candidate = Candidate("transformers/bert", "transformers", "bert", "", (command,), largest=10**9)
    with pytest.raises(ConvlintError, match="does not run: RuntimeError: The expanded size"):
        _first_that_fits(candidate)
