"""Pictures as inputs: what ``ct.ImageType`` can say, written ``:image`` or ``:image(bgr,std=0.5)``.

Core ML hands a picture over as numbers from 0 to 255, times one scale, plus a bias for each channel.
https://apple.github.io/coremltools/docs-guides/source/image-inputs.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Layout = Literal["rgb", "bgr", "gray"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1}
LARGEST_VALUE = 255.0


class WrongImage(ValueError):
    """A wrong image spec; the text says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as an input.

    ``layout`` is the order of its channels. ``mean`` and ``std`` are those that the model was trained with,
    for values from 0 to 1: one number, or one for each channel. They are empty where the model takes the
    numbers from 0 to 255 as they are.
    """

    layout: Layout = "rgb"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        return CHANNELS[self.layout]

    @property
    def normalised(self) -> bool:
        return bool(self.mean or self.std)

    @property
    def expressible(self) -> bool:
        """Whether one scale is enough: ``ct.ImageType`` cannot express a std for each channel."""
        return len(set(self.std)) <= 1

    def scale_and_bias(self) -> tuple[float, tuple[float, ...]]:
        """Scale and biases of ``ct.ImageType``. Where the stds differ, :meth:`remainder` is the rest."""
        if not self.normalised:
            return 1.0, (0.0,) * self.channels
        spread = _mean_of(self.std) if self.std else 1.0
        means = _each(self.mean or (0.0,), self.channels)
        return 1 / (LARGEST_VALUE * spread), tuple(-mean / spread for mean in means)

    def remainder(self) -> tuple[float, ...]:
        """The factor for each channel that is left after the one scale of Core ML."""
        spread = _mean_of(self.std) if self.std else 1.0
        return tuple(spread / std for std in _each(self.std or (1.0,), self.channels))


def parse_image(text: str, shape: tuple[int, ...]) -> Image:
    """Read ``image``, ``image(bgr)`` or ``image(mean=0.485/0.456/0.406,std=0.229/0.224/0.225)``."""
    match = re.fullmatch(r"image\s*(?:\(([^()]*)\))?", text)
    if not match:
        raise WrongImage(f"{text!r} is written image, image(bgr) or image(mean=0.5,std=0.25)")
    layout: Layout | None = None
    numbers: dict[str, tuple[float, ...]] = {}
    for word in filter(None, (part.strip() for part in (match[1] or "").split(","))):
        name, equals, value = (part.strip() for part in word.partition("="))
        if equals and name in ("mean", "std") and name not in numbers:
            numbers[name] = _numbers(name, value)
        elif not equals and name in LAYOUTS and layout is None:
            layout = next(each for each in LAYOUTS if each == name)
        else:
            raise WrongImage(f"{word!r} is not one of {', '.join(LAYOUTS)}, mean=..., std=..., each once")
    return make_image(shape, layout, numbers.get("mean", ()), numbers.get("std", ()))


def make_image(
    shape: tuple[int, ...],
    layout: Layout | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> Image:
    """A checked picture of this shape; the default ``layout`` follows from its number of channels."""
    channels = _channels(shape)
    if layout is None:
        layout = "gray" if channels == 1 else "rgb"
    if CHANNELS[layout] != channels:
        raise WrongImage(
            f"a picture of layout {layout} has {CHANNELS[layout]} channels, and axis 1 of the shape has"
            f" {channels}" + _other_order(shape)
        )
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (0, 1, channels):
            raise WrongImage(f"{name} has {len(values)} numbers; it takes one, or {channels}")
    if any(value <= 0 for value in std):
        raise WrongImage("std must be above 0")
    return Image(layout, mean, std)


def write_image(image: Image) -> str:
    """The text that :func:`parse_image` parses as ``image``."""
    words: list[str] = [] if image.layout == "rgb" else [image.layout]
    for name, values in (("mean", image.mean), ("std", image.std)):
        if values:
            words.append(f"{name}={'/'.join(map(repr, values))}")
    return f"image({','.join(words)})" if words else "image"


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 4:
        raise WrongImage(
            f"a picture has the axes batch, channel, height, width, and this shape has {len(shape)}"
        )
    if shape[1] not in (1, 3):
        raise WrongImage(
            f"a picture has 3 channels (rgb, bgr) or 1 (gray), and axis 1 of the shape has {shape[1]}"
            + _other_order(shape)
        )
    return shape[1]


def _other_order(shape: tuple[int, ...]) -> str:
    return "; the channels come second in PyTorch" if shape[-1] in (1, 3) else ""


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        raise WrongImage(f"{name}={text} is not a list of numbers such as 0.485/0.456/0.406") from None
    if not all(abs(value) < float("inf") for value in values):
        raise WrongImage(f"{name}={text} must be finite")
    return values


def _each(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    return values * count if len(values) == 1 else values


def _mean_of(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
