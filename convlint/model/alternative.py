"""An architecture that was measured, named where a model does not convert. The words stand here alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from convlint.model.plain import plain
from convlint.text import quantity, significant

Answer = Literal["as-is", "fixed"]
"""How an alternative converts: as it is, or after the changes that ``convlint fix`` makes."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """An entry of the catalogue that could be taken instead of the model, or of a part of it.

    ``instead_of`` is the module path of the part, empty for the whole model; ``same`` is what they share.
    ``inputs`` are the entry's, where it was measured with others than the model takes. ``lowest`` and
    ``highest`` are the ends of its forecast in milliseconds on ``chip``, which is empty without a forecast.
    ``through`` is the frontend that converts it, where that is not export; ``coremltools`` is the release
    that it was measured with, where another is installed; ``compared`` says that its numbers are PyTorch's.
    """

    name: str
    same: str
    converts: Answer
    date: str
    through: str = ""
    parameters: int = 0
    instead_of: str = ""
    inputs: tuple[str, ...] = ()
    chip: str = ""
    lowest: float = 0.0
    highest: float = 0.0
    coremltools: str = ""
    compared: bool = True

    @property
    def reason(self) -> str:
        """``"also for detection, converts as it is"``."""
        place = f"for {self.instead_of}: " if self.instead_of else ""
        how = "converts as it is" if self.converts == "as-is" else "converts after `convlint fix`"
        how += f" through {self.through}" if self.through else ""
        return f"{place}{self.same}, {how}"

    @property
    def facts(self) -> str:
        """``"12.3 M parameters, 2 to 4 ms on A17 Pro, measured 2026-11-29"``."""
        facts = [f"{quantity(self.parameters)} parameters"] if self.parameters else []
        facts += [f"at {', '.join(self.inputs)}"] if self.inputs else []
        if self.chip:
            ends = (significant(end, 2) for end in (self.lowest, self.highest))
            facts.append(f"{' to '.join(ends)} ms on {self.chip}")
        facts += [] if self.compared else ["numbers not compared"]
        facts.append(
            f"measured {self.date}" + (f" with coremltools {self.coremltools}" if self.coremltools else "")
        )
        return ", ".join(facts)

    @property
    def sentence(self) -> str:
        """``"also for detection, converts as it is: ultralytics/yolo11n (2.62 M parameters, ...)"``."""
        return f"{self.reason}: {self.name} ({self.facts})"


def alternatives_to_dict(alternatives: tuple[Alternative, ...]) -> list[dict[str, Any]]:
    """Each alternative as plain JSON types, with its sentence."""
    return [{"sentence": each.sentence, **plain(each)} for each in alternatives]
