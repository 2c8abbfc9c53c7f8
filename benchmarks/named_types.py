"""What ``hf:TYPE`` knows: ``python -m benchmarks.named_types`` asks for the inputs of every type.

Every type of transformers that has a model without a head is named; nothing is built but configurations.
``--write`` puts the counts into docs/limits.md.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from benchmarks.written import write_between

PAGE = Path(__file__).resolve().parent.parent / "docs" / "limits.md"
BEGIN, END = "  <!-- named-types: begin -->", "  <!-- named-types: end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each type that cannot be named alone, then the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.named_types", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the counts into docs/limits.md")
    options = parser.parse_args(arguments)
    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    named = transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES
    counts: Counter[str] = Counter()
    for name in sorted(each for each in transformers.CONFIG_MAPPING if each in named):
        kind = _kind(name)
        counts[kind] += 1
        if kind == "none":
            print(f"{name}: no inputs")
    text = sentence(counts, transformers.__version__)
    print(text)
    if options.write:
        write_between(PAGE, BEGIN, END, [f"  {line}" for line in wrap(text, 120)])
    return 0


def sentence(counts: Counter[str], version: str) -> str:
    """The counts in words."""
    return (
        f"Of the {counts.total()} types in transformers {version} that have a model without a head, inputs"
        f" are stated for {counts['inputs']}. For {counts['none']} they are not: write `--input`. For"
        f" {counts['refused']} transformers makes no default configuration, or asks for another package: name"
        " the class in full. A stated input need not be one that the default configuration runs with."
    )


def _kind(name: str) -> str:
    from convlint.usercode.by_name.of_transformers import in_full

    try:
        return "inputs" if in_full(name, {}, {}).inputs else "none"
    except Exception as error:  # configurations raise anything
        print(f"{name}: {type(error).__name__}: {error}"[:160])
        return "refused"


if __name__ == "__main__":
    sys.exit(main())
