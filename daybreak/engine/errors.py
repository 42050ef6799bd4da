"""The one exception that is the user's to mend: one sentence that names the thing and what to do."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend. The command line prints its sentence alone and exits with code 2."""


def need(module: str, extra: str) -> None:
    """Raise :class:`UserError` naming the ``extra`` to install when ``module`` is not there."""
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{module} is not installed; get it with: pip install 'daybreak[{extra}]'")


def unknown(what: str, word: str, names: Iterable[str]) -> str:
    """A sentence for a word that is none of ``names``, with the nearest one."""
    names = list(names)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"{word!r} is no {what} " + (f"(did you mean {near[0]!r}?)" if near else f"(there are {', '.join(names)})")
