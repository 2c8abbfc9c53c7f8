"""Output specs: outputs that Core ML gives as pictures, written ``y:image`` or ``:image(bgr)``.

The shape of an output cannot be declared, and ``ct.ImageType`` allows it neither a scale nor a bias, so
a spec says only which output, and in which layout.
https://apple.github.io/coremltools/docs-guides/source/image-inputs.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from convlint.errors import UsageError
from convlint.nearest import did_you_mean

OutputLayout = Literal["rgb", "bgr", "gray", "gray16"]
OUTPUT_LAYOUTS: tuple[OutputLayout, ...] = get_args(OutputLayout)
"""``gray16`` holds float16 values; the others hold bytes."""

_EXAMPLE = "write for example y:image, y:image(bgr) or, where there is one output, image(gray)"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output as a picture; ``name`` is None for a single output, ``layout`` None for the usual one."""

    name: str | None
    layout: OutputLayout | None = None

    def __str__(self) -> str:
        kind = f"image({self.layout})" if self.layout else "image"
        return f"{self.name}:{kind}" if self.name else kind


def parse_output(text: str) -> OutputSpec:
    """Parse one output spec; a :class:`UsageError` for a wrong one shows how to write it."""
    name, colon, kind = text.rpartition(":")
    name, kind = name.strip(), kind.strip()
    if colon and not re.fullmatch(r"\w+(\.\w+)*", name or "_"):
        raise _wrong(text, f"{name!r} cannot name an output")
    match = re.fullmatch(r"image\s*(?:\(\s*(\w*)\s*\))?", kind)
    if not match:
        raise _wrong(text, f"{kind!r} is not a kind of output; the only one is image")
    layout = next((each for each in OUTPUT_LAYOUTS if each == match[1]), None)
    if match[1] and layout is None:
        raise _wrong(text, f"{match[1]!r} is not one of {', '.join(OUTPUT_LAYOUTS)}")
    return OutputSpec(name or None, layout)


def parse_outputs(texts: Iterable[str]) -> tuple[OutputSpec, ...]:
    """Parse several output specs; the same output twice is a mistake."""
    return distinct_outputs(parse_output(text) for text in texts)


def distinct_outputs(outputs: Iterable[OutputSpec]) -> tuple[OutputSpec, ...]:
    """The specs as a tuple; a :class:`UsageError` where two are about the same output."""
    specs = tuple(outputs)
    names = [spec.name for spec in specs]
    twice = next((name for name in names if names.count(name) > 1), ...)
    if twice is not ...:
        raise UsageError(f"two output specs are about {twice or 'the only output'!r}; give one for each.")
    return specs


def place_outputs(specs: Sequence[OutputSpec], outputs: Sequence[Sequence[str]]) -> dict[int, OutputSpec]:
    """The specs by the positions of their outputs. ``outputs`` has the names of each output."""
    placed: dict[int, OutputSpec] = {}
    for spec in specs:
        fitting = [
            position
            for position, names in enumerate(outputs)
            if spec.name in names or (spec.name is None and len(outputs) == 1)
        ]
        if len(fitting) != 1:
            known = [next(iter(names)) for names in outputs]
            why = (
                f"the model has {len(outputs)} outputs, so that the spec needs a name."
                if spec.name is None
                else f"the model has no output {spec.name!r}.{did_you_mean(spec.name, known)}"
            )
            raise UsageError(f"output spec '{spec}': {why} Its outputs: {', '.join(known)}.")
        if fitting[0] in placed:
            raise UsageError(f"output specs '{placed[fitting[0]]}' and '{spec}' are about the same output.")
        placed[fitting[0]] = spec
    return placed


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"malformed output spec {text!r}: {why}; {_EXAMPLE}.")
