"""Output specs: outputs that Core ML shall give as pictures, written ``y:image`` or ``:image(bgr)``.

An output has no shape of its own to declare, and ``ct.ImageType`` allows it neither a scale nor a bias,
so that all there is to say is which output, and in which layout.
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
    """One output as a picture. ``name`` is None for the only one, ``layout`` for that of its channels."""

    name: str | None
    layout: OutputLayout | None = None

    def __str__(self) -> str:
        kind = f"image({self.layout})" if self.layout else "image"
        return f"{self.name}:{kind}" if self.name else kind


def parse_output(text: str) -> OutputSpec:
    """Read one output spec; every mistake is a :class:`UsageError` that shows a right one."""
    name, colon, kind = text.rpartition(":")
    name, kind = name.strip(), kind.strip()
    if colon and not re.fullmatch(r"\w+(\.\w+)*", name or "_"):
        raise _wrong(text, f"{name!r} cannot name an output")
    match = re.fullmatch(r"image\s*(?:\(\s*(\w*)\s*\))?", kind)
    if not match:
        raise _wrong(text, f"{kind!r} is no kind of output; image is the one that can be asked for")
    layout = next((each for each in OUTPUT_LAYOUTS if each == match[1]), None)
    if match[1] and layout is None:
        raise _wrong(text, f"{match[1]!r} is not one of {', '.join(OUTPUT_LAYOUTS)}")
    return OutputSpec(name or None, layout)


def parse_outputs(texts: Iterable[str]) -> tuple[OutputSpec, ...]:
    """Read several output specs; the same output twice is a mistake."""
    return distinct_outputs(parse_output(text) for text in texts)


def distinct_outputs(outputs: Iterable[OutputSpec]) -> tuple[OutputSpec, ...]:
    """The outputs, of which no two may be about one."""
    specs = tuple(outputs)
    names = [spec.name for spec in specs]
    twice = next((name for name in names if names.count(name) > 1), ...)
    if twice is not ...:
        raise UsageError(f"two output specs are about {twice or 'the only output'!r}; give one for each.")
    return specs


def place_outputs(specs: Sequence[OutputSpec], outputs: Sequence[Sequence[str]]) -> dict[int, OutputSpec]:
    """The spec of each output, by its position. ``outputs`` has the names that each answers to."""
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
