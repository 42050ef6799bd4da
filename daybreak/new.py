"""``daybreak new``: a system of your own, from the template that passes the conformance suite."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from daybreak.engine.errors import UserError
from daybreak.systems import SYSTEMS

END_OF_TABLE = "}\n\n\ndef package"


def new_system(name: str, checkout: Path) -> Path:
    """Copy ``docs/how-to/template`` to ``daybreak/systems/<name>`` and register it. Returns the new folder.

    Raises UserError for a name that cannot be a package, one that is taken, or outside of a checkout.
    """
    template = checkout / "docs" / "how-to" / "template"
    registry = checkout / "daybreak" / "systems" / "__init__.py"
    target = registry.parent / name
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot name a system: use lower-case letters and digits")
    if not template.is_dir():
        raise UserError("daybreak new works in a checkout of daybreak, which has docs/how-to/template: clone it first")
    if name in SYSTEMS or target.exists():
        raise UserError(f"there is a system {name!r} already: choose another name")
    target.mkdir()
    for path in sorted(template.iterdir()):
        text = path.read_text(encoding="utf-8")
        (target / path.name).write_text(re.sub(r"\btemplate\b", name, text), encoding="utf-8")
    line = f'    "{name}": System("daybreak.systems.{name}", "what it does, in a line", "sketch"),\n'
    table = registry.read_text(encoding="utf-8")
    registry.write_text(table.replace(END_OF_TABLE, line + END_OF_TABLE, 1), encoding="utf-8")
    return target
