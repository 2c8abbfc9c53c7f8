"""``python -m convlint`` and the program ``convlint``: the command line."""

from __future__ import annotations

import gc
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line as a program of its own."""
    # Imports and a check make many long-lived objects: collecting after every 700 costs a tenth of the time.
    gc.set_threshold(100_000, 50, 100)
    from convlint.cli.program import run as run_command_line

    run_command_line()


if __name__ == "__main__":
    run()
