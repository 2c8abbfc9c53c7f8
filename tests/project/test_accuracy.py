"""A seeded sample of the accuracy benchmark: what the rules alone say, beside a real conversion.

The whole of it is ``python -m benchmarks.accuracy``; docs/accuracy.md has its figures.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import coremltools
import pytest
import torch

from benchmarks.accuracy import Captured, capture_case, judge, kept_capture
from benchmarks.corpora import corpus, opinfo, variations
from benchmarks.truth import outcome
from benchmarks.worker import measure
from convlint.coreml.supported import snapshot
from convlint.model import Graph, Port, TensorMeta
from convlint.rules.match import Environment
from convlint.rules.rulebook import Rulebook, load_rulebook

SEED = 3
GROUPS = 4
IN_A_GROUP = 9


@cache
def rules() -> Rulebook:
    return load_rulebook()


@cache
def environment() -> Environment:
    release = coremltools.__version__
    return Environment(release, torch.__version__.partition("+")[0], snapshot(release), target="iOS18")


def drawn(corpus_name: str, group: int) -> list[str]:
    """The names of one group of cases."""
    names = variations.names() if corpus_name == "variations" else [f"{op}/0" for op in opinfo.labels()]
    picked = random.Random(SEED).sample(sorted(names), GROUPS * IN_A_GROUP)
    return picked[group::GROUPS]


@pytest.mark.parametrize(
    "group", [pytest.param(group, marks=[pytest.mark.corpus] if group > 1 else []) for group in range(GROUPS)]
)
@pytest.mark.parametrize("corpus_name", ["opinfo", "variations"])
def test_the_rules_say_what_a_real_conversion_does(corpus_name: str, group: int, tmp_path: Path) -> None:
    compared = 0
    wrong = []
    for name in drawn(corpus_name, group):
        row = measure(corpus(corpus_name), name)
        if outcome(row) not in ("converts", "refused"):
            continue  # PyTorch itself refuses the case
        capture_case(corpus_name, name, tmp_path)
        foretold, said = judge(kept_capture(tmp_path, name), rules(), environment())
        compared += 1
        if foretold != (outcome(row) == "refused"):
            wrong.append((name, said, row.get("error", "converts")))
    assert wrong == []
    assert compared > IN_A_GROUP // 3


def test_a_model_without_a_tensor_output_is_foretold_to_fail() -> None:
    port = Port("x", "tensor", TensorMeta((2,), "float32"))
    graph = Graph((), (port,), (Port("3", "constant", None),))
    foretold, said = judge(Captured(graph, (), True), rules(), environment())
    assert foretold
    assert "no tensor output" in said
