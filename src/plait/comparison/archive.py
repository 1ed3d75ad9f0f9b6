"""The folder of a comparison: a small record for each finished run, so that a stopped one goes on where it stood.

A run's file name is a hash of all that decides its result: settings, method, seed, table and encoders. The record is
JSON, outputs are an ``.npz`` read without pickle. The weights of the best run of a search are kept only until that
search has ended. Every file is written beside its place and then moved there, so half a file is never read.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from plait.files import whole_file, write_text


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
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return None if found["status"] == "failed" else found
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged; remove it, and this run is repeated under resume=True") from error

    def store(self, key: str, record: dict[str, Any]) -> None:
        """Write a record; from here on the run counts as finished, unless it failed."""
        text = json.dumps({"key": key, **record}, ensure_ascii=False, indent=1, allow_nan=False)
        write_text(self.runs / f"{key}.json", text)

    def outputs(self, key: str) -> dict[str, np.ndarray] | None:
        """Outputs of a run on val and test rows, or None."""
        path = self.runs / f"{key}.npz"
        if not path.is_file():
            return None
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            beside = path.with_suffix(".json").name
            raise ValueError(
                f"{path} is damaged; remove it and {beside}, and this run is repeated under resume=True"
            ) from error

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
