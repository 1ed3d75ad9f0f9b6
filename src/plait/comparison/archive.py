"""The folder of a comparison: a small record for each finished run, so that a stopped one goes on where it stood.

A run's file name is a hash of all that decides its result: settings, method, seed, table and encoders. The record is
JSON, outputs are an ``.npz`` read without pickle. The weights of the best run of a search are kept only until that
search has ended. Every file is written beside its place and then moved there, so half a file is never read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from plait.files import whole_file, write_text

PLAN_FILE = "plan.json"
OWN_FILES = (PLAN_FILE, "compare.json", "compare.html", "runs")


class Archive:
    """Records of runs in a folder.

    Args:
        folder: The folder of the comparison.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True, exist_ok=True)

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of a finished run, or None: it has not run, or it failed and is to be tried again."""
        path = self.runs / f"{key}.json"
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return None if found["status"] == "failed" else found

    def store(self, key: str, record: dict[str, Any]) -> None:
        """Write a record; from here on the run counts as finished, unless it failed."""
        text = json.dumps({"key": key, **record}, ensure_ascii=False, indent=1, allow_nan=False)
        write_text(self.runs / f"{key}.json", text)

    def outputs(self, key: str) -> dict[str, np.ndarray] | None:
        """Outputs of a run on val and test rows, or None."""
        path = self.runs / f"{key}.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def store_outputs(self, key: str, outputs: dict[str, np.ndarray]) -> None:
        """Write outputs."""
        with whole_file(self.runs / f"{key}.npz") as part, part.open("wb") as file:  # closed before it takes its name
            np.savez_compressed(file, **outputs)  # type: ignore[arg-type]

    def weights(self, key: str) -> dict[str, torch.Tensor] | None:
        """Weights kept of a run, or None."""
        path = self.runs / f"{key}.safetensors"
        return load_file(path) if path.is_file() else None

    def store_weights(self, key: str, weights: dict[str, torch.Tensor]) -> None:
        """Keep the weights of a run until ``drop_weights``."""
        plain = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
        with whole_file(self.runs / f"{key}.safetensors") as part:
            save_file(plain, part)

    def drop_weights(self, key: str) -> None:
        """Let the weights of a run go."""
        (self.runs / f"{key}.safetensors").unlink(missing_ok=True)


def run_key(facts: dict[str, Any]) -> str:
    """The name of a run: a hash of all that decides its result."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def guard_folder(folder: Path, stamp: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Make the folder ready, or refuse it.

    Args:
        folder: Where the comparison goes.
        stamp: What must not differ between a comparison and its resumption: settings, table, configurations.
        resume: Go on with the comparison that lies there.
        overwrite: Throw it away.

    Raises:
        ValueError: The folder holds something else, or another comparison, or cannot be written.
    """
    record = folder / PLAN_FILE
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the comparison")
    if folder.exists() and any(folder.iterdir()):
        if not record.is_file():
            raise ValueError(f"{folder} holds other files; choose a new folder for the comparison")
        if not resume and not overwrite:
            raise ValueError(
                f"{folder} holds a comparison already; resume=True goes on with it, overwrite=True replaces it"
            )
        if resume and (differing := _differing(json.loads(record.read_text(encoding="utf-8")), stamp)):
            raise ValueError(
                f"the comparison in {folder} was started with other settings or another table ({differing}); "
                "type overwrite=True to start anew, or choose another folder"
            )
        if overwrite:
            for name in OWN_FILES:  # what others have put there stays
                path = folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(stamp, ensure_ascii=False, indent=1)
        write_text(record, text)
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error


def _differing(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """Dotted names of what differs, the first three."""
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += [n for n in _differing(a, b, f"{prefix}{key}.").split(", ") if n]
        elif a != b:
            names.append(f"{prefix}{key}")
    return ", ".join(names[:3])
