"""The offers that a rule can name: each is computed and proved for the model that the rule reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from convlint.capture.methods import Source
from convlint.checking.offers.forward_fold import offer_forward_fold
from convlint.checking.offers.image_fold import offer_fold
from convlint.model import Finding, Graph, Offer, Replacement

MakeOffer = Callable[[Finding, Source, Graph | None, float | None], Replacement | None]

MAKERS: Mapping[Offer, MakeOffer] = {
    "fold-std": offer_fold,
    "fold-normalisation": offer_forward_fold,
}
"""One for each of ``OFFERS``, the words that a rule file may use."""


def add_offers(
    findings: tuple[Finding, ...], source: Source, graph: Graph | None, limit: float | None
) -> tuple[Finding, ...]:
    """The findings, each with the proved offer of its rule before its other replacements."""

    def with_offer(finding: Finding) -> Finding:
        if finding.rule.offer is None:
            return finding
        offer = MAKERS[finding.rule.offer](finding, source, graph, limit)
        if offer is None:
            return finding
        return replace(finding, replacements=(offer, *finding.replacements))

    return tuple(map(with_offer, findings))
