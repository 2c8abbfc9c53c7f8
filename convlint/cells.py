"""Code that was typed, in a cell of a notebook or at a prompt: it has no file, but Python knows its lines.

IPython hands the lines of a cell to :mod:`linecache`, which shows them in tracebacks
(https://docs.python.org/3/library/linecache.html), and gives the cell the name of a file that is not there.
"""

from __future__ import annotations

import linecache
import os
import sys


def is_cell(path: str) -> bool:
    """Whether code of this name was typed. Code that torch generates has names of its own."""
    entry = linecache.cache.get(path)
    typed = entry is not None and len(entry) == 4 and entry[1] is None
    return typed and not path.startswith("<eval_with_key>") and not os.path.isfile(path)


def text_of_cell(path: str) -> str:
    """The lines of a cell as Python ran them."""
    return "".join(linecache.getlines(path))


def name_of_cell(path: str) -> str:
    """``"cell In[3]"`` for a cell of the running IPython; empty for all else."""
    ipython = sys.modules.get("IPython")
    if ipython is None or not is_cell(path):
        return ""
    try:
        named = ipython.get_ipython().compile.format_code_name(path)
    except AttributeError:  # no shell is running, or one of another make
        return ""
    return f"cell {named[1]}" if named else ""
