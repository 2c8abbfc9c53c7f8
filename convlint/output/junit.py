"""JUnit XML: one test case for each model, as build servers count them.

The format is that of the schema which Jenkins' xUnit plugin checks (junit-10.xsd):
https://github.com/jenkinsci/xunit-plugin/tree/master/src/main/resources/org/jenkinsci/plugins/xunit/types
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from convlint.model import Report
from convlint.model.reasons import reasons_line
from convlint.model.run import Outcome, Run
from convlint.model.verdict import verdict
from convlint.output.terminal import render_text
from convlint.text import visible

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(run: Run) -> str:
    """A suite with a case for each model, and one for a stale baseline if there is one."""
    cases = [_case(outcome) for outcome in run.outcomes]
    if run.stale:
        case = _element("testcase", classname="convlint", name="baseline", time="0.000")
        _child(case, "failure", "the baseline holds entries for findings that are gone", "\n".join(run.stale))
        cases.append(case)
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": 0,
    }
    seconds = sum(float(case.get("time", "0")) for case in cases)
    facts = {name: str(number) for name, number in counts.items()} | {"time": f"{seconds:.3f}"}
    suite = _element("testsuite", name="convlint", **facts)
    suite.extend(cases)
    root = _element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ("<?xml version='1.0' encoding='utf-8'?>\n", "\n")
    )


def _case(outcome: Outcome) -> ElementTree.Element:
    report = outcome.report
    seconds = report.seconds.get("total", 0.0) if report is not None and not outcome.kept else 0.0
    case = _element("testcase", classname="convlint", name=outcome.model, time=f"{seconds:.3f}")
    if outcome.error is not None:
        _child(case, "error", str(outcome.error), "", type(outcome.error).__name__)
    elif report is not None and report.exit_code:
        kind = "error" if report.exit_code == 3 else "failure"
        _child(case, kind, reasons_line(report), render_text(report), _type(report))
    elif report is not None and report.findings:
        _child(case, "system-out", "", render_text(report))
    return case


def _type(report: Report) -> str:
    """The verdict on the model as it is."""
    kind = verdict(report).kind
    return "does-not-convert" if kind == "converts-after-fixes" else kind


def _element(tag: str, /, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(tag, {key: _clean(value) for key, value in attributes.items()})


def _child(parent: ElementTree.Element, name: str, message: str, text: str, kind: str = "") -> None:
    attributes = {"message": message, "type": kind or "convlint"} if message else {}
    child = _element(name, **attributes)
    child.text = _clean(text)
    parent.append(child)


def _clean(text: str) -> str:
    """``text`` with characters that XML 1.0 does not allow spelled out or replaced."""
    return _NOT_XML.sub("\ufffd", visible(text))
