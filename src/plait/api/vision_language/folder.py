"""The folder of a ready vision-language model: ``vlm.json`` names the checkpoint, its fingerprint and what is asked.

The weights stay where they are; what was learned beside them lies here (``tuned.py``), with the report of its training.
A checkpoint's own folder, or its name on the hub, opens too, with nothing set.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait import __version__
from plait.api.folder_checks import RECORD, REPORT_FILES, VLM_FILE, WORKING_FILES, has_vlm, is_model
from plait.api.folder_swap import current, swap_in
from plait.api.model_folder import folder_lock
from plait.api.vision_language.asking import Asking
from plait.api.vision_language.tuned import TUNED_FILES, Tuning
from plait.files import check_writable, write_text
from plait.report import write_report
from plait.settings.json_values import JsonObject
from plait.weights.vision_language import checkpoint_fingerprint

KIND, FORMAT, TUNED_FORMAT = "plait vision-language model", 1, 2  # before 2 nobody knew of LoRA weights
OWNED = (VLM_FILE, *TUNED_FILES, *REPORT_FILES)


@dataclass(frozen=True)
class Chosen:
    """A checkpoint and how it is asked.

    Attributes:
        reference: ``hf:ID_or_folder``, as it was typed or as it is found now.
        dtype: Number type of the weights in memory.
        asking: What rows ask.
        fingerprint: sha256 of the checkpoint's files; None: not known yet.
        tuning: What was learned beside its weights; None: nothing.
    """

    reference: str
    dtype: str = "auto"
    asking: Asking = field(default_factory=Asking)
    fingerprint: str | None = None
    tuning: Tuning | None = None


def check_free(folder: Path, *, overwrite: bool, resume: bool = False) -> None:
    """Refuse a folder that holds something else, or a model that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    own = {*OWNED, *WORKING_FILES}
    others = sorted({path.name for path in folder.iterdir()} - own) if folder.is_dir() else []
    if others or is_model(folder):
        what = "a trained model" if is_model(folder) else f"other files ({', '.join(others[:3])})"
        raise ValueError(f"{folder} holds {what}; choose a new folder for the model")
    has_run = (folder / RECORD).exists()
    if (has_vlm(folder) or has_run) and not overwrite and not resume:
        what = "an unfinished training; type resume=True to go on with it, or" if has_run else "a model already; type"
        raise ValueError(f"{folder} holds {what} overwrite=True")
    check_writable(folder)


def write_folder(chosen: Chosen, folder: Path, *, overwrite: bool) -> None:
    """Write ``vlm.json``, and what was learned.

    Raises:
        ValueError: As ``check_free``, or somebody else writes to it.
    """
    check_free(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder):
        replace_folder(chosen, folder)


def replace_folder(chosen: Chosen, folder: Path, report: dict[str, Any] | None = None, lang: str = "en") -> None:
    """Exchange the model of a folder for this one, whole. To be called under the folder's lock.

    Args:
        chosen: The new model.
        folder: The folder, which exists.
        report: Of its training, written beside it; None: there is none.
        lang: Language of its page.

    Raises:
        OSError: The folder cannot be written; the old model stands.
    """
    place = Path(chosen.reference.removeprefix("hf:")).expanduser()
    values: dict[str, Any] = {
        "kind": KIND, "format": FORMAT, "plait": __version__, "reference": chosen.reference,
        "beside": os.path.relpath(place, folder) if place.is_dir() else None,
        "fingerprint": chosen.fingerprint, "dtype": chosen.dtype, "asking": chosen.asking.to_json(),
    }  # fmt: skip

    def write(part: Path) -> None:
        if chosen.tuning is not None:
            values.update(format=TUNED_FORMAT, tuning=chosen.tuning.write(part, chosen.reference))
        if report is not None:
            write_report(part / REPORT_FILES[0], report, title=title_of(report), lang=lang)
        write_text(part / VLM_FILE, json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    swap_in(folder, OWNED, write, VLM_FILE)


def title_of(report: dict[str, Any]) -> str:
    """Heading of a report."""
    return f"Plait: {report['task']} of {report['target']}"


def read_folder(name: str | Path) -> Chosen:
    """What a folder of ours says; or a checkpoint by itself: ``hf:ID_or_folder``, or its folder.

    Raises:
        ValueError: ``vlm.json`` is damaged or of a later Plait, or the checkpoint is not here, or is another one.
    """
    if str(name).startswith("hf:"):
        return Chosen(str(name))
    folder = Path(name)
    if not has_vlm(folder):
        return Chosen(f"hf:{folder}")
    now_in = current(folder)
    try:
        values = json.loads((now_in / VLM_FILE).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{folder / VLM_FILE} is damaged; make the folder again with plait.vlm") from error
    of = JsonObject(VLM_FILE, values)
    of.need("kind", lambda v: v == KIND, repr(KIND))
    known_formats = f"{FORMAT} or {TUNED_FORMAT}; update Plait, or make the folder again"
    tuned = of.need("format", lambda v: v in (FORMAT, TUNED_FORMAT), known_formats) == TUNED_FORMAT
    reference = of.need("reference", lambda v: isinstance(v, str) and v.startswith("hf:"), "hf:ID or hf:FOLDER")
    beside = of.need("beside", lambda v: v is None or isinstance(v, str), "a path, or null")
    known = of.need("fingerprint", lambda v: isinstance(v, str), "text")
    dtype = of.need("dtype", lambda v: isinstance(v, str), "text")
    found = _as_found(reference, beside, folder)
    now = checkpoint_fingerprint(found)
    if now != known:
        again = f"plait.vlm({found!r}, output={str(folder)!r}, overwrite=True)"
        anew = (
            "fit it anew, as its LoRA weights go with those files alone" if tuned else f"make the folder again: {again}"
        )
        raise ValueError(
            f"the checkpoint {found!r} is not the one that {folder} was made of (fingerprint {now[:12]}, expected "
            f"{known[:12]}); bring the original files back, or {anew}"
        )
    tuning = Tuning.read(now_in, values.get("tuning")) if tuned else None
    return Chosen(found, dtype, Asking.from_json(values.get("asking")), known, tuning)


def _as_found(reference: str, beside: Any, folder: Path) -> str:
    """The reference; where its folder is not there from here, the one beside the model's folder."""
    if Path(reference.removeprefix("hf:")).expanduser().is_dir() or beside is None:
        return reference
    return f"hf:{os.path.normpath(folder / beside)}" if (folder / beside).is_dir() else reference
