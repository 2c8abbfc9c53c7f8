"""The runtimes by name: what each needs, and the function that tries it. It imports nothing heavy."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.model.runtimes import Tried
    from convlint.runtimes.subject import RuntimeSubject


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime: ``install`` is what pip installs for its ``modules``, ``package`` has its release."""

    name: str
    title: str
    modules: tuple[str, ...]
    package: str
    install: str
    attempt: str

    @property
    def installed(self) -> bool:
        """Whether everything that the runtime needs can be imported."""
        return all(importlib.util.find_spec(module) is not None for module in self.modules)

    def function(self) -> Callable[[RuntimeSubject], Tried]:
        """The function that tries the runtime."""
        module, _, name = self.attempt.partition(":")
        attempt: Callable[[RuntimeSubject], Tried] = getattr(importlib.import_module(module), name)
        return attempt


def _runtime(name: str, title: str, modules: str, package: str, install: str, attempt: str) -> Runtime:
    return Runtime(name, title, tuple(modules.split()), package, install, f"convlint.runtimes.{attempt}")


# fmt: off
RUNTIMES: tuple[Runtime, ...] = (
    _runtime("coreml-export", "Core ML, coremltools by torch.export", "coremltools", "coremltools",
          "coremltools", "coreml:try_coreml_export"),
    _runtime("coreml-torchscript", "Core ML, coremltools by TorchScript", "coremltools", "coremltools",
          "coremltools", "coreml:try_coreml_torchscript"),
    _runtime("mobile", "TorchScript for PyTorch Mobile", "torch.jit.mobile", "torch",
          "torch", "attempts:try_mobile"),
    _runtime("executorch-coreml", "ExecuTorch, Core ML partitioner", "executorch coremltools", "executorch",
          "executorch", "attempts:try_executorch_coreml"),
    _runtime("executorch-xnnpack", "ExecuTorch, XNNPACK", "executorch", "executorch",
          "executorch", "attempts:try_executorch_xnnpack"),
    _runtime("litert", "LiteRT", "litert_torch", "litert-torch", "litert-torch", "attempts:try_litert"),
    _runtime("coreai", "Core AI", "coreai_torch", "coreai-torch", "coreai-torch", "attempts:try_coreai"),
    _runtime("onnx", "ONNX Runtime", "onnx onnxscript onnxruntime", "onnxruntime",
          "onnx onnxruntime onnxscript", "attempts:try_onnx"),
)
# fmt: on
NAMES = tuple(runtime.name for runtime in RUNTIMES)
