"""The language server as an editor drives it: started by its command, asked through the client of pygls."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

pytest.importorskip("pygls")

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from pygls.uris import from_fs_path

VSCODE = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text())
NET = """\
import torch
from torch import nn


class Net(nn.Module):  # convlint: input x=1x16x32x32
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        return torch.logaddexp2(y, x)
"""
GOOD = NET.replace("torch.logaddexp2(y, x)", "torch.relu(y + x)")


class Editor:
    """A client that keeps what the server tells it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("an editor", "1")
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.verdicts: list[Any] = []
        self.progress: list[Any] = []
        self.applied: list[lsp.WorkspaceEdit] = []
        self._changed = asyncio.Event()
        client = self.client

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            self.diagnostics[params.uri] = list(params.diagnostics)
            self._changed.set()

        @client.feature("convlint/verdict")
        def verdict(params: Any) -> None:
            self.verdicts.append(params)
            self._changed.set()

        @client.feature(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE)
        def create(params: lsp.WorkDoneProgressCreateParams) -> None:
            self.progress.append(params.token)

        @client.feature(lsp.PROGRESS)
        def progressed(params: lsp.ProgressParams) -> None:
            self.progress.append(params.value)
            self._changed.set()

        @client.feature(lsp.WORKSPACE_APPLY_EDIT)
        def apply(params: lsp.ApplyWorkspaceEditParams) -> lsp.ApplyWorkspaceEditResult:
            self.applied.append(params.edit)
            self._changed.set()
            return lsp.ApplyWorkspaceEditResult(applied=True)

        @client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def message(params: lsp.ShowMessageParams) -> None:
            self.verdicts.append(params.message)

        @client.feature(lsp.WORKSPACE_INLAY_HINT_REFRESH)
        def refresh(params: None) -> None:
            pass

    async def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = (sys.executable, "-m", "convlint", "server")
        await self.client.start_io(*command, cwd=self.folder, env=environment)
        capabilities = lsp.ClientCapabilities(
            window=lsp.WindowClientCapabilities(work_done_progress=True),
            workspace=lsp.WorkspaceClientCapabilities(
                inlay_hint=lsp.InlayHintWorkspaceClientCapabilities(refresh_support=True)
            ),
        )
        root = from_fs_path(str(self.folder))
        folders = [lsp.WorkspaceFolder(uri=str(root), name="project")]
        await self.client.initialize_async(
            lsp.InitializeParams(capabilities, root_uri=root, workspace_folders=folders)
        )
        self.client.initialized(lsp.InitializedParams())

    def uri(self, name: str) -> str:
        return str(from_fs_path(str(self.folder / name)))

    def open(self, name: str) -> None:
        text = (self.folder / name).read_text()
        self.client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(self.uri(name), "python", 1, text))
        )

    def save(self, name: str, text: str, version: int) -> None:
        document = lsp.VersionedTextDocumentIdentifier(version, self.uri(name))
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(document, [lsp.TextDocumentContentChangeWholeDocument(text)])
        )
        (self.folder / name).write_text(text)
        self.client.text_document_did_save(
            lsp.DidSaveTextDocumentParams(lsp.TextDocumentIdentifier(self.uri(name)))
        )

    async def until(self, fact: Callable[[], Any], seconds: float = 45) -> None:
        async with asyncio.timeout(seconds):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    def found(self, name: str) -> list[tuple[Any, int]]:
        return [(each.code, each.range.start.line + 1) for each in self.diagnostics.get(self.uri(name), [])]


def drive(folder: Path, story: Callable[[Editor], Awaitable[None]]) -> None:
    async def tell() -> None:
        editor = Editor(folder)
        await editor.start()
        try:
            await story(editor)
        finally:
            await editor.client.shutdown_async(None)
            editor.client.exit(None)
            await editor.client.stop()

    asyncio.run(tell())


def whole(text: str) -> lsp.Range:
    return lsp.Range(lsp.Position(0, 0), lsp.Position(len(text.splitlines()), 0))


def edited(text: str, edits: Any) -> str:
    """The text with edits of whole protocol positions made, last first."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda each: (each.range.start.line, each.range.start.character))[::-1]:
        start, end = edit.range.start, edit.range.end
        tail = lines[end.line][end.character :] if end.line < len(lines) else ""
        lines[start.line : end.line + 1] = [lines[start.line][: start.character] + edit.new_text + tail]
    return "".join(lines)


def test_a_model_is_written_in_an_editor(tmp_path: Path) -> None:
    refused = NET.replace("torch.logaddexp2(y, x)", "torch.hypot(y, x)")
    (tmp_path / "net.py").write_text(refused)
    (tmp_path / "pyproject.toml").write_text("[tool.convlint]\ntarget = 'iOS18'\n")

    async def story(editor: Editor) -> None:
        editor.open("net.py")
        line = refused.splitlines().index("        return torch.hypot(y, x)") + 1
        await editor.until(lambda: editor.found("net.py"))
        assert editor.found("net.py") == [("CL104 hypot", line)]
        await editor.until(lambda: editor.verdicts)
        assert editor.verdicts[-1].convertible == "no"
        assert editor.verdicts[-1].reasons == f"does not convert: CL104 net.py:{line}"
        told = [each["message"] for each in editor.progress if isinstance(each, dict) and "message" in each]
        assert "Net: capturing" in told

        (found,) = editor.diagnostics[editor.uri("net.py")]
        assert found.severity == lsp.DiagnosticSeverity.Error
        assert "help: spell hypot out as a square root" in found.message
        document = lsp.TextDocumentIdentifier(editor.uri("net.py"))
        hover = await editor.client.text_document_hover_async(lsp.HoverParams(document, found.range.start))
        assert hover is not None
        assert hover.contents.value.startswith("# CL104 hypot: ")  # type: ignore[union-attr]

        hints = await editor.client.text_document_inlay_hint_async(
            lsp.InlayHintParams(document, whole(refused))
        )
        labels = {hint.position.line + 1: str(hint.label) for hint in hints or ()}
        assert set(labels) == {line - 1, line}
        assert all(label.endswith(" µs") for label in labels.values())

        asked = lsp.CodeActionParams(document, found.range, lsp.CodeActionContext([found]))
        actions = await editor.client.text_document_code_action_async(asked) or []
        by_title = {action.title: action for action in actions}
        edit, silence, fix = by_title.values()
        assert edit.title.startswith("CL104: spell hypot out as a square root (may differ")
        assert not edit.is_preferred, "it may differ for some inputs"  # type: ignore[union-attr]
        (change,) = edit.edit.changes[editor.uri("net.py")]  # type: ignore[union-attr, index]
        assert "        return torch.sqrt(y * y + x * x)\n" in edited(refused, [change])
        assert silence.title == "CL104: silence it on this line"

        assert fix.title == "convlint: make the proved changes of Net"
        # The client of pygls reads an action with a command as a command: what it runs is in its text.
        assert "'convlint.fix'" in str(fix.command)

        editor.save("net.py", edited(refused, [change]), 2)
        await editor.until(lambda: editor.found("net.py") == [])
        await editor.until(lambda: getattr(editor.verdicts[-1], "convertible", "") == "yes")

        before = len(editor.progress)
        editor.save("net.py", refused + "# written anew\n", 3)
        await editor.until(lambda: "Net: capturing" in str(editor.progress[before:]))
        editor.save("net.py", refused.replace("nn.Conv2d(16", "nn.Conv2d(17"), 4)
        await editor.until(lambda: getattr(editor.verdicts[-1], "convertible", "") == "unknown")
        assert "no" not in [each.convertible for each in editor.verdicts[1:]], "the older check was left off"
        ((code, where),) = editor.found("net.py")
        assert (code, where) == (None, 5), "what the model itself raises is told at its class"

    drive(tmp_path, story)


@pytest.mark.corpus  # every edit is proved in a process of its own, as `convlint fix` does
def test_the_proved_changes_are_put_into_the_open_files(tmp_path: Path) -> None:
    refused = NET.replace("torch.logaddexp2(y, x)", "torch.hypot(y, x)")
    (tmp_path / "net.py").write_text(refused)

    async def story(editor: Editor) -> None:
        editor.open("net.py")
        await editor.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams("convlint.fix", [str(tmp_path / "net.py"), "Net"])
        )
        await editor.until(lambda: "Net: 1 line changed, and compared with the model." in editor.verdicts)
        own, created, helpers = editor.applied[-1].document_changes or ()
        assert "        return coreml_ops.hypot(y, x)\n" in edited(refused, own.edits)  # type: ignore[union-attr]
        assert isinstance(created, lsp.CreateFile)
        assert "def hypot(" in helpers.edits[0].new_text  # type: ignore[union-attr]
        assert (tmp_path / "net.py").read_text() == refused, "the editor writes, not the server"

    drive(tmp_path, story)


def test_the_problem_matcher_reads_the_concise_format() -> None:
    """The expression in the extension, on what ``--format concise`` writes of a report with everything."""
    from reports import REPORT

    from convlint.output.concise import render_concise

    (matcher,) = VSCODE["contributes"]["problemMatchers"]
    pattern = matcher["pattern"]
    lines = render_concise(REPORT).splitlines()
    found = [re.match(pattern["regexp"], line) for line in lines]
    assert None not in found, lines
    first = found[1]
    assert first is not None
    parts = {name: first[number] for name, number in pattern.items() if isinstance(number, int)}
    assert (parts["file"], parts["line"], parts["code"]) == ("models/unet.py", "41", "CL104")
    assert (parts["severity"], "hypot" in parts["message"]) == ("error", True)


def test_the_extension_speaks_of_what_the_server_has() -> None:
    from convlint.editor import server

    script = (ROOT / "editors" / "vscode" / "extension.js").read_text()
    assert f'onNotification("{server.VERDICT}"' in script
    settings = set(VSCODE["contributes"]["configuration"]["properties"])
    assert {f"convlint.{name}" for name in re.findall(r'\.get\("(\w+)"\)', script)} <= settings
    commands = {each["command"] for each in VSCODE["contributes"]["commands"]}
    assert set(re.findall(r'registerCommand\("([\w.]+)"', script)) == commands
    assert not commands & {server.FIX, server.CHECK}, "the client registers those of the server itself"
