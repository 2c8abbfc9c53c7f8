"""Whether two models compute the same: on random inputs, several times, gradients included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.interface.inputs import InputSpec, make_tensors
from convlint.numerics.samples import factory

if TYPE_CHECKING:
    import torch

SEEDS = (0, 1, 2)

Build = Callable[[], "torch.nn.Module"]


def disagreement(
    original: Build, changed: Build, specs: Sequence[InputSpec], rtol: float, seeds: Iterable[int] = SEEDS
) -> str:
    """How ``changed`` differs from ``original``, empty where it does not.

    Both get the same weights and inputs. ``rtol`` is relative to the largest value of an output.
    """
    from convlint.numerics.difference import difference

    for seed in seeds:
        before, after = _built(original, changed, seed)
        apart = difference(_outputs(after, specs, seed), _outputs(before, specs, seed))
        problem = apart.beyond(rtol)
        if problem:
            allowed = "" if apart.problem else f"; rtol is {rtol:g}"
            return f"{problem}{allowed} (seed {seed})"
    return ""


def particular(original: Build, changed: Build, specs: Sequence[InputSpec], rtol: float) -> str:
    """Why a change that holds of these inputs fails for other sizes and more axes; else empty.

    Inputs that the original itself does not take say nothing, but one must be left.
    """
    judged = 0
    for what, other in _others(specs):
        try:
            _outputs(_built(original, original, 0)[0], other, 0)
        except Exception:  # the example's own code runs here
            continue
        judged += 1
        try:
            problem = disagreement(original, changed, other, rtol)
        except Exception as error:  # likewise
            problem = f"{type(error).__name__}: {error}"
        if problem:
            return f"{what}: {problem}"
    return "" if judged else "the original runs with no inputs but its own"


def _others(specs: Sequence[InputSpec]) -> Iterable[tuple[str, list[InputSpec]]]:
    """The same inputs with larger sizes, and with another axis in front."""
    for what, factor, more in (("every size one more", 1, 1), ("every size twice", 2, 0)):
        sizes = [tuple(n if n == 1 else factor * n + more for n in spec.shape) for spec in specs]
        yield what, [replace(spec, shape=shape) for spec, shape in zip(specs, sizes, strict=True)]
    yield "an axis more", [replace(spec, shape=(2, *spec.shape)) for spec in specs]


def lost_gradients(original: Build, changed: Build, specs: Sequence[InputSpec]) -> str:
    """The input that the original passes a gradient to and ``changed`` does not; empty where none is."""
    from convlint.numerics.gradients import lost_gradient

    before, after = _built(original, changed, 0)
    return lost_gradient(before, after, make_tensors(specs, factory(0)))


def _built(original: Build, changed: Build, seed: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Both models; the changed one with the weights of the original where the names are the same."""
    import torch

    models = []
    for build in (original, changed):
        torch.manual_seed(seed)
        models.append(build().eval())
    before, after = models
    theirs, ours = before.state_dict(), after.state_dict()
    if theirs.keys() == ours.keys() and all(theirs[name].numel() == ours[name].numel() for name in ours):
        after.load_state_dict({name: theirs[name].reshape(ours[name].shape) for name in ours})
    return before, after


def _outputs(model: torch.nn.Module, specs: Sequence[InputSpec], seed: int) -> list[Any]:
    import torch

    from convlint.torch_adapter import pytree

    args, kwargs = make_tensors(specs, factory(seed))
    torch.manual_seed(seed)
    with torch.no_grad():
        leaves = pytree.tree_leaves(model(*args, **kwargs))
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
