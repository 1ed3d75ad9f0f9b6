"""The model folder, written by ``Plait.save``, read by ``plait.load``: JSON, YAML, safetensors, never pickle.

In it lie the fused network, one network a modality alone under ``companions/``, the processors and encoder
references (``inputs.json``), labels, schema, the resolved settings (``run.yaml``) and the report of the run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from plait.api.describe import report_title, versions
from plait.data.schema import Schema
from plait.ensemble import Ensemble, load_ensemble, save_ensemble
from plait.inputs.prepare import Inputs
from plait.model import PlaitConfig, PlaitModel
from plait.registry import unknown_name
from plait.report import write_report
from plait.settings import read_settings, write_settings
from plait.tasks import TASKS, LabelState
from plait.training.fitted import FittedParts

FOLDER_FILES = ("config.json", "inputs.json", "labels.json", "model.safetensors", "run.yaml", "schema.json")
WORKING_FILES = ("checkpoints", "logs", "resume.json")
OWN_FILES = (
    *FOLDER_FILES,
    *WORKING_FILES,
    "companions",
    "ensemble",
    "processors",
    "history.csv",
    "report.html",
    "report.json",
)


def save_model_folder(fitted: FittedParts, folder: Path) -> None:
    """Write a fitted model.

    Raises:
        ValueError: The folder holds something else than a Plait model, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    if folder.exists() and not any((folder / name).exists() for name in ("inputs.json", "resume.json")):
        others = sorted({p.name for p in folder.iterdir()} - set(WORKING_FILES))
        if others:
            raise ValueError(f"{folder} holds other files ({', '.join(others[:3])}); choose a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(fitted, folder)
    except OSError as error:
        raise ValueError(f"cannot write the model to {folder}: {error.strerror or error}") from error


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
    facts = {"versions": versions(), **fitted.report.get("facts", {})}
    write_settings(folder / "run.yaml", fitted.settings, facts)
    if fitted.report:
        write_report(folder, fitted.report, title=report_title(fitted))


def load_model_folder(folder: Path) -> FittedParts:
    """Read what ``save_model_folder`` wrote.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Not a finished Plait model, a damaged one, or the encoders it needs are not here or are
            others.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder}; plait fit TABLE --target COL -o {folder} makes one")
    lacking = [f for f in FOLDER_FILES if not (folder / f).is_file()]
    if lacking:
        unfinished = " (training there has not finished: run the same fit again with --resume)"
        raise ValueError(
            f"{folder} is not a Plait model: {', '.join(lacking)} not found"
            + (unfinished if (folder / "checkpoints").is_dir() else "")
        )
    try:
        labels = LabelState.from_json(_read_json(folder / "labels.json"))
        schema = Schema.from_json(_read_json(folder / "schema.json"))
        report = _read_json(folder / "report.json") if (folder / "report.json").is_file() else {}
        settings = read_settings(folder / "run.yaml")
        inputs = Inputs.load(folder)
        baselines = {}
        for place in sorted((folder / "companions").glob("*/modality.json")):
            baselines[_read_json(place)["name"]] = load_network(place.parent)
        network = load_network(folder)
        known = {".": network, **{f"companions/{i:02d}": b for i, b in enumerate(baselines.values())}}
        ensemble = load_ensemble(
            folder, lambda place: known.get(place) or load_network(folder / place), inputs, network.task, labels
        )
        return FittedParts(network, baselines, inputs, labels, schema, settings, report, ensemble)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the model in {folder} is damaged: {error}") from error


def load_network(folder: Path) -> PlaitModel:
    """One network, ready to predict.

    Raises:
        ValueError: A file of it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = PlaitConfig.from_pretrained(folder, local_files_only=True)
        if config.task not in TASKS:
            raise ValueError(
                f"{unknown_name('task', config.task, TASKS.names())}. A task of your own is registered "
                "(plait.tasks.TASKS.add) before its model is loaded: import the file that does so first"
            )
        _bring_up_to_date(config)
        model = PlaitModel(config)
        model.load_state_dict(load_file(folder / "model.safetensors"))
        model.read_outside_weights()
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"the model in {folder} is damaged: {str(error).splitlines()[0]}") from error
    model.train(False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.nn.Module.to(model, device)
    return model


def _bring_up_to_date(config: PlaitConfig) -> None:
    """What an older version wrote, in the words of this one."""
    options = config.fusion["options"]
    if config.fusion["name"] == "evidential" and options.get("annealing", 0) > 1:
        del options["annealing"]  # a number of batches then; it counts in training alone


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
