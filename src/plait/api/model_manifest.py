"""``manifest.json`` of a model folder: the files that its answers depend on, each with its size and sha256.

It notices what happens by chance: a disk that flips a bit, a copy that was cut, a file of another model, an edit by
hand. It is no protection against somebody who means harm, who can write a manifest to match; what such a folder could
do is bounded elsewhere (nothing in it is unpickled or run, and :mod:`plait.api.model_checks` compares its files with
each other).

``report.html``, ``history.csv`` and ``README.md`` are for people: they are not in it and may be edited or thrown away.
``report.json`` is in it, for evaluation takes from it which rows were trained on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plait import __version__
from plait.files import file_sha256, require_regular_file

NAME = "manifest.json"
FORMAT = 1
FOR_PEOPLE = ("report.html", "history.csv", "README.md")


def write_manifest(folder: Path) -> None:
    """List what lies in a folder that was just written."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
        for name in paths
        if name not in FOR_PEOPLE
    }
    values = {"kind": "plait model", "format": FORMAT, "plait": __version__, "files": files}
    (folder / NAME).write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_files(folder: Path) -> list[str]:
    """Compare the files with the manifest; files that it does not name are passed over.

    Returns:
        The names in it, with ``/`` between folders.

    Raises:
        FileNotFoundError: There is no manifest.
        ValueError: The manifest is damaged or of a later Plait, or a file is missing, no file, or not what was saved.
    """
    files = _read(folder / NAME)
    for name, fact in files.items():
        path = folder / name
        try:
            require_regular_file(path, "model's file")
            size = path.stat().st_size
            same = size == fact["bytes"] and file_sha256(path) == fact["sha256"]
        except FileNotFoundError:
            raise ValueError(f"{path} is missing; {MEND}") from None
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
        if not same:
            how = f"{size:,} bytes" if size != fact["bytes"] else "sha256"
            was = f"{fact['bytes']:,}" if size != fact["bytes"] else "another one"
            raise ValueError(f"{path} is not what was saved ({how}, the manifest says {was}); {MEND}")
    return list(files)


MEND = "restore the folder from a copy, or train again with overwrite=True"


def _read(path: Path) -> dict[str, Any]:
    """The files that a manifest names."""
    require_regular_file(path, "manifest")
    try:
        values = json.loads(path.read_bytes())
        found, files = values["format"], values["files"]
        if isinstance(found, int) and found > FORMAT:
            raise ValueError(f"{path} has format {found}, and this Plait reads format {FORMAT}: update Plait")
        good = isinstance(files, dict) and all(_is_entry(name, fact) for name, fact in files.items())
        if values["kind"] != "plait model" or found != FORMAT or isinstance(found, bool) or not good:
            raise TypeError
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged; {MEND}") from error
    return dict(files)


def _is_entry(name: str, fact: Any) -> bool:
    """Whether an entry names a file inside the folder, with a size and a hash."""
    inside = "\\" not in name and "\0" not in name and all(part not in ("", ".", "..") for part in name.split("/"))
    return inside and isinstance(fact, dict) and type(fact.get("bytes")) is int and isinstance(fact.get("sha256"), str)
