"""Whether two models compute the same: on random inputs, several times, gradients included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.interface.inputs import InputSpec, filled, make_tensors

if TYPE_CHECKING:
    import torch

SEEDS = (0, 1, 2)
DEFAULT_RTOL = 1e-5
"""The tolerance of a replacement that computes the same and names none."""

Build = Callable[[], "torch.nn.Module"]


def disagreement(
    original: Build, changed: Build, specs: Sequence[InputSpec], rtol: float, seeds: Iterable[int] = SEEDS
) -> str:
    """How ``changed`` differs from ``original``, empty where it does not.

    Both get the same weights and inputs. ``rtol`` is relative to the largest value of an output.
    """
    for seed in seeds:
        problem = _with_seed(original, changed, specs, rtol, seed)
        if problem:
            return problem
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
    before, after = _built(original, changed, 0)
    kept, flowing = _gradients(after, specs), _gradients(before, specs)
    lost = [number for number, flows in enumerate(flowing, 1) if flows and not kept[number - 1]]
    return f"no gradient flows to input {lost[0]} any more" if lost else ""


def _with_seed(original: Build, changed: Build, specs: Sequence[InputSpec], rtol: float, seed: int) -> str:
    before, after = _built(original, changed, seed)
    expected, found = _outputs(before, specs, seed), _outputs(after, specs, seed)
    if len(expected) != len(found):
        return f"it returns {len(found)} tensors, the original {len(expected)}"
    problems = (_difference(one, other, rtol) for one, other in zip(expected, found, strict=True))
    return next((f"{problem} (seed {seed})" for problem in problems if problem), "")


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


def _outputs(model: torch.nn.Module, specs: Sequence[InputSpec], seed: int) -> list[torch.Tensor]:
    import torch

    args, kwargs = make_tensors(specs, _varied(seed))
    torch.manual_seed(seed)
    with torch.no_grad():
        return _tensors(model(*args, **kwargs))


def _gradients(model: torch.nn.Module, specs: Sequence[InputSpec]) -> list[bool]:
    """For each input whether a gradient of the outputs flows to it."""
    import torch

    make = _varied(0)
    leaves: list[torch.Tensor] = []

    def leaf(spec: InputSpec) -> torch.Tensor:
        tensor: torch.Tensor = make(spec)
        leaves.append(tensor.requires_grad_() if tensor.is_floating_point() else tensor)
        return leaves[-1] + 0 if tensor.is_floating_point() else tensor

    args, kwargs = make_tensors(specs, leaf)
    ends = [end.abs().sum() for end in _tensors(model(*args, **kwargs)) if end.requires_grad]
    wanted = [tensor for tensor in leaves if tensor.requires_grad]
    if not ends or not wanted:
        return [False] * len(leaves)
    found = iter(torch.autograd.grad(ends, wanted, allow_unused=True))
    return [tensor.requires_grad and next(found) is not None for tensor in leaves]


def _varied(seed: int) -> Callable[[InputSpec], Any]:
    """A maker of tensors in which integers are 0 or 1 and booleans both, so that a difference shows."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def make(spec: InputSpec) -> Any:
        dtype = getattr(torch, spec.dtype)
        if spec.contents is not None:
            return filled(spec, generator)
        if dtype.is_floating_point:
            return torch.randn(spec.shape, generator=generator).to(dtype)
        if dtype.is_complex:
            return torch.randn(spec.shape, generator=generator, dtype=torch.complex64).to(dtype)
        return torch.randint(0, 2, spec.shape, generator=generator).to(dtype)

    return make


def _tensors(outputs: Any) -> list[torch.Tensor]:
    import torch

    from convlint.torch_adapter import pytree

    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]


def _difference(expected: torch.Tensor, found: torch.Tensor, rtol: float) -> str:
    import torch

    if expected.shape != found.shape:
        return f"it returns the shape {list(found.shape)}, the original {list(expected.shape)}"
    if expected.dtype != found.dtype:
        return f"it returns {found.dtype}, the original {expected.dtype}"
    wide = torch.complex128 if expected.is_complex() else torch.float64
    one, other = expected.to(wide), found.to(wide)
    finite = one[torch.isfinite(one)].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    if torch.allclose(one, other, rtol=0.0, atol=rtol * largest, equal_nan=True):
        return ""
    odd = torch.isfinite(one) != torch.isfinite(other)
    if odd.any():
        return f"{int(odd.sum())} of {one.numel()} values are finite in one and not in the other"
    apart = float(torch.nan_to_num((one - other).abs(), nan=0.0).max())
    return f"it differs by {apart:.3g} where the largest value is {largest:.3g}; rtol is {rtol:g}"
