"""``python -m convlint``: the command line."""

from convlint.cli import run

if __name__ == "__main__":
    run()
