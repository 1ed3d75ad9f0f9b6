"""Settings dataclasses to plain values and back, strict about every key and type."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Hashable
from typing import Any, TypeVar

from plait.registry import unknown_name
from plait.settings.ranges import USUAL

S = TypeVar("S")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """The type of every field; reading annotations that are text takes long, and classes do not change."""
    return typing.get_type_hints(kind)


def to_dict(settings: object) -> dict[str, Any]:
    """A settings dataclass as plain lists and dicts."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(settings))  # type: ignore[call-overload]
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def from_dict(kind: type[S], values: dict[str, Any], where: str = "run") -> S:
    """Build a settings dataclass from plain values.

    Raises:
        ValueError: A key is unknown (the nearest keys are named) or a value has the wrong type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be a mapping of settings, got {values!r}")
    hints = _hints(typing.cast(Hashable, kind))
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    known = list(fields)
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(unknown_name(f"setting in {where}", key, known))
        hint = hints[key]
        name = f"{where}.{key}" if where != "run" else key
        made[key] = (
            from_dict(hint, value, name)
            if isinstance(hint, type) and dataclasses.is_dataclass(hint)
            else _coerce(name, value, hint, fields[key].metadata.get(USUAL))
        )
    return kind(**made)


def paths_of(kind: type, under: str = "") -> list[str]:
    """The path of every setting, group by group: "train.epochs"."""
    paths: list[str] = []
    for name, hint in _hints(kind).items():
        is_group = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        paths += paths_of(hint, f"{under}{name}.") if is_group else [f"{under}{name}"]
    return paths


def is_setting(kind: type, path: str) -> bool:
    """Whether there is a setting, a group or an entry of a setting that is a mapping at this path."""
    return any(f"{one}.".startswith(f"{path}.") or path.startswith(f"{one}.") for one in paths_of(kind))


def unknown_setting(kind: type, path: str) -> str:
    """The sentence for a setting that does not exist: the nearest first, of its own group or by its last part.

    Args:
        kind: The settings dataclass in which ``path`` was looked up.
        path: What was given, group by group.
    """
    every = {one: one.rpartition(".")[2] for one in paths_of(kind)}
    group, _, last = path.rpartition(".")
    known = [name for one, name in every.items() if one.rpartition(".")[0] == group]
    if group and difflib.get_close_matches(last, known, n=1, cutoff=0.5):
        return unknown_name(f"setting in {group}", last, known)
    near = [one for one, name in every.items() if name == last]
    near = near or difflib.get_close_matches(path, list(every), n=3, cutoff=0.75)
    similar = difflib.get_close_matches(last, list(every.values()), n=3, cutoff=0.6)
    near = near or [one for one, name in every.items() if name in similar][:3]
    near = sorted(near, key=lambda one: -difflib.SequenceMatcher(None, group, one.rpartition(".")[0]).ratio())
    hint = f" Did you mean {', '.join(repr(one) for one in near)}?" if near else ""
    there = known if group and known else list(dict.fromkeys(one.partition(".")[0] for one in every))
    return f"unknown setting {path!r}.{hint} Known{f' in {group}' if group and known else ''}: {', '.join(there)}"


def is_text(kind: type, path: list[str]) -> bool:
    """Whether the setting at this path, group by group, holds text (or nothing)."""
    hint: Any = kind
    for name in path:
        if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
            return False
        hint = _hints(hint).get(name)
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    return str in options and set(options) <= {str, type(None)}


def _coerce(name: str, value: Any, hint: Any, usual: float | None = None) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if value is None:
        if type(None) in options:
            return None
        raise ValueError(f"{name} needs a value")
    for option in options:
        origin = typing.get_origin(option) or option
        if origin is tuple and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if origin is tuple and isinstance(value, str):
            return (value,)
        if origin is bool and isinstance(value, bool):
            return value
        if origin is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if origin is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if origin is float and isinstance(value, str):
            try:  # YAML reads 1e-3 (no dot) as text
                return float(value)
            except ValueError:
                pass
        if origin is str and isinstance(value, str):
            return value
        if origin is dict and isinstance(value, dict):
            return dict(value)
    if any((typing.get_origin(o) or o) is tuple for o in options):
        raise ValueError(f"{name} must be names in brackets, such as [a, b], got {value!r}")
    wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not type(None))
    told = f"; {usual:g} is usual, 0 is off" if usual is not None else ""
    raise ValueError(f"{name} must be {wanted}, got {value!r}{told}")
