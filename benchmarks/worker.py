"""Runs the real conversion of one case after the other, as told on stdin; answers with one JSON row each.

``python -m benchmarks.worker CORPUS [COREMLTOOLS_PATH]``. Rows go to the stdout that this process was started
with; whatever the libraries print goes to stderr.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from typing import Any

TEXT_LIMIT = 2000
UNREGISTERED = re.compile(r"Unsupported fx node (?P<node>[^,]+), kind (?P<kind>\S+)")
CONVERTING = re.compile(r"ERROR - converting '(?P<kind>[^']*)' op \(located at: '(?P<node>[^']*)'\)")
STAGES = (
    ("/mil/backend/", "backend"),
    ("/mil/mil/passes/", "passes"),
    ("/mil/frontend/", "frontend"),
)


class _LastError(logging.Handler):
    """Keeps what coremltools logs as errors: the only place where it names the node that it stopped at."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def measure(corpus: Any, name: str) -> dict[str, Any]:
    """The row of the case ``name``: capture, then conversion, and what stopped either."""
    import coremltools
    import torch

    row: dict[str, Any] = {"name": name, "coremltools": coremltools.__version__, "torch": torch.__version__}
    start = time.perf_counter()
    try:
        example = corpus.build(name)
    except Exception as error:
        return row | {"build": "error", **_error(error), "seconds": _since(start)}
    start = time.perf_counter()
    try:
        exported = torch.export.export(example.module.eval(), example.args, example.kwargs, strict=False)
        program = exported.run_decompositions({})
    except Exception as error:
        return row | {"capture": "error", **_error(error), "seconds": _since(start)}
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    row |= {
        "capture": "ok",
        "capture_seconds": _since(start),
        "nodes": len(nodes),
        "targets": sorted({str(node.target) for node in nodes}),
        "unregistered": sorted(_unregistered(nodes)),
    }
    heard = _LastError()
    logger = logging.getLogger("coremltools")
    logger.addHandler(heard)
    try:
        coremltools.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS18,
            skip_model_load=True,
        )
    except Exception as error:
        row |= {"convert": "error", **_error(error), **_culprit(program, heard.text, str(error))}
    else:
        row["convert"] = "ok"
    finally:
        logger.removeHandler(heard)
    return row | {"seconds": _since(start)}


def _unregistered(nodes: Iterable[Any]) -> set[str]:
    """The op kinds, as coremltools spells them, that have no converter under their name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    kinds = set()
    for node in nodes:
        try:
            kind = node.target.name()
        except Exception:
            kind = getattr(node.target, "__name__", str(node.target))
        kinds.add(sanitize_op_kind(kind))
    return {kind for kind in kinds if kind not in _TORCH_OPS_REGISTRY}


def _error(error: BaseException) -> dict[str, Any]:
    """What was raised, the stage it came from, and the innermost line of coremltools that was running."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/coremltools/" in f.filename]
    stage = next((s for part, s in STAGES if any(part in f.filename for f in frames)), None)
    found: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"[:TEXT_LIMIT]}
    if frames:
        found["stage"] = stage or "other"
        found["frames"] = [
            f"{f.filename.rpartition('/coremltools/')[2]}:{f.lineno} {f.name}" for f in frames[-6:]
        ]
    return found


def _culprit(program: Any, logged: str, message: str) -> dict[str, Any]:
    """The node that the conversion stopped at, as the exception or the log names it."""
    match = UNREGISTERED.search(message) or CONVERTING.search(logged)
    if match is None:
        return {}
    found: dict[str, Any] = {"kind": match["kind"], "node": match["node"]}
    for node in program.graph.nodes:
        if node.name == match["node"]:
            found |= {"target": str(node.target), "call": _call(node), "out": _describe(node)}
    return found


def _call(node: Any) -> str:
    """The node's arguments with tensors shown by dtype and shape."""
    from torch.fx.node import map_arg

    shown = map_arg((node.args, node.kwargs), lambda n: _Shown(_describe(n)))
    return ", ".join([repr(a) for a in shown[0]] + [f"{k}={v!r}" for k, v in shown[1].items()])[:TEXT_LIMIT]


class _Shown(str):
    """A string that shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _describe(node: Any) -> str:
    """What a node yields: ``float32[2, 3]``, with ``!`` where it is a parameter or another graph constant."""
    import torch

    def one(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        return str(value)

    value = node.meta.get("val")
    text = f"({', '.join(map(one, value))})" if isinstance(value, (tuple, list)) else one(value)
    return f"{text}!" if node.op == "placeholder" and node.name.startswith(("p_", "b_", "c_")) else text


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)


def main(argv: list[str]) -> int:
    """Answer every name on stdin; the first line of all says that the imports are done."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    corpus_name, *paths = argv
    sys.path[:0] = paths
    import coremltools
    import torch

    from benchmarks.corpora import corpus

    torch.set_num_threads(1)
    chosen = corpus(corpus_name)
    print(json.dumps({"ready": coremltools.__version__}), file=answers)
    for line in sys.stdin:
        print(json.dumps(measure(chosen, line.strip())), file=answers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
