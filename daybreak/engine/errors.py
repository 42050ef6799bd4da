"""The one exception that is the user's to mend: one sentence that names the thing and what to do."""

from __future__ import annotations

import importlib.util


class UserError(Exception):
    """A mistake the user can mend. The command line prints its sentence alone and exits with code 2."""


def need(module: str, extra: str) -> None:
    """Raise :class:`UserError` naming the ``extra`` to install when ``module`` is not there."""
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{module} is not installed; get it with: pip install 'daybreak[{extra}]'")
