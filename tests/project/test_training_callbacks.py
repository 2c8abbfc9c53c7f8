"""The callbacks in real trainings: a model that converts trains on, another one never makes a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from convlint.errors import NotConvertible, UsageError


def test_trainer_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from convlint.callbacks import TrainerCheck

    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=40
    )
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=1, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True
    )
    rows = [{"input_ids": torch.arange(8), "labels": torch.tensor(0)} for _ in range(2)]

    def trainer(*callbacks: Any) -> Any:
        model = transformers.BertForSequenceClassification(config)
        return transformers.Trainer(model, arguments, train_dataset=rows, callbacks=list(callbacks))

    passing = TrainerCheck(["input_ids=1x8:int64"], chip="A17Pro", max_ms=8)
    training = trainer(passing)
    training.train()
    assert training.state.global_step == 1
    assert passing.report is not None
    assert passing.report.convertible == "yes"
    assert training.model.training, "the model is in the mode of training again"

    training = trainer(TrainerCheck(ane_share=0.95))  # with the inputs that the model has for itself
    with pytest.raises(NotConvertible, match=r"^placement: ANE 0.0%, 95% asked\n") as stopped:
        training.train()
    assert training.state.global_step == 0
    assert stopped.value.report.plan is not None


class Refused(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.hypot(x, x)


def test_lightning() -> None:
    lightning = pytest.importorskip("pytorch_lightning")
    from convlint.callbacks import LightningCheck

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, part: nn.Module) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.part = part
            self.seen: list[torch.Tensor] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.part(self.linear(x))

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            self.seen.append(torch.rand(2))
            return self(batch[0]).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(4, 4)))

    def fit(module: Any, *callbacks: Any) -> None:
        lightning.seed_everything(3)
        still = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
        training = lightning.Trainer(max_steps=2, accelerator="cpu", callbacks=list(callbacks), **still)
        training.fit(module, data)

    alone, checked, refused = Module(nn.ReLU()), Module(nn.ReLU()), Module(Refused())
    fit(alone)
    fit(checked, LightningCheck(["1x4"], target="iOS16"))
    assert len(checked.seen) == 2
    assert torch.equal(checked.seen[0], alone.seen[0]), "the check draws no random numbers"
    with pytest.raises(NotConvertible) as stopped:
        fit(refused, LightningCheck(["1x4"]))
    assert refused.seen == []
    answers = {failure.error for trial in stopped.value.report.trials for failure in trial.failures}
    assert len(stopped.value.report.trials) == 2
    assert all("'hypot'" in answer for answer in answers), "both frontends take a Lightning module"
    first, *_, last = str(stopped.value).splitlines()
    line = Refused.forward.__code__.co_firstlineno + 1
    assert first == last
    assert first.startswith("does not convert: CL104 ")
    assert first.endswith(f"test_training_callbacks.py:{line}")
    fit(refused, LightningCheck(["1x4"], module="linear"))
    assert len(refused.seen) == 2, "the part that ships converts"
    with pytest.raises(UsageError, match=r"give them to the callback, .* or set example_input_array"):
        fit(checked, LightningCheck())
