"""The reader copied into an exported folder: those modules of Plait that it needs, under another name.

The imports of the copied modules are followed, from the reader on; what imports a package that the folder must do
without is left out, if it is only imported inside a function (which is then never called there). So one code reads
cells in training and in the folder, and nothing is written twice.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from plait.api.exporting.reader.opened import READERS

PACKAGE = "plait_onnx"
READER = "plait.api.exporting.reader"
ALLOWED = {"numpy", "onnxruntime", "tokenizers", "PIL", "soundfile", "soxr"}
OPTIONAL = {"soundfile", "soxr"}  # needed by some cells only, which say so
SPARED = {"PIL", *OPTIONAL}  # not needed where they are imported inside functions only
_IMPORT = re.compile(r"^(\s*)(from|import) (plait(?:\.\w+)*)(?= |$)", re.MULTILINE)


def write_bundle(folder: Path, kinds: set[str]) -> tuple[list[str], list[str]]:
    """Copy the reader for these kinds of modalities; returns the packages that it needs, and that some cells need.

    Args:
        folder: The exported folder, in which the package comes to lie.
        kinds: Kinds of the model's modalities.
    """
    modules = needed_modules(kinds)
    for module in modules:
        place = folder.joinpath(*renamed(module).split("."))
        source = _file_of(module)
        place = place / "__init__.py" if source.name == "__init__.py" else place.with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(rewritten(source.read_text(encoding="utf-8")), encoding="utf-8")
    for parent in {p for m in modules for p in _parents(renamed(m))}:
        init = folder.joinpath(*parent.split(".")) / "__init__.py"
        if not init.exists():
            init.write_text('"""Part of the reader of an exported model."""\n', encoding="utf-8")
    found = {one for module in modules for one in _packages(module)}
    needed = {name for name, is_late in found if not (is_late and name in SPARED)} & ALLOWED
    return sorted(needed), sorted({name for name, _ in found} & OPTIONAL - needed)


def needed_modules(kinds: set[str]) -> list[str]:
    """Dotted names of the modules of Plait that the reader needs.

    Raises:
        ValueError: One of them imports a package that the folder must do without; a fault of Plait.
    """
    waiting = [READER, f"{READER}.model", *(f"{READER}.{READERS[kind]}" for kind in sorted(kinds))]
    found: list[str] = []
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.append(module)
        for target, is_late in _targets(module):
            is_heavy = any(not is_inner and name not in ALLOWED for name, is_inner in _packages(target))
            if is_heavy and not is_late:
                raise ValueError(f"{module} imports {target}, which needs more than {', '.join(sorted(ALLOWED))}")
            if not is_heavy:
                waiting.append(target)
    return sorted(found)


def renamed(module: str) -> str:
    """The name of a module of Plait in the folder."""
    if module == READER or module.startswith(f"{READER}."):
        return PACKAGE + module.removeprefix(READER)
    return PACKAGE + module.removeprefix("plait")


def rewritten(source: str) -> str:
    """A module's text with its imports of Plait's modules renamed."""
    return _IMPORT.sub(lambda match: f"{match[1]}{match[2]} {renamed(match[3])}", source)


def _file_of(module: str) -> Path:
    place = Path(__file__).resolve().parents[2].joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _imports(module: str) -> Iterator[tuple[str, bool]]:
    """Dotted names that a module imports and whether inside a function; those for type checkers left out."""
    tree = ast.parse(_file_of(module).read_text(encoding="utf-8"))
    branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    checked = [node for node in branches if "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    late = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in late


def _targets(module: str) -> list[tuple[str, bool]]:
    return [(name, late) for name, late in _imports(module) if name.split(".")[0] == "plait"]


def _packages(module: str) -> set[tuple[str, bool]]:
    """Packages from outside that a module imports, and whether inside a function."""
    tops = {(name.split(".")[0], late) for name, late in _imports(module)}
    return {(name, late) for name, late in tops if name != "plait" and name not in sys.stdlib_module_names}
