"""JSON values into dataclasses: every key and type is checked, and what does not fit is named."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from daybreak.engine.errors import UserError

T = TypeVar("T")

LARGEST = 1e150
"""Of a number: its square is finite too, so that means and spreads can be reckoned."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises UserError naming a file that is missing, damaged or holds NaN or infinity."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there: check the name, or run again the command that writes it") from error
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path} is no readable JSON ({error}): run again the command that writes it") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object: run again the command that writes it")
    return cast(dict[str, Any], value)


def build(cls: type[T], values: Any, where: str) -> T:
    """An instance of the dataclass ``cls`` out of JSON ``values``, dataclasses in its fields included.

    Fields may be str, bool, int, float, Literal, ``X | None``, list[X], dict[str, Any] or another dataclass.
    Raises UserError that begins with ``where`` and names the unknown, missing or mistyped key.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where} should be an object, not {values!r}")
    given = cast(dict[str, Any], values)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, cls)) if f.init}
    for name in given:
        if name not in fields:
            raise UserError(
                f"{where} has an unknown key {name!r}: remove it, or use the version of daybreak that wrote it"
            )
    for name, f in fields.items():
        if name not in given and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UserError(f"{where} lacks the key {name!r}: add it, or write the file anew")
    hints = typing.get_type_hints(cls)
    return cls(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in given.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _value(next(a for a in arguments if a is not type(None)), value, where)
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(cast(list[Any], value))]
    if dataclasses.is_dataclass(hint):
        return build(cast(type[Any], hint), value, where)
    if origin is Literal:
        fits, expected = value in arguments, " or ".join(map(repr, arguments))
    else:
        fits, expected = _fits(origin or hint, value), getattr(origin or hint, "__name__", str(hint))
    if not fits:
        raise UserError(f"{where} should be {expected}, not {value!r}")
    return value


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool  # an int for Python, not for a reader
    if kind is float:
        return isinstance(value, (int, float)) and abs(value) <= LARGEST
    return isinstance(value, kind)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
