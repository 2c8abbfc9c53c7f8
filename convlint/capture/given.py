"""What a caller gives as a model, as something that can be built or borrowed without touching it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from convlint.capture.limits import DEFAULT_TIMEOUT
from convlint.capture.methods import Inputs, Source
from convlint.errors import ConvlintError, ModelError
from convlint.interface.inputs import given_inputs
from convlint.interface.outputs import OutputSpec
from convlint.sandbox import TimeLimitExceeded, time_limit, user_code
from convlint.text import single_line
from convlint.torch_adapter import registered_dataclasses

TIME_TO_COMPARE = DEFAULT_TIMEOUT
"""Seconds that the runs of both forms of a given module may take."""

if TYPE_CHECKING:
    import torch

    from convlint.deployment.deployment import Deployment


@contextmanager
def given_source(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    outputs: tuple[OutputSpec, ...] = (),
    *,
    as_trained: bool = False,
) -> Iterator[tuple[str, Source]]:
    """The name of a model that a caller hands over, and where to capture it from.

    ``model`` is an ``nn.Module`` or a callable that builds one; ``example_inputs`` (a tensor or a tuple of
    arguments, a mapping of keyword arguments, or texts as on the command line) and ``kwargs`` are what its
    ``forward`` takes. Torch knows the dataclasses among them meanwhile. A module that has a deployed form is
    given in that form, on a copy, unless ``as_trained``. Raises
    :class:`~convlint.errors.ModelError` for what is no model.
    """
    import torch

    args, named, specs = given_inputs(example_inputs, kwargs)
    whole = given_model(model, lambda: (args, dict(named)))
    instance = whole if isinstance(whole, torch.nn.Module) else None
    if instance is None and not callable(whole):
        remark = ", and only the command line and check_many take models by name" * isinstance(whole, str)
        raise ModelError(
            f"the model is of type {type(whole).__name__}{remark}: give a torch.nn.Module or a function that"
            " builds one."
        )
    build = None if instance is not None else whole
    deployment = deployment_of(build, lambda: (args, dict(named)), as_trained=as_trained)
    with registered_dataclasses((args, named)) as registered:
        args, named = _apart((args, named))
        if instance is None:
            name = getattr(model, "__qualname__", "model")
        else:
            instance = _in_form(instance, deployment)
            name = type(model).__qualname__ if instance is whole else type(instance).__qualname__
        yield (
            name,
            Source(
                build,
                instance,
                lambda: (args, dict(named)),
                specs,
                outputs=outputs,
                registered=registered,
                deployment=deployment,
            ),
        )


def _in_form(instance: torch.nn.Module, deployment: Deployment) -> torch.nn.Module:
    """The form to judge of a module that the caller has built, compared with the other in limited time."""
    from convlint.capture.weightless import on_meta

    try:
        with time_limit(TIME_TO_COMPARE):
            return deployment.of(instance, own=True, weights=not on_meta(instance))
    except TimeLimitExceeded as error:
        raise ModelError(
            f"comparing the model with its deployed form took longer than {TIME_TO_COMPARE:g} seconds;"
            " as_trained=True judges it as it is."
        ) from error


def _apart(inputs: Any) -> Any:
    """The inputs with a tensor of its own for every place: torch.export takes one that is given twice for
    one input, and its program reads the last of the two for both."""
    import torch

    from convlint.torch_adapter import pytree

    seen: set[int] = set()

    def own(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or id(value) not in seen:
            seen.add(id(value))
            return value
        return value.detach().clone().requires_grad_(value.requires_grad)

    return pytree.tree_map(own, inputs)


def deployment_of(
    build: Callable[[], Any] | None, inputs: Callable[[], Inputs], *, as_trained: bool
) -> Deployment:
    """What makes the form to judge of a module, or of what ``build`` gives."""
    from convlint.capture.build import build_on_cpu
    from convlint.deployment.deployment import Deployment

    return Deployment(as_trained, inputs, None if build is None else lambda: build_on_cpu(build))


def given_model(model: Any, inputs: Callable[[], Inputs]) -> Any:
    """``model`` where nothing has to be done for it: a module, or what builds one.

    An exported program is the module that it was made into. Lazy layers, which take their sizes from the
    first run, are given them on a copy of a module, or on what was just built.
    """
    import torch

    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    if isinstance(model, torch.nn.Module):
        if not _is_lazy(model):
            return model
        try:
            return _run_once(copy.deepcopy(model), inputs())
        except ConvlintError:
            raise
        except Exception as error:  # the user's forward may raise anything
            raise ModelError(
                "the model has lazy layers, which get their sizes from the first run, and that run raised"
                f" {type(error).__name__}: {single_line(error, 400)}."
            ) from error
    return built_whole(model, inputs) if callable(model) else model


def built_whole(build: Callable[[], Any], inputs: Callable[[], Inputs]) -> Callable[[], Any]:
    """``build``, whose lazy layers are given their sizes as soon as it has built them."""

    @wraps(build)
    def whole() -> Any:
        import torch

        model = build()
        lazy = isinstance(model, torch.nn.Module) and _is_lazy(model)
        return _run_once(model, inputs()) if lazy else model

    return whole


def _is_lazy(module: torch.nn.Module) -> bool:
    import torch

    tensors = [*module.parameters(), *module.buffers()]
    return any(torch.nn.parameter.is_lazy(tensor) for tensor in tensors)


def _run_once(module: torch.nn.Module, inputs: Inputs) -> torch.nn.Module:
    """``module`` after a run on the device that its layers are made on, its training flags as they were."""
    import torch

    from convlint.torch_adapter import pytree

    device = torch.empty(0).device

    def there(value: Any) -> Any:
        return value.to(device) if isinstance(value, torch.Tensor) else value

    args, kwargs = pytree.tree_map(there, inputs)
    flags = {part: part.training for part in module.modules()}
    with user_code(), torch.no_grad():
        module.eval()(*args, **kwargs)
    for part, training in flags.items():
        part.training = training
    return module
