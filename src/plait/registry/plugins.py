"""Installed packages that bring fusions, encoders, tasks or metrics: entry points of the group ``plait.plugins``.

An entry point names a module, whose import registers, or a callable, which is called without arguments. All of them are
loaded once a process, at the first fit, load, comparison or list, or where a name is asked for that Plait does not
have; never at ``import plait``. One that fails is taken out again as a whole and said in a warning.

What is loaded is what is installed: no file of a model ever names code to import.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from plait.registry.words import first_line

GROUP = "plait.plugins"


@dataclass(frozen=True)
class Origin:
    """Who brought a record.

    Attributes:
        package: The installed package; "": it was registered in this process.
        version: Of that package.
        module: Where the record is defined, for people to read.
    """

    package: str
    version: str
    module: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}" if self.package else f"this process ({self.module})"


@dataclass
class Plugin:
    """One entry point of an installed package.

    Attributes:
        name: Its name in the group.
        package: The package that has it.
        version: Of the package.
        target: What it points to, "module" or "module:callable".
        error: Why it could not be loaded; None: it was, or has not been tried.
    """

    name: str
    package: str
    version: str
    target: str
    error: str | None = None
    entry_point: Any = field(default=None, repr=False, compare=False)


_LOCK = threading.RLock()
_loaded: list[Plugin] | None = None
_current: Plugin | None = None
_undo: list[Callable[[], None]] = []


def installed_plugins() -> list[Plugin]:
    """Every entry point of the group, by package, without importing any; those that were loaded with their errors."""
    if _loaded is not None:
        return list(_loaded)
    from importlib import metadata  # takes some hundredths of a second, which the help does without

    found = [
        Plugin(point.name, *_package_of(point), point.value, entry_point=point)
        for point in metadata.entry_points(group=GROUP)
    ]
    return sorted(found, key=lambda plugin: (plugin.package.lower(), plugin.name))


def has_plugins() -> bool:
    """Whether an installed package has an entry point of the group."""
    return bool(installed_plugins())


def load_plugins() -> list[Plugin]:
    """Load every installed plug-in, once a process.

    Warns:
        UserWarning: One that could not be loaded; the package and the reason are named, and Plait goes on without it.
    """
    global _loaded, _current
    with _LOCK:
        if _loaded is None:
            found = installed_plugins()
            _loaded = found  # first: a plug-in that asks for a name while it is loaded gets what is there
            for plugin in found:
                _current = plugin
                try:
                    _load(plugin)
                finally:
                    _current = None
                    _undo.clear()
        return list(_loaded)


def origin_of(module: str) -> Origin:
    """The origin of a record that is registered now and defined in ``module``: the plug-in that is being loaded, or the
    installed package whose plug-in lies in the same top module (imported by hand before Plait loaded it), or this
    process.
    """
    if _current is not None:
        return Origin(_current.package, _current.version, module)
    for plugin in installed_plugins():
        if plugin.target.partition(":")[0].split(".")[0] == module.split(".")[0]:
            return Origin(plugin.package, plugin.version, module)
    return Origin("", "", module)


def forget_with(undo: Callable[[], None]) -> None:
    """Keep what takes a record out again, for the case that the plug-in which is being loaded fails further down."""
    if _current is not None:
        _undo.append(undo)


def _load(plugin: Plugin) -> None:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of an answer such as --json
            brought = plugin.entry_point.load()
            if callable(brought):
                brought()
    except (Exception, SystemExit) as error:  # whatever a stranger's module does, Plait itself goes on
        for undo in reversed(_undo):
            undo()
        plugin.error = f"{type(error).__name__}: {first_line(error)}"
        warnings.warn(
            f"the plug-in {plugin.name!r} of the package {plugin.package} {plugin.version} could not be loaded "
            f"({plugin.error}), so what it brings is not there. Update the package, or uninstall it: pip uninstall "
            f"{plugin.package}",
            stacklevel=3,
        )


def _package_of(point: Any) -> tuple[str, str]:
    name = point.dist.name if point.dist is not None else None  # metadata that is damaged may have no name
    return name or "(unnamed)", (point.dist.version if point.dist is not None else None) or "?"
