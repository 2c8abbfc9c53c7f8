"""The command line: arguments in, exit code out. Each command has a module of its own name."""

from convlint.cli.program import main as main
from convlint.cli.program import report_error as report_error
from convlint.cli.program import run as run
