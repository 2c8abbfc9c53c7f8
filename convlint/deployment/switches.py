"""The steps from the trained to the deployed form, taken on a copy of a model."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch

from convlint.deployment.conventions import (
    FAKE_QUANTIZE,
    MERGED_BY_EVAL,
    OBSERVER,
    OLD_NORMS,
    PRUNING,
    class_names,
    conventions_of,
    parametrization,
    switch_of,
)
from convlint.deployment.copying import copy_of, like
from convlint.model.form import SAME_PROGRAM, Kind, Step
from convlint.sandbox import user_code

Name = tuple[Kind, str]
"""What tells one convention of a model from another: its kind, and what it goes by."""


class NoSwitch(Exception):
    """A method that has the name of a switch does something else."""


def deployed(module: torch.nn.Module, allowed: Collection[Name]) -> tuple[torch.nn.Module, tuple[Step, ...]]:
    """A copy of ``module`` after the steps in ``allowed``, in eval mode, and the steps that changed it.

    The model is left as it is. Raises what the model's own methods raise, and :class:`NoSwitch`.
    """
    conventions = [each for each in conventions_of(module) if (each.kind, each.how) in allowed]
    changing = {path for each in conventions if each.kind not in SAME_PROGRAM for path in each.paths}
    with user_code(), like(module):
        copied = copy_of(module, changing).eval()
        taken = _Steps(frozenset(allowed))
        copied = taken.on(copied)
    copied.eval()
    told = Counter(
        {
            (each.kind, each.how): len(each.paths)
            for each in conventions
            if each.kind in SAME_PROGRAM or each.how.endswith(".eval")
        }
    )
    told.update(taken.changed)
    order = [(each.kind, each.how) for each in conventions]
    steps = tuple(Step(kind, how, told[kind, how]) for kind, how in order if told[kind, how])
    return copied, steps


class _Steps:
    """Takes the steps module by module, outermost first, and counts those that changed something."""

    def __init__(self, allowed: frozenset[Name]) -> None:
        self.allowed = allowed
        self.changed: Counter[Name] = Counter()
        self.replaced: dict[int, torch.nn.Module] = {}
        self.alive: list[torch.nn.Module] = []
        self.root: torch.nn.Module | None = None

    def on(self, root: torch.nn.Module) -> torch.nn.Module:
        self.root = root
        root = self.stepped(root)
        waiting = [root]
        while waiting:
            parent = waiting.pop()
            for name, child in list(parent._modules.items()):
                if child is None:
                    continue
                if id(child) not in self.replaced:
                    after = self.stepped(child)
                    # The observer of a fake quantization that stays is a part of it.
                    waiting += [] if FAKE_QUANTIZE in class_names(after) else [after]
                parent._modules[name] = self.replaced[id(child)]
        return root

    def stepped(self, module: torch.nn.Module) -> torch.nn.Module:
        """What stands in the place of a module, which is mostly the module itself."""
        after = self.switched(module)
        if after is module:
            after = self.quantization(module)
        self.weights(after)
        self.alive += [module, after]  # an id is good only while its object lives
        self.replaced[id(module)] = self.replaced[id(after)] = after
        return after

    def switched(self, module: torch.nn.Module) -> torch.nn.Module:
        method = switch_of(module)
        kind: Kind = "adapter" if method in ("merge", "merge_and_unload") else "switch"
        name = (kind, f"{type(module).__name__}.{method}")
        if not method or name not in self.allowed:
            return module
        before = _structure(module)
        parts = list(module.modules())[1:]
        adapters = sum(map(_is_adapter, parts)) or 1
        blocks = sum(bool(switch_of(part)) for part in parts) if module is self.root else 0
        call: Any = getattr(module, method)
        result = call(verbose=False) if "verbose" in inspect.signature(call).parameters else call()
        if method == "merge":
            base: Any = module.get_base_layer
            result = base()
        if result is not None and not isinstance(result, torch.nn.Module):
            raise NoSwitch(f"it returns a {type(result).__name__}")
        after = module if result is None else result
        if after is not module or _structure(after) != before:
            self.changed[name] += adapters if kind == "adapter" else max(blocks, 1)
        return after

    def quantization(self, module: torch.nn.Module) -> torch.nn.Module:
        names = class_names(module)
        if FAKE_QUANTIZE in names:
            name: Name = ("fake-quantization", type(module).__name__)
        elif OBSERVER in names:
            name = ("observer", type(module).__name__)
        else:
            return module
        if name not in self.allowed:
            return module
        self.changed[name] += 1
        if name[0] == "observer":
            return torch.nn.Identity()
        from convlint.deployment.quantization import fixed

        return fixed(module)

    def weights(self, module: torch.nn.Module) -> None:
        """Make plain parameters of weights that are computed before every run."""
        self.parametrizations(module)
        for hook in list(module._forward_pre_hooks.values()):
            names = class_names(hook)
            old = next((name for name in names if name in OLD_NORMS), None)
            if old is not None:
                remove = "remove_weight_norm" if OLD_NORMS[old] == "weight-norm" else "remove_spectral_norm"
                if (OLD_NORMS[old], remove) in self.allowed:
                    getattr(torch.nn.utils, remove)(module, _held_name(hook))
                    self.changed[OLD_NORMS[old], remove] += 1
            elif PRUNING in names and ("pruning", "torch.nn.utils.prune.remove") in self.allowed:
                from torch.nn.utils import prune

                remove_pruning: Any = prune.remove
                remove_pruning(module, _held_name(hook))
                self.changed["pruning", "torch.nn.utils.prune.remove"] += 1

    def parametrizations(self, module: torch.nn.Module) -> None:
        from torch.nn.utils import parametrize

        if not parametrize.is_parametrized(module):
            return
        chains: Any = module.parametrizations
        for name, chain in list(chains.items()):
            found = [each for each in names_of_parametrizations(chain) if each in self.allowed]
            if len(found) == len(chain):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
                self.changed.update(found)


def names_of_parametrizations(chain: Any) -> list[Name]:
    """The conventions of the parametrizations of one weight."""
    return [parametrization(type(each).__name__) for each in chain]


def _held_name(hook: Any) -> str:
    """The name of the weight that a hook computes."""
    return str(getattr(hook, "name", None) or hook._tensor_name)


def _is_adapter(module: torch.nn.Module) -> bool:
    return switch_of(module) == "merge" or MERGED_BY_EVAL in vars(module)


def _structure(module: torch.nn.Module) -> Any:
    """What a switch changes of a module: its parts and the names and shapes of its tensors."""
    return (
        [(name, type(part)) for name, part in module.named_modules()],
        [(name, each.shape) for name, each in module.named_parameters()],
        [(name, each.shape) for name, each in module.named_buffers()],
    )
