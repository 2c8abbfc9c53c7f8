"""The server's end of the workshop: starts it, asks one question at a time, leaves off what is outdated."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

_LONGEST = 1 << 28
"""Bytes of one line of an answer."""

Message = dict[str, Any]


class Workshop:
    """A process that answers questions. It is started by the first one, and again where it has died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._number = 0
        self._busy = False

    async def ask(self, question: Message, hear: Callable[[Message], None]) -> Message:
        """Ask, hand every message on to ``hear``, and return the last one, which has ``done``.

        Raises ``ConnectionError`` where the process cannot be used.
        """
        async with self._turn:
            process = await self._started()
            assert process.stdin is not None
            self._number += 1
            self._busy = True
            try:
                process.stdin.write((json.dumps({**question, "id": self._number}) + "\n").encode())
                await process.stdin.drain()
                while True:
                    message = await self._read(process)
                    if message.get("done") == self._number:
                        return message
                    if message.get("id") == self._number:
                        hear(message)
            finally:
                self._busy = False

    def leave_off(self) -> None:
        """End the answer to the current question, which nobody needs any more."""
        if self._busy and self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "convlint.editor.workshop",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST,
            )
            first = await self._read(self._process)
            if not first.get("ready"):
                self.close()
                raise ConnectionError(f"coremltools cannot be used here: {first.get('problem')}")
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> Message:
        """The next message; half a line of an answer that was left off is none."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    return message
        await process.wait()
        raise ConnectionError("the process that checks models has ended.")
