"""The folder of a ready vision-language model: ``vlm.json`` names the checkpoint, its fingerprint and what is asked.

The weights stay where they are. A checkpoint's own folder, or its name on the hub, opens too, with nothing set.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait import __version__
from plait.api.folder_checks import VLM_FILE, is_model
from plait.api.vision_language.asking import Asking
from plait.files import check_writable, write_text
from plait.settings.json_values import JsonObject
from plait.weights.vision_language import checkpoint_fingerprint

KIND, FORMAT = "plait vision-language model", 1


@dataclass(frozen=True)
class Chosen:
    """A checkpoint and how it is asked.

    Attributes:
        reference: ``hf:ID_or_folder``, as it was typed or as it is found now.
        dtype: Number type of the weights in memory.
        asking: What rows ask.
        fingerprint: sha256 of the checkpoint's files; None: not known yet.
    """

    reference: str
    dtype: str = "auto"
    asking: Asking = field(default_factory=Asking)
    fingerprint: str | None = None


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or a model that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    others = sorted({path.name for path in folder.iterdir()} - {VLM_FILE}) if folder.is_dir() else []
    if others:
        what = "a trained model" if is_model(folder) else f"other files ({', '.join(others[:3])})"
        raise ValueError(f"{folder} holds {what}; choose a new folder for the model")
    if (folder / VLM_FILE).exists() and not overwrite:
        raise ValueError(f"{folder} holds a model already; type overwrite=True")
    check_writable(folder)


def write_folder(chosen: Chosen, folder: Path, *, overwrite: bool) -> None:
    """Write ``vlm.json``.

    Raises:
        ValueError: As ``check_free``.
    """
    check_free(folder, overwrite=overwrite)
    place = Path(chosen.reference.removeprefix("hf:")).expanduser()
    values = {
        "kind": KIND, "format": FORMAT, "plait": __version__, "reference": chosen.reference,
        "beside": os.path.relpath(place, folder) if place.is_dir() else None,
        "fingerprint": chosen.fingerprint, "dtype": chosen.dtype, "asking": chosen.asking.to_json(),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / VLM_FILE, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_folder(name: str | Path) -> Chosen:
    """What a folder of ours says; or a checkpoint by itself: ``hf:ID_or_folder``, or its folder.

    Raises:
        ValueError: ``vlm.json`` is damaged or of a later Plait, or the checkpoint is not here, or is another one.
    """
    if str(name).startswith("hf:"):
        return Chosen(str(name))
    folder = Path(name)
    if not (folder / VLM_FILE).exists():
        return Chosen(f"hf:{folder}")
    try:
        values = json.loads((folder / VLM_FILE).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{folder / VLM_FILE} is damaged; make the folder again with plait.vlm") from error
    of = JsonObject(VLM_FILE, values)
    of.need("kind", lambda v: v == KIND, repr(KIND))
    of.need("format", lambda v: v == FORMAT, f"{FORMAT}; update Plait, or make the folder again")
    reference = of.need("reference", lambda v: isinstance(v, str) and v.startswith("hf:"), "hf:ID or hf:FOLDER")
    beside = of.need("beside", lambda v: v is None or isinstance(v, str), "a path, or null")
    known = of.need("fingerprint", lambda v: isinstance(v, str), "text")
    dtype = of.need("dtype", lambda v: isinstance(v, str), "text")
    found = _as_found(reference, beside, folder)
    now = checkpoint_fingerprint(found)
    if now != known:
        raise ValueError(
            f"the checkpoint {found!r} is not the one that {folder} was made of (fingerprint {now[:12]}, expected "
            f"{known[:12]}); bring the original files back, or make the folder again: plait.vlm({found!r}, "
            f"output={str(folder)!r}, overwrite=True)"
        )
    return Chosen(found, dtype, Asking.from_json(values.get("asking")), known)


def _as_found(reference: str, beside: Any, folder: Path) -> str:
    """The reference; where its folder is not there from here, the one beside the model's folder."""
    if Path(reference.removeprefix("hf:")).expanduser().is_dir() or beside is None:
        return reference
    return f"hf:{os.path.normpath(folder / beside)}" if (folder / beside).is_dir() else reference
