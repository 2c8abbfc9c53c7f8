"""What the editor is shown of the answers: diagnostics, edits, hints and pages, as the protocol has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from lsprotocol import types as lsp
from pygls.uris import from_fs_path

Answer = dict[str, Any]
SOURCE = "convlint"
_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "note": lsp.DiagnosticSeverity.Information,
}


class Shown:
    """The last answer for each model, and what of them stands in which file."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.rules: dict[str, str] = {}

    def take(self, answer: Answer, *, first: bool) -> None:
        """Take an answer; a first one replaces findings alone, and hints stay until the next are known."""
        before = self.answers.get(answer["model"], {}) if first else {}
        self.answers[answer["model"]] = {"hints": [], "fixable": False, **before, **answer}

    def findings(self, path: str) -> Iterator[tuple[Answer, Answer]]:
        """The findings in a file, each with the answer that it is of."""
        for answer in self.answers.values():
            for finding in answer["findings"]:
                if finding["path"] == path:
                    yield answer, finding

    def paths(self) -> set[str]:
        """The files that findings stand in."""
        return {finding["path"] for answer in self.answers.values() for finding in answer["findings"]}

    def diagnostics(self, path: str, lines: Sequence[str]) -> list[lsp.Diagnostic]:
        """The findings in a file. What several models say in the same words of a line is said once."""
        found: dict[tuple[Any, ...], lsp.Diagnostic] = {}
        for answer, finding in self.findings(path):
            told = [finding["message"], *(f"help: {text}" for text in finding["helps"])]
            if finding["modules"]:
                told.append(f"in {', '.join(finding['modules'][:4])}{' ...' * (len(finding['modules']) > 4)}")
            code = f"{finding['code']} {finding['name']}".strip()
            key = (finding["line"], code, *told)
            if key in found:
                continue
            found[key] = lsp.Diagnostic(
                range=line_range(finding["line"], lines),
                message="\n".join(told),
                severity=_SEVERITIES[finding["severity"]],
                code=code or None,
                source=SOURCE,
                data={"model": answer["model"]},
            )
        return list(found.values())

    def hints(self, path: str, lines: Sequence[str], first: int, last: int) -> list[lsp.InlayHint]:
        """Unit and time at the end of each line that is as it was checked, of the first model that has it."""
        hints: dict[int, Answer] = {}
        for answer in self.answers.values():
            for hint in answer["hints"]:
                if hint["path"] == path and first <= hint["line"] - 1 <= last:
                    hints.setdefault(hint["line"], hint)
        return [
            lsp.InlayHint(
                position=line_range(line, lines).end,
                label=hint["label"],
                tooltip=hint["tooltip"],
                padding_left=True,
            )
            for line, hint in hints.items()
            if line <= len(lines) and lines[line - 1].strip() == hint["source"]
        ]

    def hover(self, path: str, line: int) -> str:
        """The rules that fired on a line, as Markdown; empty where none did."""
        codes = {finding["code"]: None for _, finding in self.findings(path) if finding["line"] - 1 == line}
        return "\n\n---\n\n".join(self.rules[code] for code in codes if code in self.rules)

    def edits(
        self, path: str, lines: Sequence[str], first: int, last: int
    ) -> Iterator[tuple[Answer, Answer]]:
        """The edits of findings on these lines that still fit the text, each with its finding."""
        seen = set()
        for _, finding in self.findings(path):
            if not first <= finding["line"] - 1 <= last:
                continue
            for edit in finding["edits"]:
                (begin, _), (end, _) = edit["start"], edit["end"]
                key = (*edit["start"], edit["text"])
                old = edit["old"].split("\n")
                fits = "\n".join(lines[begin - 1 : begin - 1 + len(old)]) == "\n".join(old)
                if edit["path"] == path and fits and end <= len(lines) and key not in seen:
                    seen.add(key)
                    yield finding, edit


def line_range(line: int, lines: Sequence[str]) -> lsp.Range:
    """The text of a line, from 1, without its indentation; the last line for one that is gone."""
    number = max(0, min(line, len(lines)) - 1)
    text = lines[number] if lines else ""
    start = len(text) - len(text.lstrip())
    return lsp.Range(lsp.Position(number, units(text[:start])), lsp.Position(number, units(text.rstrip())))


def units(text: str) -> int:
    """The length of a text as the protocol counts it by default: in units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def text_edit(edit: Answer, lines: Sequence[str]) -> lsp.TextEdit:
    """An edit of a finding as the protocol has it."""

    def position(line: int, column: int) -> lsp.Position:
        return lsp.Position(line - 1, units(lines[line - 1][: column - 1]))

    return lsp.TextEdit(lsp.Range(position(*edit["start"]), position(*edit["end"])), edit["text"])


def file_edits(before: str, after: str) -> list[lsp.TextEdit]:
    """The edits that turn one text into another, by whole lines."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return [
        lsp.TextEdit(lsp.Range(lsp.Position(a, 0), lsp.Position(b, 0)), "".join(new[c:d]))
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]


def uri_of(path: str) -> str:
    """The address of a file."""
    return from_fs_path(path) or path
