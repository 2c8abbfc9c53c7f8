"""The callback for the Trainer of transformers: https://huggingface.co/docs/transformers/main_classes/callback"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from convlint.callbacks.gate import Gate
from convlint.errors import UsageError

if TYPE_CHECKING:
    from convlint.model import Report

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise UsageError("TrainerCheck needs transformers: pip install transformers accelerate.") from error


class TrainerCheck(TrainerCallback):
    """Checks the model before the first step of a training, and stops it with the report.

    ::

        Trainer(model, args, callbacks=[TrainerCheck(["input_ids=1x128:int64"], max_ms=8)])

    ``inputs`` and ``kwargs`` are those of ``forward``, by default ``model.dummy_inputs``. The rest is as in
    :class:`~convlint.callbacks.lightning_check.LightningCheck`.
    """

    def __init__(
        self,
        inputs: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        module: str = "",
        ane_share: float | None = None,
        outside: Iterable[str] | None = None,
        max_ms: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._gate = Gate(inputs, kwargs, module, ane_share, outside, max_ms, options)
        self.report: Report | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Check the model that is about to be trained."""
        model = others["model"]
        own = getattr(model, "dummy_inputs", None)
        self.report = self._gate.let_pass(model, own, "")
