"""The model folder, written by ``Plait.save``, read by ``plait.load``: JSON, YAML, safetensors, never pickle.

In it lie the fused network, one network a modality alone under ``companions/``, the processors and encoder
references (``inputs.json``), labels, schema, the resolved settings (``run.yaml``) and the report of the run; and
``manifest.json``, by which what is damaged is noticed. A save exchanges the old model for the new one as a whole
(:mod:`plait.api.folder_swap`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from plait.api import model_manifest
from plait.api.describe import report_title, versions
from plait.api.folder_checks import FOLDER_FILES, LOCK, check_model_there, check_output_free, is_model
from plait.api.folder_swap import OWN_NAMES, current, swap_in
from plait.api.model_checks import (
    check_agreement,
    check_calibration,
    check_companion,
    check_inputs,
    check_labels,
    check_processors,
)
from plait.api.model_manifest import MEND
from plait.api.network_file import check_finite, check_saved, load_network, read_config, read_json, reading
from plait.api.places import name_of, without_places
from plait.api.plugins import parts
from plait.data.memory import require_weights
from plait.data.schema import Schema
from plait.ensemble import Ensemble, load_ensemble, save_ensemble
from plait.ensemble.files import FACTS as ENSEMBLE_FACTS
from plait.ensemble.files import FOLDER as ENSEMBLE
from plait.files import DiskFullError, HeldLockError, require_regular_file, room_for, sole_lock
from plait.inputs.inputs import Inputs
from plait.registry import load_plugins
from plait.report import card, write_report
from plait.settings import read_settings, write_settings
from plait.settings.json_values import check_same
from plait.tasks import Calibration, LabelState
from plait.training.fitted import FittedParts
from plait.training.history import History
from plait.training.seen_rows import FILE as SEEN
from plait.training.seen_rows import SeenInputs
from plait.weights import RECORDS

HISTORY = "history.csv"
CALIBRATION = "calibration.json"
MODEL_FILES = (
    *FOLDER_FILES,
    "companions",
    ENSEMBLE,
    "processors",
    CALIBRATION,
    SEEN,
    HISTORY,
    "report.html",
    "report.json",
    card.NAME,
    parts.NAME,
    model_manifest.NAME,
)
TRIES = 5


def save_model_folder(fitted: FittedParts, folder: Path, *, overwrite: bool = False) -> None:
    """Write a fitted model; until it is whole and has been read back, what stood there stands.

    Raises:
        ValueError: The folder holds a model or an unfinished run and ``overwrite`` is not set, or something else than
            a Plait model, or cannot be written, or another process is writing to it; or the model's weights are not all
            finite.
        DiskFullError: There is no room.
    """
    check_output_free(folder, resume=False, overwrite=overwrite)
    check_finite(fitted)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder):
            replace_model(fitted, folder)
    except DiskFullError:
        raise
    except OSError as error:
        raise ValueError(f"cannot write the model to {folder}: {error.strerror or error}") from error
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def replace_model(
    fitted: FittedParts, folder: Path, *, history: bool = False, how_to_go_on: str = "make room and save again"
) -> None:
    """Exchange what model there is in a folder for this one. To be called under the folder's lock.

    Args:
        fitted: The new model.
        folder: The folder, which exists.
        history: Write the epochs of the report as ``history.csv`` too; where there is one, it is in any case.
        how_to_go_on: What to do where the disk is full.

    Raises:
        OSError: The folder cannot be written; the old model stands.
        DiskFullError: There is no room; likewise.
    """
    networks = [fitted.model, *fitted.baselines.values()]
    size = sum(t.numel() * t.element_size() for network in networks for t in network.state_dict().values())

    def write(part: Path) -> None:
        _write(fitted, part)
        _write_card(fitted, part, folder)
        epochs = fitted.report.get("history")
        if epochs and (history or (folder / HISTORY).exists()):
            History(epochs).write(part / HISTORY)
        model_manifest.write_manifest(part)
        _check_written(fitted, part)

    has_old = is_model(folder)
    stands = "the model that was there stands as it was; " if has_old else ""
    with room_for(folder, "the model", size, stands + how_to_go_on):
        swap_in(folder, MODEL_FILES, write, last=model_manifest.NAME)


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Be the only one that writes to a folder; whoever reads is not held up.

    Raises:
        ValueError: Another process writes to it.
        OSError: The folder cannot be written.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(sole_lock(folder / LOCK, leave=False))
        except HeldLockError as error:
            since = f", since {error.since}" if error.since else ""
            raise ValueError(
                f"another process (number {error.holder}{since}) is writing to {folder}; wait until it is done, or "
                "choose another folder"
            ) from error
        yield


def _write(fitted: FittedParts, folder: Path) -> None:
    fitted.model.save_pretrained(folder)
    fitted.inputs.save(folder)
    for number, (name, baseline) in enumerate(fitted.baselines.items()):
        place = folder / "companions" / f"{number:02d}"
        baseline.save_pretrained(place)
        (place / "modality.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    if fitted.ensemble is not None:
        places = {id(fitted.model): "."}
        places |= {id(b): f"companions/{number:02d}" for number, b in enumerate(fitted.baselines.values())}
        save_ensemble(cast(Ensemble, fitted.ensemble), folder, places)
    _write_json(folder / "labels.json", fitted.labels.to_json())
    _write_json(folder / "schema.json", fitted.schema.to_json())
    source = fitted.settings.data.source
    if fitted.calibration is not None:
        values = fitted.calibration.to_json()
        values["facts"] = without_places(values["facts"], source, others=True)
        _write_json(folder / CALIBRATION, values)
    if fitted.seen is not None:
        fitted.seen.save(folder / SEEN)
    told = without_places(fitted.report.get("facts", {}), source, others=True)
    data = replace(fitted.settings.data, source=None if source is None else name_of(source))
    write_settings(folder / "run.yaml", replace(fitted.settings, data=data), {"versions": versions(), **told})
    if fitted.report:
        report = {**without_places(fitted.report, source), "facts": told}
        write_report(folder, report, title=report_title(fitted), lang=fitted.settings.judge.lang)
    parts.write_parts(folder, fitted.settings.task.select_by)


def _write_card(fitted: FittedParts, part: Path, folder: Path) -> None:
    """Write the model card; one that somebody made their own stays."""
    old = current(folder) / card.NAME
    if old.is_file() and card.MARK not in old.read_text(encoding="utf-8", errors="replace"):
        shutil.copyfile(old, part / card.NAME)
    elif fitted.report:
        licences = {name: RECORDS.get(name).licence for name in RECORDS.names()}
        text = card.model_card(fitted.report, report_title(fitted), licences, fitted.lang)
        (part / card.NAME).write_text(text, encoding="utf-8")


def _check_written(fitted: FittedParts, folder: Path) -> None:
    """Read back what was written; frozen encoders, which are named by reference, stand in memory already."""
    model_manifest.check_files(folder)
    check_saved(fitted.model, folder)
    for number, baseline in enumerate(fitted.baselines.values()):
        check_saved(baseline, folder / "companions" / f"{number:02d}")
    check_inputs(read_json(folder / "inputs.json"))
    check_labels(read_json(folder / "labels.json"))
    schema = Schema.from_json(read_json(folder / "schema.json"))
    check_agreement(fitted.model.config, fitted.inputs, fitted.labels, schema, read_settings(folder / "run.yaml"))
    check_processors(fitted.model, fitted.inputs)


def load_model_folder(folder: Path) -> FittedParts:
    """Read what ``save_model_folder`` wrote.

    Every file that answers depend on is compared with its sha256 first. Somebody who saves there meanwhile is no
    trouble: it is the old model or the new one.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Not a finished Plait model, a damaged one (the message names the file), or the encoders it needs are
            not here or are others.
    """
    check_model_there(folder)
    for _ in range(TRIES):
        before = _state(folder)
        try:
            return _load(current(folder))
        except (ValueError, OSError):
            if _state(folder) == before:
                raise
    return _load(current(folder))


def _state(folder: Path) -> list[tuple[int, int] | None]:
    """What changes when a model is exchanged for another."""
    found: list[tuple[int, int] | None] = []
    for path in (folder / OWN_NAMES[0], folder / model_manifest.NAME, folder / "inputs.json"):
        try:
            fact = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((fact.st_ino, fact.st_mtime_ns))
    return found


def _load(folder: Path) -> FittedParts:
    names = _checked_names(folder)
    require_weights((folder / name for name in names), str(folder))
    load_plugins()  # metrics that they add belong to every evaluation
    if parts.NAME in names:
        with reading(folder / parts.NAME):
            needed = parts.read_parts(folder)
        parts.check_parts(folder, needed)
    values = {name: read_json(folder / f"{name}.json") for name in ("inputs", "labels", "schema")}
    report = _read_report(folder / "report.json") if "report.json" in names else {}
    with reading(folder / "inputs.json"):
        check_inputs(values["inputs"])
    with reading(folder / "labels.json"):
        check_labels(values["labels"])
        labels = LabelState.from_json(values["labels"])
        check_same("labels.json", values["labels"], labels.to_json())
    with reading(folder / "schema.json"):
        schema = Schema.from_json(values["schema"])
    with reading(folder / "run.yaml"):
        settings = read_settings(folder / "run.yaml")
    config = read_config(folder)
    inputs = Inputs.load(folder)
    with _of(folder):
        check_agreement(config, inputs, labels, schema, settings)
    baselines = {}
    for name in sorted(name for name in names if name.startswith("companions/") and name.endswith("/modality.json")):
        place = (folder / name).parent
        of = read_json(folder / name)
        with reading(folder / name):
            check_companion(of["name"], read_config(place), config, place.relative_to(folder).as_posix())
        baselines[of["name"]] = load_network(place)
    model = load_network(folder)
    with _of(folder):
        check_processors(model, inputs)
    for encoder in (*model.encoders.values(), *inputs.frozen.values()):
        encoder.batch_mb = settings.encoders.batch_mb
    inputs.engine = settings.encoders.engine
    known = {".": model, **{f"companions/{i:02d}": b for i, b in enumerate(baselines.values())}}
    ensemble = None
    if f"{ENSEMBLE}/{ENSEMBLE_FACTS}" in names:
        with reading(folder / ENSEMBLE / ENSEMBLE_FACTS):
            ensemble = load_ensemble(
                folder,
                lambda place: known.get(place) or load_network(folder / place),
                inputs,
                model.task,
                labels.as_learned,
            )
    calibration = None
    if CALIBRATION in names:
        with reading(folder / CALIBRATION):
            calibration = Calibration.from_json(read_json(folder / CALIBRATION))
            check_calibration(calibration, config, labels)
    seen = None
    if SEEN in names:
        with reading(folder / SEEN):
            seen = SeenInputs.load(folder / SEEN)
    return FittedParts(model, baselines, inputs, labels, schema, settings, report, ensemble, calibration, seen)


@contextlib.contextmanager
def _of(folder: Path) -> Iterator[None]:
    """Name the folder whose files disagree."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the model in {folder} is damaged: {error}; {MEND}") from error


def _checked_names(folder: Path) -> list[str]:
    """Names of the model's files, none of which is missing or damaged as far as can be told."""
    if (folder / model_manifest.NAME).exists():
        names = model_manifest.check_files(folder)
        lacking = [name for name in FOLDER_FILES if name not in names]
        if lacking:
            raise ValueError(f"{folder / model_manifest.NAME} does not name {', '.join(lacking)}; {MEND}")
        return names
    lacking = [name for name in FOLDER_FILES if not (folder / name).exists()]
    if lacking:
        unfinished = " (training there has not finished: run the same fit again with resume=True)"
        raise ValueError(
            f"{folder} is not a Plait model: {', '.join(lacking)} not found"
            + (unfinished if (folder / "checkpoints").is_dir() else "")
        )
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".safetensors")]
    for path in paths:
        require_regular_file(path, "model's file")
    inputs = read_json(folder / "inputs.json")
    if isinstance(inputs, dict) and "format" in inputs:
        raise ValueError(f"{folder / model_manifest.NAME} is missing; {MEND}")
    warnings.warn(
        f"the model in {folder} was saved without a manifest by an earlier Plait, so damage to its files cannot be "
        "noticed; save it again (plait.load(FOLDER).save(FOLDER, overwrite=True)) to get one",
        stacklevel=4,
    )
    return [path.relative_to(folder).as_posix() for path in paths]


def _read_report(path: Path) -> dict[str, Any]:
    """The report of the run, of which evaluation reads the facts of the table."""
    report = read_json(path)
    with reading(path):
        if not isinstance(report, dict) or not isinstance(report.get("facts", {}), dict):
            raise ValueError("report.json: it is no object with an object 'facts' in it")
    return report


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
