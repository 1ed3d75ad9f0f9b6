"""The files of an exported folder against what ``plait.json`` says of them: all there, and unchanged.

``plait.json`` itself is not sealed: who can write it can write a new sum beside every file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

FACTS, GRAPH, CODE, INPUTS = "plait.json", "model.onnx", "plait_onnx", "inputs"


def read_facts(folder: Path) -> dict[str, Any]:
    """What ``plait.json`` says.

    Raises:
        ValueError: It is missing, cut, or no JSON object.
    """
    file = folder / FACTS
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}; is this an exported folder?") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{file} is cut or broken (no JSON in UTF-8); export the model again") from None
    if not isinstance(facts, dict):
        raise ValueError(f"{file} holds no JSON object; export the model again")
    return facts


def sealed_files(folder: Path) -> list[str]:
    """Names of the files that must be as they were exported: graphs, inputs, and the code that reads rows."""
    found = [*folder.glob("*.onnx*"), *(folder / INPUTS).rglob("*"), *(folder / CODE).rglob("*.py")]
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())


def require_sealed(folder: Path, facts: Mapping[str, Any], graph: str = GRAPH) -> None:
    """Make sure that every file is the one that was exported.

    Raises:
        ValueError: One is missing, changed or not named, or a name leads out of the folder.
    """
    sums = facts.get("sha256")
    if not isinstance(sums, dict) or not sums:
        raise ValueError(f"{folder / FACTS} has no sha256 of the files; export the model again")
    for name, expected in sums.items():
        path = folder / name
        if not _is_inside(folder, name):
            raise ValueError(f"{folder / FACTS} names {name!r}, which lies outside the folder; export the model again")
        if not path.is_file():
            raise ValueError(f"{path} is missing; export the model again")
        found = sha256_of(path)
        if found != expected:
            raise ValueError(
                f"{path} is not the file that was exported (sha256 {found[:12]}, not {str(expected)[:12]})"
            )
    for name in (graph, *sealed_files(folder)):
        if name not in sums:
            raise ValueError(f"{folder / FACTS} has no sha256 of {name!r}; export the model again")


def sha256_of(path: Path) -> str:
    """The sum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_inside(folder: Path, name: str) -> bool:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name:
        return False
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return False
