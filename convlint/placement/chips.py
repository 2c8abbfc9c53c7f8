"""Apple's chips and the systems that run on them, from ``data/chips.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from convlint.coreml.targets import DEFAULT_TARGET, TARGETS, normalise_target
from convlint.errors import UsageError
from convlint.model.fitted import Fitted
from convlint.nearest import nearest_names

DATA = Path(__file__).parent / "data"
DEFAULT_CHIP = "A17 Pro"
_USUAL_CHIPS = {"iOS": DEFAULT_CHIP, "macOS": "M2"}
"""The chip that a forecast is for where nobody names one, by the system of the deployment target."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip. ``generation`` is that of its Neural Engine (H13 is 13), ``systems`` the first and last
    release of each system that ran on it, ``assumed`` the figures without a source. What the GPU reaches in
    matrix products and in moving values is None where nobody measured it. ``watts`` is the power of the chip
    by compute units, measured with one network; empty where nobody did. ``fitted`` are numbers that its
    user fitted to measurements."""

    name: str
    generation: int
    year: int
    systems: Mapping[str, tuple[int, int | None]]
    ane_tflops: float
    ane_basis: str
    dram_gb_s: float
    ane_gb_s: float
    gpu_tflops: float
    gpu_cores: int
    devices: tuple[str, ...]
    sources: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    gpu_core_tflops: float | None = None
    gpu_gb_s: float | None = None
    gpu_entry_gb_s: float | None = None
    watts: Mapping[str, float] = field(default_factory=dict)
    fitted: Fitted | None = None

    def factor(self, name: str) -> float:
        """What a time of this name is multiplied by, as the user fitted it."""
        return 1.0 if self.fitted is None else self.fitted.factor(name)

    @property
    def mobile(self) -> bool:
        """Whether it is an iPhone chip, whose calls cost less than those of a Mac."""
        return self.name.startswith("A")


@dataclass(frozen=True, slots=True)
class Device:
    """A chip with its system. ``target`` is the system as coremltools spells it."""

    chip: Chip
    target: str

    @property
    def name(self) -> str:
        return f"{self.chip.name}, {self.target}"


@lru_cache(maxsize=1)
def chips() -> dict[str, Chip]:
    """Every known chip by name, oldest first."""
    with (DATA / "chips.toml").open("rb") as file:
        tables = tomllib.load(file)["chip"]
    by_name = {}
    for table in tables:
        systems = {
            system: (int(first), int(last) if last else None)
            for system, (first, last) in table["systems"].items()
        }
        lists = {key: tuple(table.get(key, ())) for key in ("devices", "sources", "assumed", "aliases")}
        usual = {"ane_gb_s": table["dram_gb_s"]}
        by_name[table["name"]] = Chip(**(usual | table | lists | {"systems": systems}))
    return by_name


def find_chip(text: str) -> Chip:
    """The chip of this name, ignoring blanks and letter case; a UsageError names the nearest."""
    known = {_folded(name): chip for chip in chips().values() for name in (chip.name, *chip.aliases)}
    chip = known.get(_folded(text))
    if chip is None:
        word = _folded(text)
        begun = [name for name in known if word and name.startswith(word)]
        near = [known[name].name for name in begun or nearest_names(word, known)]
        hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
        raise UsageError(f"unknown chip {text!r}.{hint} Known chips: {', '.join(chips())}.")
    return chip


def find_device(chip: str | None, system: str | None) -> Device:
    """The chip with this system; a UsageError where the chip never ran it.

    The default system is convlint's default target where the chip ran it, else the last one that it ran.
    """
    chosen = find_chip(DEFAULT_CHIP if chip is None else chip)
    target = _usual(chosen) if system is None else normalise_target(system)
    name, release = _parts(target)
    first, last = chosen.systems.get(name, (None, None))
    if first is None or release < first or (last is not None and release > last):
        others = ", ".join(_that_ran(name, release)) or "none that is known"
        raise UsageError(
            f"{chosen.name} never ran {target}: it runs {_systems(chosen)}. Name another system with --os, "
            f"or a chip that ran it with --chip: {others}."
        )
    return Device(chosen, target)


def device_for(chip: str | None, system: str | None, target: str) -> Device:
    """:func:`find_device` for a program of this deployment target.

    Without a chip it is a usual one of the target's system; without a system it is the target, where the chip
    ran it, else what is usual for the chip.
    """
    named = chip or (_USUAL_CHIPS.get(_parts(target)[0]) if system is None else None)
    usual = find_device(named, system)
    if system is not None:
        return usual
    ran = usual.chip.systems.get(_parts(target)[0])
    release = _parts(target)[1]
    if ran is None or release < ran[0] or (ran[1] is not None and release > ran[1]):
        return usual
    return Device(usual.chip, target)


def devices_for(chips_: str, system: str | None, target: str) -> tuple[Device, ...]:
    """The device of each chip in a list such as ``A15,M4``, or of ``all`` of them that run the system.

    A UsageError for an unknown chip, and for a named one that never ran a named system.
    """
    if _folded(chips_) != "all":
        found = [device_for(name.strip() or None, system, target) for name in chips_.split(",")]
        return tuple({device.name: device for device in found}.values())
    kept = []
    for name in chips():
        try:
            kept.append(device_for(name, system, target))
        except UsageError:  # it never ran this system
            continue
    return tuple(kept) or (device_for(None, system, target),)


def chip_of_phone(name: str) -> str | None:
    """The chip in an iPhone of this name, such as ``iPhone 16 Pro``; None where that is not known."""
    best, found = "", None
    for chip in chips().values():
        for device in chip.devices:
            first, *others = device.removesuffix(" family").split("/")
            phones = [
                first,
                *(f"iPhone {each}" if each[0].isdigit() else f"{first} {each}" for each in others),
            ]
            for phone in phones if first.startswith("iPhone ") else ():
                if f"{name} ".startswith(f"{phone} ") and len(phone) > len(best):
                    best, found = phone, chip.name
    return found


def _usual(chip: Chip) -> str:
    system, (first, last) = next(iter(chip.systems.items()))
    ran = [
        name
        for name in TARGETS
        for its, release in [_parts(name)]
        if its == system and first <= release and (last is None or release <= last)
    ]
    return next((name for name in ran if TARGETS[name] == DEFAULT_TARGET), ran[-1])


def _systems(chip: Chip) -> str:
    return " and ".join(
        f"{system}{first} to {system}{last}" if last is not None else f"{system}{first} and later"
        for system, (first, last) in chip.systems.items()
    )


def _that_ran(system: str, release: int) -> list[str]:
    return [
        chip.name
        for chip in chips().values()
        for first, last in [chip.systems.get(system, (release + 1, None))]
        if first <= release and (last is None or release <= last)
    ]


def _parts(target: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Za-z]+?)(\d+)", target)
    assert match is not None, target
    return match[1], int(match[2])


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9/]", "", text.casefold())
