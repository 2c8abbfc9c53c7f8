"""What ``hf:TYPE`` knows: ``python -m benchmarks.named_types`` asks for every type's inputs, and runs it.

Every type of transformers that has a model without a head is built from its default configuration on the
meta device, in a process of its own with a limit, and runs once with the inputs that convlint states.
``--write`` puts the sentence into docs/limits.md.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from benchmarks.written import write_between

PAGE = Path(__file__).resolve().parent.parent / "docs" / "limits.md"
BEGIN, END = "<!-- named-types: begin -->", "<!-- named-types: end -->"
LIMIT = 60
"""Seconds for a type."""
WITHOUT_VALUES = ("meta", "data-dependent", "unbacked", "has no storage", "Cannot copy out")
"""Parts of what an op says that needs values, which the meta device does not have."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line a type, then the counts."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.named_types", description=__doc__)
    options.add_argument("--only", nargs="+", metavar="TYPE")
    options.add_argument("--write", action="store_true", help="write the sentence into docs/limits.md")
    chosen = options.parse_args(arguments)
    import transformers

    names = transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES
    types = chosen.only or sorted(name for name in transformers.CONFIG_MAPPING if name in names)

    counts: Counter[str] = Counter()
    for number, name in enumerate(types, 1):
        kind, _, detail = _asked(name).partition(": ")
        counts[kind] += 1
        print(f"{number}/{len(types)} {name}: {kind} {detail[:160]}", flush=True)
    text = sentence(counts, transformers.__version__)
    print(text)
    if chosen.write:
        write_between(PAGE, BEGIN, END, [f"  {line}" for line in wrap(text, 120)])
    return 0


def sentence(counts: Counter[str], version: str) -> str:
    """The counts in words."""
    return (
        f"Of the {counts.total()} types in transformers {version} that have a model without a head,"
        f" {counts['runs']} run on the meta device with the inputs that convlint states, and"
        f" {counts['values']} need values there. For {counts['no inputs']} no inputs are stated:"
        f" write `--input`. {counts['not built'] + counts['fails'] + counts['late']} do not build from their"
        " own defaults, or take other inputs: name the class in full."
    )


def _asked(name: str) -> str:
    """The answer of a child for one type, "late" where there is none in time."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        try:
            os.write(writes, _tried(name).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writes)
    ready, _, _ = select.select([reads], [], [], LIMIT)
    answer = os.read(reads, 4000).decode(errors="replace") if ready else "late"
    os.close(reads)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer or "not built: the process ended"


def _tried(name: str) -> str:
    import torch

    from convlint.errors import ConvlintError
    from convlint.interface.inputs import make_tensors
    from convlint.usercode.by_name.of_transformers import in_full
    from convlint.usercode.spec import load_model

    warnings.simplefilter("ignore")
    try:
        named = in_full(name, {}, {})
        with torch.device("meta"):
            module = load_model(named.spec, named.args, named.arg_exprs).build().eval()
    except (ConvlintError, Exception) as error:  # configurations raise anything
        return f"not built: {type(error).__name__}: {' '.join(str(error).split())}"
    if not named.inputs:
        return "no inputs"
    args, kwargs = make_tensors(named.inputs)
    try:
        with torch.device("meta"), torch.no_grad():
            module(
                *(each.to("meta") for each in args), **{key: each.to("meta") for key, each in kwargs.items()}
            )
    except Exception as error:  # models raise anything
        said = " ".join(str(error).split())
        kind = "values" if any(part in said for part in WITHOUT_VALUES) else "fails"
        return f"{kind}: {type(error).__name__}: {said}"
    return "runs"


if __name__ == "__main__":
    sys.exit(main())
