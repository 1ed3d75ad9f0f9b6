"""What can be said of a model folder without reading it: there or not, free or taken. Nothing heavy is imported."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from pathlib import Path

from plait.api.folder_swap import OWN_NAMES, current
from plait.files import check_writable, given_path
from plait.weights.library import check_encoder_there

FOLDER_FILES = ("config.json", "inputs.json", "labels.json", "model.safetensors", "run.yaml", "schema.json")
VLM_FILE = "vlm.json"
RECORD = "resume.json"
LOCK = ".plait-lock"
REPORT_FILES = ("report.html", "report.json")
WORKING_FILES = ("checkpoints", "logs", RECORD, LOCK, *OWN_NAMES)


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model, be it damaged."""
    return (current(folder) / "inputs.json").exists()


def has_vlm(folder: Path) -> bool:
    """Whether a folder is one of :func:`plait.vlm`, be it damaged."""
    return (current(folder) / VLM_FILE).exists()


def is_vision_language(name: str | Path) -> bool:
    """Whether this names a ready vision-language model: a folder of :func:`plait.vlm`, or a checkpoint that is no
    model of Plait's (``hf:ID_or_folder``, or its folder).
    """
    folder = Path(name)
    if str(name).startswith("hf:") or has_vlm(folder):
        return True
    if is_model(folder):
        return False
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "plait") != "plait"
    return False


def others_in(folder: Path) -> list[str]:
    """Names in a folder that show it to be somebody else's; none where it holds a model or a run."""
    if not folder.is_dir() or is_model(folder) or (folder / RECORD).exists():
        return []
    return sorted({path.name for path in folder.iterdir()} - set(WORKING_FILES))


def check_model_there(folder: Path) -> None:
    """Refuse what is no finished model folder.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Files are missing in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no model folder at {folder}; plait.fit(TABLE, target=COLUMN, output={str(folder)!r}) makes one"
        )
    if has_vlm(folder):
        raise ValueError(
            f"{folder} is a ready vision-language model; plait.load opens it for fit, generate, score_answers, predict "
            "and evaluate, and nothing else takes it"
        )
    lacking = [name for name in FOLDER_FILES if not (current(folder) / name).exists()]
    if len(lacking) > 1:  # a single one is damage, which the manifest names
        unfinished = " (training there has not finished: run the same fit again with resume=True)"
        raise ValueError(
            f"{folder} is not a Plait model: {', '.join(lacking)} not found"
            + (unfinished if (folder / "checkpoints").is_dir() else "")
        )
    for reference in _frozen_encoders(current(folder)):
        check_encoder_there(reference)


def _frozen_encoders(folder: Path) -> list[str]:
    """References of the encoders that a model needs from this machine; none where the file is damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        facts = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        frozen = [entry["frozen"] for entry in facts["modalities"]]
        return [str(one["reference"]) for one in frozen if one is not None]
    return []


def check_output_free(output: str | Path | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder for a model that holds something else, or a model that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if output is None:
        return
    folder = given_path(output, "output")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    if others := others_in(folder):
        raise ValueError(f"{folder} holds other files ({', '.join(others[:3])}); choose a new folder for the model")
    has_run = (folder / RECORD).exists()
    if (is_model(folder) or has_run) and not resume and not overwrite:
        advice = "resume=True to go on with it, or " if has_run else ""
        raise ValueError(f"{folder} holds a model or an unfinished run already; type {advice}overwrite=True")
    check_writable(folder)


def warn_of_nothing_to_resume(output: str | Path) -> None:
    """Warn that ``resume`` finds no run to go on with, so that a new one starts."""
    folder = Path(output)
    if not is_model(folder) and not any((folder / "checkpoints").rglob("checkpoint-*")):
        warnings.warn(f"there is nothing of a run in {folder} to go on with; it starts anew", UserWarning, stacklevel=3)


def check_report_place(path: str | Path | None, lang: str | None = None) -> None:
    """Refuse, before the work, a report over a file of a model (by its own it knows its training rows) or nowhere.

    Raises:
        ValueError: No such language, a model's own file, its folder cannot be written, or as
            :func:`plait.report.report_places`.
    """
    if lang is not None:
        from plait.report import check_language

        check_language(lang)
    if path is None:
        return
    from plait.report import report_places

    page, numbers = report_places(path)
    if is_model(page.parent) and {page.name, numbers.name} & {*REPORT_FILES, *FOLDER_FILES}:
        raise ValueError(
            f"{page} would replace a file of the model in {page.parent}, which could not be loaded any more; choose "
            f"another name, such as {page.with_name('evaluation.html')}"
        )
    folder = next(parent for parent in (page.parent.absolute(), *page.parent.absolute().parents) if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        what = "read-only" if folder.is_dir() else "no folder"
        raise ValueError(f"cannot write the report {page} (report=): {folder} is {what}")
    check_writable(page.parent)
