"""Recognises reports that convlint wrote before, by their beginning: ``--report`` may replace those."""

from __future__ import annotations

import re

from convlint.destination import FileKind

_CODE = rb"[A-Z]{2,8}[0-9]{3,4}"
_TEXT = rb'"(?:[^"\\]|\\.)*"'
_BEGINNINGS = (
    rb'\{\s*"schema_version": [0-9]+,\s*"(?:model|exit_code|error|reports|spec|name|device|plans?)"',
    rb'\{\s*"model": ' + _TEXT + rb',\s*"target": ' + _TEXT + rb',\s*"form": ',
    rb'\{\s*"model": ' + _TEXT + rb',\s*"schema_version": [0-9]+,\s*"error"',
    rb'\{\s*"\$schema": "[^"]*sarif[^"]*",[^{]*\[\s*\{\s*"tool": \{\s*"driver": \{\s*"name": "convlint"',
    rb"<\?xml [^>]*>\s*<testsuites>\s*<testsuite name=\"convlint\"",
    rb"<!-- convlint -->",
    rb'<!DOCTYPE html>\s*<html[^>]*><head>.{0,2000}?<meta name="generator" content="convlint',
    rb'<svg xmlns="http://www.w3.org/2000/svg"[^>]* role="img"><title>[^<]*: its modules</title>',
    rb'\[\s*\{\s*"description": ' + _TEXT + rb',\s*"check_name": "(?:' + _CODE + rb" |convlint)",
    rb"\[\]\s*\Z",
    rb"::(?:error|warning|notice) (?:[a-z]+=[^,:\n]*,)*title=(?:convlint|" + _CODE + rb" )",
    rb"[^\n]*: (?:"
    + _CODE
    + rb" (?:error|warning|note) |(?:trial|parity|capture) error |unused-ignore note )",
    rb"<[^\n]*>: error ",
    rb"[^\n]+  for \w+, (?:either|export|torchscript) frontend\n",
    rb"[^\n]+  for \w+, coremltools [^\n]+, by the rules alone\n",
    rb"[^\n]+  for \w+\n(?:[^\n]+\n)?\n +verdict +size ",
    rb"[^\n]+  on [^\n]+, (?:all units|CPU(?: and [A-Z]+)*)\n",
    rb"[^\n]+  not checked\n\nerror: ",
)
_KNOWN = tuple(re.compile(pattern, re.DOTALL) for pattern in _BEGINNINGS)


def _is_report(head: bytes) -> bool:
    return any(pattern.match(head) for pattern in _KNOWN)


REPORT = FileKind("a report that convlint wrote", _is_report)
