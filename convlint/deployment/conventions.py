"""How models say that they are shipped in another form than they are trained in.

Every entry is a convention that several packages share, recognised by names: none of them need be installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.model.form import Kind

if TYPE_CHECKING:
    import torch

SWITCHES: tuple[str, ...] = (
    # https://github.com/huggingface/peft/blob/v0.15.0/src/peft/tuners/lora/model.py
    "merge_and_unload",
    # https://github.com/apple/ml-mobileone/blob/main/mobileone.py, and timm's models
    "reparameterize",
    # https://github.com/DingXiaoH/RepVGG/blob/main/repvgg.py
    "switch_to_deploy",
    # https://github.com/huggingface/pytorch-image-models/blob/v1.0.15/timm/models/ghostnet.py
    "convert_to_deploy",
    # https://github.com/DingXiaoH/RepLKNet-pytorch/blob/main/replknet.py
    "merge_kernel",
    # https://github.com/AILab-CVC/UniRepLKNet/blob/main/unireplknet.py
    "reparameterize_unireplknet",
    "reparam",
    "fuse_conv_bn",
    "fuse_bn",
    # https://github.com/ultralytics/ultralytics/blob/v8.3.0/ultralytics/nn/modules/conv.py
    "fuse_convs",
    # https://github.com/THU-MIG/RepViT/blob/main/model/repvit.py; it may give the module that replaces it
    "fuse",
)
"""Methods without arguments that turn a block into what is shipped, in place or by what they return.

Where a module has several, the first of them is called.
"""

WRAPPERS: Mapping[str, str] = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": "_fsdp_wrapped_module",
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper.CheckpointWrapper": (
        "_checkpoint_wrapped_module"
    ),
    "torch.optim.swa_utils.AveragedModel": "module",
}
"""Modules that hand everything to one that they hold, and the name they hold it by."""

WRAPPER_WORDS: Mapping[str, str] = {"OptimizedModule": "torch.compile"}

CHECKPOINTING: tuple[str, ...] = (
    "gradient_checkpointing",  # https://huggingface.co/docs/transformers/v4.20.1/en/perf_train_gpu_one
    "grad_checkpointing",  # timm
    "use_checkpoint",  # Swin and its descendants
    "use_gradient_checkpointing",
    "with_cp",  # OpenMMLab
)
"""Flags of modules that recompute in the backward pass; :mod:`torch.utils.checkpoint` computes the same."""

PEFT_MODEL = "peft.peft_model.PeftModel"

LIGHTNING: tuple[str, ...] = (
    "lightning.pytorch.core.module.LightningModule",
    "pytorch_lightning.core.module.LightningModule",
)

MERGED_BY_EVAL = "merge_weights"
"""An attribute of layers whose adapters ``eval()`` merges: https://github.com/microsoft/LoRA/tree/main/loralib"""

OLD_NORMS: Mapping[str, Kind] = {
    "torch.nn.utils.weight_norm.WeightNorm": "weight-norm",
    "torch.nn.utils.spectral_norm.SpectralNorm": "spectral-norm",
}
"""Hooks that compute a weight before every run: :func:`torch.nn.utils.weight_norm` and ``spectral_norm``."""

PRUNING = "torch.nn.utils.prune.BasePruningMethod"
OBSERVER = "torch.ao.quantization.observer.ObserverBase"
FAKE_QUANTIZE = "torch.ao.quantization.fake_quantize.FakeQuantizeBase"


@dataclass(frozen=True, slots=True)
class Convention:
    """A convention that a model follows: its kind, what it goes by, and the modules, outermost first."""

    kind: Kind
    how: str
    paths: tuple[str, ...]


def class_names(thing: Any) -> tuple[str, ...]:
    """The full names of the class of ``thing`` and of its bases."""
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in type(thing).__mro__)


def wrapped(module: torch.nn.Module) -> torch.nn.Module | None:
    """The module that a wrapper holds; None for what is no wrapper."""
    for name in class_names(module):
        if name in WRAPPERS:
            held: torch.nn.Module = getattr(module, WRAPPERS[name])
            return held
    return None


def switch_of(module: torch.nn.Module) -> str:
    """The name of the method that turns a module into what is shipped; empty where it has none."""
    for name in SWITCHES:
        method = getattr(type(module), name, None)
        if method is not None and _takes_nothing(method):
            return name
    if getattr(type(module), "get_base_layer", None) and getattr(type(module), "merge", None):
        return "merge"  # a layer of peft outside of a PeftModel
    if PEFT_MODEL in class_names(module) and hasattr(module, "merge_and_unload"):
        return "merge_and_unload"  # which it asks the model that it holds
    return ""


def _takes_nothing(method: Any) -> bool:
    """Whether a method can be called without arguments."""
    import inspect

    if not callable(method):
        return False
    try:
        parameters = list(inspect.signature(method).parameters.values())[1:]
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(each.default is not each.empty or each.kind in kinds for each in parameters)


def conventions_of(module: torch.nn.Module) -> tuple[Convention, ...]:
    """The conventions that a model follows. Looks at names alone, and runs nothing of the model's."""
    found: dict[tuple[Kind, str], list[str]] = {}
    known: dict[type, tuple[tuple[Kind, str], ...]] = {}
    quantizations: list[str] = []
    for path, part in module.named_modules():
        kind = type(part)
        if quantizations and path.startswith(quantizations[-1]):
            continue  # the observer of a fake quantization goes with it
        if FAKE_QUANTIZE in class_names(part):
            quantizations.append(f"{path}.")
        if kind not in known:
            known[kind] = tuple(_of_class(part))
        for convention in (*known[kind], *_of_object(part)):
            found.setdefault(convention, []).append(path)
    return tuple(Convention(kind, how, tuple(paths)) for (kind, how), paths in found.items())


def _of_class(module: torch.nn.Module) -> list[tuple[Kind, str]]:
    """The conventions that a class follows, whatever its objects hold."""
    names = class_names(module)
    name = type(module).__name__
    found: list[tuple[Kind, str]] = []
    if any(each in WRAPPERS for each in names):
        found.append(("wrapper", WRAPPER_WORDS.get(name, name)))
    if any(each in LIGHTNING for each in names):
        found.append(("lightning", name))
    if FAKE_QUANTIZE in names:
        found.append(("fake-quantization", name))
    elif OBSERVER in names:
        found.append(("observer", name))
    else:
        switch = switch_of(module)
        if switch:
            adapter = switch in ("merge", "merge_and_unload")
            found.append(("adapter" if adapter else "switch", f"{name}.{switch}"))
    return found


def _of_object(module: torch.nn.Module) -> list[tuple[Kind, str]]:
    """The conventions that one module follows by what it holds."""
    held = vars(module)
    found: list[tuple[Kind, str]] = []
    if any(held.get(flag) is True for flag in CHECKPOINTING):
        found.append(("checkpointing", type(module).__name__))
    if held.get(MERGED_BY_EVAL) is True and "merged" in held:
        found.append(("adapter", f"{type(module).__name__}.eval"))
    parametrized = module._modules.get("parametrizations")
    for parametrizations in parametrized.children() if parametrized is not None else ():
        for each in parametrizations.children() if isinstance(parametrizations, _list_type()) else ():
            found.append(parametrization(type(each).__name__))
    for hook in module._forward_pre_hooks.values():
        names = class_names(hook)
        found += [
            (
                OLD_NORMS[name],
                "remove_weight_norm" if OLD_NORMS[name] == "weight-norm" else "remove_spectral_norm",
            )
            for name in names
            if name in OLD_NORMS
        ]
        if PRUNING in names:
            found.append(("pruning", "torch.nn.utils.prune.remove"))
    return found


def _list_type() -> Any:
    import torch

    return torch.nn.ModuleList


def parametrization(name: str) -> tuple[Kind, str]:
    """The convention of a parametrization whose class has this name."""
    kinds: Mapping[str, Kind] = {"_WeightNorm": "weight-norm", "_SpectralNorm": "spectral-norm"}
    return kinds.get(name, "parametrization"), "remove_parametrizations"
