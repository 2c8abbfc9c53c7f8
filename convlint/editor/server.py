"""The server that an editor starts: ``convlint server``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from convlint import __version__
from convlint.editor.documents import Shown, file_edits, text_edit, units, uri_of
from convlint.editor.link import Message, Workshop

FIX = "convlint.fix"
CHECK = "convlint.check"
VERDICT = "convlint/verdict"
"""A notification with the verdict of each model that was checked."""


class Server(LanguageServer):
    """Shows what checks find, and asks for the next one when a file is saved."""

    def __init__(self) -> None:
        super().__init__("convlint", __version__)
        self.shown = Shown()
        self.workshop = Workshop()
        self.published: set[str] = set()
        self._pending: dict[str, None] = {}
        self._current = ""
        self._asked = 0
        self._checked: dict[str, list[str]] = {}

    async def check(self, path: str) -> None:
        """Check the models that a file reaches, the file that was saved last before others.

        A file that is saved while it is checked is checked again, and the first check left off.
        """
        self._pending.pop(path, None)
        self._pending[path] = None
        if self._current == path:
            self.workshop.leave_off()
        if self._current:
            return
        while self._pending:
            self._current, _ = self._pending.popitem()
            try:
                await self._check(self._current)
            finally:
                self._current = ""

    async def _check(self, path: str) -> None:
        def hear(message: Message) -> None:
            if path in self._pending:
                return
            if "models" in message:
                self._forget(path, message["models"])
            if "answer" in message:
                self._take(message)

        await self.asked({"kind": "check", "path": path, "root": self.root_of(path)}, hear)
        self.publish()
        workspace = self.client_capabilities.workspace
        if workspace and workspace.inlay_hint and workspace.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)

    def _take(self, message: Message) -> None:
        answer, first = message["answer"], bool(message.get("first"))
        self.shown.rules |= message.get("rules", {})
        self.shown.take(answer, first=first)
        self.publish()
        if not first:
            told = {key: answer.get(key, "") for key in ("model", "convertible", "verdict", "reasons")}
            self.protocol.notify(VERDICT, told)

    async def fix(self, path: str, model: str) -> None:
        """Make the changes of ``convlint fix`` in the open files, each proved."""
        files: dict[str, str] = {}
        said = []

        def hear(message: Message) -> None:
            files.update(message.get("files", {}))
            said.extend([message["said"]] if "said" in message else [])

        question = {"kind": "fix", "path": path, "model": model, "root": self.root_of(path)}
        await self.asked(question, hear)
        if unsaved := [each for each in files if self._is_unsaved(each)]:
            text = f"{os.path.basename(unsaved[0])} has changes that are not saved: save it, then fix again."
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, text))
            return
        changes = [change for each, text in files.items() for change in self._changes(each, text)]
        if changes:
            edit = lsp.WorkspaceEdit(document_changes=changes)
            await self.workspace_apply_edit_async(lsp.ApplyWorkspaceEditParams(edit, "convlint fix"))
        for text in said:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, text))

    async def asked(self, question: Message, hear: Any) -> None:
        """Ask the workshop, with the progress shown meanwhile, and problems as messages."""
        self._asked += 1
        token = f"convlint-{self._asked}"
        window = self.client_capabilities.window
        shows = bool(window and window.work_done_progress)
        if shows:
            await self.work_done_progress.create_async(token)
            begin = lsp.WorkDoneProgressBegin("convlint", message=os.path.basename(question["path"]))
            self.work_done_progress.begin(token, begin)

        def told(message: Message) -> None:
            if "progress" in message and shows:
                report = lsp.WorkDoneProgressReport(message=message["progress"])
                self.work_done_progress.report(token, report)
            if "error" in message:
                self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, message["error"]))
            hear(message)

        try:
            done = await self.workshop.ask(question, told)
            if done["problem"]:
                told({"error": done["problem"]})
        except ConnectionError as error:
            told({"error": f"convlint: {error}"})
        finally:
            if shows:
                self.work_done_progress.end(token, lsp.WorkDoneProgressEnd())

    def publish(self) -> None:
        """Show the findings of every file, and remove those of files that have none any more."""
        now = self.shown.paths()
        for path in sorted(now | self.published):
            found = self.shown.diagnostics(path, self.lines_of(path))
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri_of(path), found))
        self.published = now

    def lines_of(self, path: str) -> Sequence[str]:
        """The lines of a file as the editor has them, without their ends."""
        try:
            return self.workspace.get_text_document(uri_of(path)).source.splitlines()
        except OSError:
            return []

    def root_of(self, path: str) -> str:
        """The innermost folder of the workspace that a file is in, else its own folder."""
        folders = [to_fs_path(folder.uri) or "" for folder in self.workspace.folders.values()]
        folders += [self.workspace.root_path or ""]
        around = [os.path.realpath(each) for each in folders if each]
        around = [each for each in around if path.startswith(each + os.sep)]
        return max(around, key=len, default=os.path.dirname(path))

    def _forget(self, path: str, models: list[str]) -> None:
        """Forget models that a file reached before, and does not any more."""
        for name in set(self._checked.get(path, [])) - set(models):
            self.shown.answers.pop(name, None)
        self._checked[path] = models

    def _is_unsaved(self, path: str) -> bool:
        """Whether the editor has another text of a file than the disk."""
        if uri_of(path) not in self.workspace.text_documents or not os.path.exists(path):
            return False
        text = self.workspace.get_text_document(uri_of(path)).source
        return Path(path).read_bytes().decode("utf-8", "replace").splitlines() != text.splitlines()

    def _changes(self, path: str, text: str) -> list[lsp.TextDocumentEdit | lsp.CreateFile]:
        uri = uri_of(path)
        there = os.path.exists(path)
        before = self.workspace.get_text_document(uri).source if there else ""
        edits = file_edits(before, text)
        version = self.workspace.text_documents[uri].version if uri in self.workspace.text_documents else None
        document = lsp.OptionalVersionedTextDocumentIdentifier(uri, version)
        made = [] if there else [lsp.CreateFile(uri)]
        return [*made, lsp.TextDocumentEdit(document, edits)] if edits else []


def make_server() -> Server:
    """A server with everything that it offers."""
    server = Server()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
        await ls.check(_path(params.text_document.uri))

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
        await ls.check(_path(params.text_document.uri))

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]),
    )
    def actions(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        return _actions(ls, params)

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hover(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
        text = ls.shown.hover(_path(params.text_document.uri), params.position.line)
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text)) if text else None

    @server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    def hints(ls: Server, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        path = _path(params.text_document.uri)
        return ls.shown.hints(path, ls.lines_of(path), params.range.start.line, params.range.end.line)

    @server.command(FIX)
    async def fix(ls: Server, path: str, model: str) -> None:
        await ls.fix(path, model)

    @server.command(CHECK)
    async def check(ls: Server, path: str) -> None:
        await ls.check(os.path.realpath(path))

    @server.feature(lsp.SHUTDOWN)
    def shutdown(ls: Server, params: None) -> None:
        ls.workshop.close()

    return server


def _path(uri: str) -> str:
    return os.path.realpath(to_fs_path(uri) or uri)


def _actions(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """The edits of the findings in a range, their comments, and the whole fix of their models."""
    uri = params.text_document.uri
    path = _path(uri)
    lines = ls.lines_of(path)
    first, last = params.range.start.line, params.range.end.line
    wanted = params.context.only or [lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]
    made = []
    if any(lsp.CodeActionKind.QuickFix.value.startswith(kind) for kind in wanted):
        for finding, edit in ls.shown.edits(path, lines, first, last):
            title = f"{finding['code']}: {edit['title']}"
            made.append(_quick_fix(title, uri, text_edit(edit, lines), preferred=edit["safe"]))
        made += _silencing(ls, path, lines, uri, first, last)
    if any(lsp.CodeActionKind.SourceFixAll.value.startswith(kind) for kind in wanted):
        for model in {answer["model"]: None for answer, _ in ls.shown.findings(path) if answer["fixable"]}:
            title = f"convlint: make the proved changes of {model}"
            command = lsp.Command(title, FIX, arguments=[path, model])
            made.append(lsp.CodeAction(title, kind=lsp.CodeActionKind.SourceFixAll, command=command))
    return made


def _silencing(
    ls: Server, path: str, lines: Sequence[str], uri: str, first: int, last: int
) -> list[lsp.CodeAction]:
    """A comment for each rule of a line that has none."""
    made: dict[tuple[int, str], lsp.CodeAction] = {}
    for _, finding in ls.shown.findings(path):
        number = finding["line"] - 1
        if first <= number <= last and number < len(lines) and finding["name"] and "#" not in lines[number]:
            end = lsp.Position(number, units(lines[number].rstrip()))
            comment = lsp.TextEdit(lsp.Range(end, end), f"  # convlint: ignore[{finding['code']}]")
            title = f"{finding['code']}: silence it on this line"
            made[(number, finding["code"])] = _quick_fix(title, uri, comment, preferred=False)
    return list(made.values())


def _quick_fix(title: str, uri: str, edit: lsp.TextEdit, *, preferred: bool) -> lsp.CodeAction:
    return lsp.CodeAction(
        title,
        kind=lsp.CodeActionKind.QuickFix,
        is_preferred=preferred,
        edit=lsp.WorkspaceEdit(changes={uri: [edit]}),
    )


def serve() -> None:
    """Speak with an editor over standard input and output until it ends the conversation."""
    make_server().start_io()
