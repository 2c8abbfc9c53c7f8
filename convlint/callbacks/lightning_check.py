"""The callback for Lightning: https://lightning.ai/docs/pytorch/stable/extensions/callbacks.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from convlint.callbacks.gate import Gate
from convlint.errors import UsageError

if TYPE_CHECKING:
    from convlint.model import Report

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    try:
        from pytorch_lightning.callbacks import Callback
    except ImportError as error:
        raise UsageError("LightningCheck needs Lightning: pip install lightning.") from error


class LightningCheck(Callback):  # type: ignore[misc]
    """Checks the module before the first step of a fit, and stops it with the report.

    ::

        Trainer(callbacks=[LightningCheck(["1x3x224x224"], target="iOS17", chip="A17Pro", max_ms=8)])

    ``inputs`` and ``kwargs`` are those of ``forward``, by default ``example_input_array`` of the module.
    ``module`` is the path of the part that ships (``"net"``), by default all of it. ``ane_share``,
    ``outside`` and ``max_ms`` are those of :func:`convlint.assert_placement`, ``options`` those of
    :func:`convlint.check`. Raises :class:`~convlint.errors.NotConvertible`, whose text is the report.
    ``report`` is the last report.
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

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Check the module, which has all of its layers by now."""
        own = getattr(pl_module, "example_input_array", None)
        self.report = self._gate.let_pass(pl_module, own, ", or set example_input_array of the module")
