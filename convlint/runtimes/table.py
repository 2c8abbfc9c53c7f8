"""The doors by name: what each needs, and what tries it. Nothing heavy is imported to look at the table."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.model.runtimes import Tried
    from convlint.runtimes.subject import DoorSubject


@dataclass(frozen=True, slots=True)
class Door:
    """One way onto a device: ``install`` brings its ``modules``, ``package`` has its release."""

    name: str
    title: str
    modules: tuple[str, ...]
    package: str
    install: str
    attempt: str

    @property
    def installed(self) -> bool:
        """Whether everything that the door needs can be imported."""
        return all(importlib.util.find_spec(module) is not None for module in self.modules)

    def function(self) -> Callable[[DoorSubject], Tried]:
        """What tries the door."""
        module, _, name = self.attempt.partition(":")
        found: Callable[[DoorSubject], Tried] = getattr(importlib.import_module(module), name)
        return found


def _door(name: str, title: str, modules: str, package: str, install: str, attempt: str) -> Door:
    return Door(name, title, tuple(modules.split()), package, install, f"convlint.runtimes.{attempt}")


# fmt: off
DOORS: tuple[Door, ...] = (
    _door("coreml-export", "Core ML, coremltools by torch.export", "coremltools", "coremltools",
          "coremltools", "coreml:try_coreml_export"),
    _door("coreml-torchscript", "Core ML, coremltools by TorchScript", "coremltools", "coremltools",
          "coremltools", "coreml:try_coreml_torchscript"),
    _door("mobile", "TorchScript for PyTorch Mobile", "torch.jit.mobile", "torch",
          "torch", "attempts:try_mobile"),
    _door("executorch-coreml", "ExecuTorch, Core ML partitioner", "executorch coremltools", "executorch",
          "convlint[executorch]", "attempts:try_executorch_coreml"),
    _door("executorch-xnnpack", "ExecuTorch, XNNPACK", "executorch", "executorch",
          "convlint[executorch]", "attempts:try_executorch_xnnpack"),
    _door("litert", "LiteRT", "litert_torch", "litert-torch", "convlint[litert]", "attempts:try_litert"),
    _door("coreai", "Core AI", "coreai_torch", "coreai-torch", "convlint[coreai]", "attempts:try_coreai"),
    _door("onnx", "ONNX Runtime", "onnx onnxscript onnxruntime", "onnxruntime",
          "convlint[onnx]", "attempts:try_onnx"),
)
# fmt: on
NAMES = tuple(door.name for door in DOORS)
