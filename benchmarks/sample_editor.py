"""What ``convlint server`` tells an editor of one file, and a page that shows it as editors do."""

from __future__ import annotations

import asyncio
import html
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLE = """body { margin: 0; padding: 16px 0; background: #fff; color: #1f2328;
font: 13px/1.6 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.line { padding: 0 18px; white-space: pre-wrap }
.line b { display: inline-block; width: 30px; margin-right: 18px; color: #8c959f;
font-weight: 400; text-align: right }
.wrong { text-decoration: underline wavy #d1242f; text-underline-offset: 4px }
.hint { margin-left: 14px; padding: 0 6px; border-radius: 4px; background: #eef1f4;
color: #57606a; font-size: 12px }
.said { margin: 2px 18px 6px 66px; padding: 5px 11px; border-left: 3px solid #d1242f; background: #fff1f0;
white-space: pre-wrap; font-size: 12px }
.action { margin: 0 18px 2px 66px; color: #0969da; font-size: 12px }"""


@dataclass(frozen=True, slots=True)
class Told:
    """The answers of a server: diagnostics by line, hints by line, and the changes offered at one line."""

    diagnostics: tuple[tuple[int, str, str], ...]
    actions: tuple[str, ...]
    actions_at: int
    hints: tuple[tuple[int, str], ...]


def said_by_the_server(folder: Path, name: str, environment: Mapping[str, str]) -> Told:
    """Start the server as an editor does, save the file, and wait for hints, which come last."""
    return asyncio.run(_asked(folder, name, environment))


async def _asked(folder: Path, name: str, environment: Mapping[str, str]) -> Told:
    from lsprotocol import types as lsp
    from pygls.lsp.client import LanguageClient
    from pygls.uris import from_fs_path

    client = LanguageClient("a picture", "1")
    found: list[lsp.Diagnostic] = []
    told = asyncio.Event()

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(params: lsp.PublishDiagnosticsParams) -> None:
        found[:] = params.diagnostics

    @client.feature(lsp.WORKSPACE_INLAY_HINT_REFRESH)
    def refreshed(params: None) -> None:
        told.set()

    @client.feature(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE)
    def created(params: lsp.WorkDoneProgressCreateParams) -> None:
        pass

    await client.start_io(sys.executable, "-m", "convlint", "server", cwd=folder, env=dict(environment))
    refresh = lsp.InlayHintWorkspaceClientCapabilities(refresh_support=True)
    capabilities = lsp.ClientCapabilities(workspace=lsp.WorkspaceClientCapabilities(inlay_hint=refresh))
    root = str(from_fs_path(str(folder)))
    await client.initialize_async(
        lsp.InitializeParams(
            capabilities, root_uri=root, workspace_folders=[lsp.WorkspaceFolder(uri=root, name="project")]
        )
    )
    client.initialized(lsp.InitializedParams())
    text = (folder / name).read_text(encoding="utf-8")
    document = lsp.TextDocumentIdentifier(str(from_fs_path(str(folder / name))))
    client.text_document_did_open(
        lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(document.uri, "python", 1, text))
    )
    client.text_document_did_save(lsp.DidSaveTextDocumentParams(document))
    everything = lsp.Range(lsp.Position(0, 0), lsp.Position(len(text.splitlines()), 0))
    hints: list[Any] = []
    async with asyncio.timeout(180):
        while not hints:
            await told.wait()
            told.clear()
            hints = list(
                await client.text_document_inlay_hint_async(lsp.InlayHintParams(document, everything)) or ()
            )
    where = next((each.range for each in found if each.severity == lsp.DiagnosticSeverity.Error), everything)
    actions = await client.text_document_code_action_async(
        lsp.CodeActionParams(document, where, lsp.CodeActionContext(diagnostics=found))
    )
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return Told(
        tuple((each.range.start.line, str(each.code), each.message) for each in found),
        tuple(each.title for each in actions or ()),
        where.start.line,
        tuple((each.position.line, _label(each)) for each in hints),
    )


def _label(hint: Any) -> str:
    label = hint.label
    return label if isinstance(label, str) else "".join(part.value for part in label)


def seen_in_the_editor(source: str, told: Told) -> str:
    """The lines with what the server told of each: hints at their ends, the finding under its line."""
    parts = []
    wrong = {line for line, _, _ in told.diagnostics}
    for number, text in enumerate(source.splitlines()):
        code = html.escape(text.strip())
        indent = text[: len(text) - len(text.lstrip())]
        shown = f'{indent}<span class="wrong">{code}</span>' if number in wrong else indent + code
        hints = "".join(
            f'<span class="hint">{html.escape(label.strip())}</span>'
            for line, label in told.hints
            if line == number
        )
        parts.append(f'<div class="line"><b>{number + 1}</b>{shown}{hints}</div>')
        for line, name, message in told.diagnostics:
            if line == number:
                parts.append(f'<div class="said">{html.escape(f"{name}: {message}")}</div>')
        if number == told.actions_at:
            parts += [f'<div class="action">→ {html.escape(title)}</div>' for title in told.actions]
    return f"<!DOCTYPE html><meta charset='utf-8'><style>{STYLE}</style><body>{''.join(parts)}"
