"""Advice of the Neural Engine rules on ops that it takes: slow layouts, wasted rows, large weights.

Blockers report the refused ops, with a price. Nobody has published how to price the rest.
"""

from __future__ import annotations

from convlint.coreml.supported import snapshot
from convlint.model import Finding, Graph
from convlint.model.placement import Advice
from convlint.placement.rules import placement_table
from convlint.rules.match import Environment, group_findings, match_graph
from convlint.rules.rulebook import Rulebook, load_rulebook


def advice_of(graph: Graph, target: str) -> tuple[Advice, ...]:
    """The findings of rules about the Neural Engine that the table of placements does not contain."""
    in_table = {rule.code for rules in placement_table().rules.values() for rule in rules}
    rules = tuple(rule for rule in load_rulebook().select(("ane",)) if rule.code not in in_table)
    supported = snapshot()  # these rules are about the chip, not about a release of coremltools
    environment = Environment(supported.version, None, supported, target=target)
    return tuple(map(_advice, group_findings(match_graph(Rulebook(rules), graph, environment))))


def _advice(finding: Finding) -> Advice:
    return Advice(
        rule=finding.rule.code,
        name=finding.rule.name,
        message=finding.message,
        confidence=finding.rule.confidence,
        site=finding.site,
        caller=finding.caller,
        modules=tuple(dict.fromkeys(call.module for call in finding.calls)) or (finding.module,),
        replacements=tuple(replacement.title for replacement in finding.replacements),
    )
