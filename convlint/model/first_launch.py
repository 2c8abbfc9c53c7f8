"""The nouns of a first launch: how long Core ML compiles a model, and where a cut shortens that."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.model.graph import Site
from convlint.text import shown_path, significant


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to divide a model in two that are loaded one by one: after the op ``after``, which ``module`` and
    ``site`` name. ``layers`` are those of each entry in both parts, whose number decides what is saved."""

    after: int
    module: str
    site: Site | None
    saves_s: float
    layers: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FirstLaunch:
    """Seconds that loading takes: ``first_s`` (low, mid, high), when Core ML compiles the model, and
    ``later_s``, when it finds what it compiled. ``published`` counts the loads this rests on. ``cut`` is
    where to divide the model so that it takes less, None where no cut is known to help."""

    first_s: tuple[float, float, float]
    later_s: float
    published: int
    cut: Cut | None = None

    @property
    def sentence(self) -> str:
        """Both in one sentence."""
        low, mid, high = (significant(seconds, 2) for seconds in self.first_s)
        later = f"about {significant(self.later_s, 1)} s" if self.later_s >= 0.1 else "less than 0.1 s"
        return (
            f"about {mid} s ({low} to {high}) while Core ML compiles it for the Neural Engine, once on a"
            f" device; later loads {later}; from {self.published} published loads{self._cut_words}"
        )

    @property
    def _cut_words(self) -> str:
        if self.cut is None:
            return ""
        where = f" ({shown_path(self.cut.site.path)}:{self.cut.site.line})" if self.cut.site else ""
        first, second = self.cut.layers
        saved = significant(self.cut.saves_s, 2)
        return (
            f". Cut here, saves {saved} s: after {self.cut.module}{where}, into two models with {first} and"
            f" {second} layers of each entry, as a compiler for two engines takes nearly their fourth power"
        )
