"""``python -m benchmarks``: the speed table. Accuracy has a command of its own, because it takes longer."""

from __future__ import annotations

import sys

from benchmarks.speed import main

sys.exit(main(sys.argv[1:]))
