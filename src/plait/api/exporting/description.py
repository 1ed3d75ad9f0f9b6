"""What an exported folder says of itself (``plait.json``), and the files of its processors.

Everything that turns cells into inputs and outputs into answers: columns, processors with all that they learned, token
files, classes, thresholds, the rule for missing cells, versions, and the sha256 of every file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.describe import versions
from plait.api.exporting.onnx_file import input_name, lengths_of
from plait.api.exporting.reader.opened import PRESENT
from plait.api.exporting.reader.sealed import FACTS, GRAPH, read_facts, sealed_files
from plait.data.modality import Modality
from plait.data.values import ColumnReading
from plait.files import file_sha256
from plait.inputs.inputs import Inputs
from plait.processors import (
    AudioProcessor,
    HashedTextProcessor,
    ImageProcessor,
    PillowImageProcessor,
    Processor,
    TabularProcessor,
    TextProcessor,
    VectorProcessor,
    WaveformProcessor,
)
from plait.processors.ngrams import FILE as NGRAMS
from plait.processors.words import FILE as WORDS
from plait.training.fitted import FittedParts
from plait.weights import RECORDS

FORMAT = 2
PICTURE, SOUND = "example.png", "example.wav"
MISSING = (
    "present[row, modality] is false for what is missing; the other inputs of that modality may hold anything of the "
    "right shape there, NaN too, and change no bit of any answer"
)
TOKENIZER = "tokenizer.json"


def check_readable(inputs: Inputs) -> None:
    """Refuse modalities that a folder without PyTorch cannot read.

    Raises:
        ValueError: One is prepared by a library that the folder does without; the message says what to do.
    """
    for modality in inputs.modalities:
        processor = inputs.processors[modality.name]
        if _described(processor) is None:
            raise ValueError(
                f"the cells of {modality.name!r} are prepared by {_library(processor)}, which the exported folder must "
                f"do without; {_advice(modality)}"
            )
        if isinstance(processor, TextProcessor) and getattr(processor.tokenizer, "backend_tokenizer", None) is None:
            raise ValueError(
                f"the tokenizer of {modality.name!r} has no tokenizer.json (it is written in Python); choose an "
                "encoder whose folder has one"
            )


def describe(fitted: FittedParts, folder: Path, tensors: dict[str, dict[str, Any]], notes: dict[str, Any]) -> None:
    """Write the processors' files and ``plait.json``; to be called last, when all other files are there.

    Args:
        fitted: The model.
        folder: Where the graph lies.
        tensors: An example of the graph's inputs.
        notes: What else is to be told: members, parity, eight bits.
    """
    modalities = [_modality(fitted.inputs, m, n, folder, tensors) for n, m in enumerate(fitted.inputs.modalities)]
    calibration = fitted.calibration
    calibrator = None if calibration is None or calibration.calibrator is None else calibration.calibrator.to_json()
    facts = {
        "format": FORMAT, "made_by": versions(), "model": fitted.fingerprint, "graph": GRAPH,
        "task": fitted.task.record, "target": fitted.schema.target, "outputs": fitted.task.output_kind,
        "classes": list(fitted.labels.classes), "thresholds": list(fitted.labels.thresholds),
        "columns": columns_of(fitted), "modalities": modalities, "present": PRESENT, "missing": MISSING,
        "calibration": calibrator, "encoders": encoders_of(fitted.inputs), **notes,
    }  # fmt: skip
    facts["sha256"] = _sums(folder)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FACTS).write_text(text, encoding="utf-8")


def columns_of(fitted: FittedParts) -> dict[str, dict[str, str]]:
    """Kind of each column that the model reads, and how the training table read it."""
    found: dict[str, dict[str, str]] = {}
    kinds = {column.name: column.kind for column in fitted.schema.columns}
    for modality in fitted.inputs.modalities:
        for name in modality.columns:
            how = fitted.schema.readings.get(name, ColumnReading("text"))
            kind = str(kinds.get(name, modality.kind))
            found[name] = {"kind": kind, "held": how.held, "mark": how.mark, "order": how.order}
    return found


def encoders_of(inputs: Inputs) -> list[dict[str, str]]:
    """The pretrained encoders inside the graph, with their licences where Plait knows them."""
    found = dict.fromkeys(str(reference["reference"]) for reference in inputs.references.values())
    return [{"reference": name, "licence": RECORDS.get(name).licence if name in RECORDS else "see its source"}
            for name in found]  # fmt: skip


def _modality(
    inputs: Inputs, modality: Modality, number: int, folder: Path, tensors: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    name, processor = modality.name, inputs.processors[modality.name]
    place = Path("inputs") / f"{number:02d}"
    facts: dict[str, Any] = {
        "name": name, "kind": modality.kind, "columns": list(modality.columns),
        "processor": _described(processor),
        "inputs": {
            input_name(name, key): {
                "type": str(tensor.numpy().dtype), "shape": shape_of(modality, key, processor, tensor)
            }
            for key, tensor in tensors[name].items()
        },
    }  # fmt: skip
    if isinstance(processor, TextProcessor):
        facts["tokenizer"] = _write(folder, place / TOKENIZER, tokenizer_json(processor))
    words, ngrams = inputs.words.get(name), inputs.ngrams.get(name)
    if words is not None:
        words.save(folder / place)
        facts["words"] = (place / WORDS).as_posix()
    if ngrams is not None:
        ngrams.save(folder / place)
        facts["ngrams"] = (place / NGRAMS).as_posix()
    return facts


def shape_of(modality: Modality, key: str, processor: Processor, tensor: Any) -> list[int | str]:
    """The shape of an input, with words for what has any length."""
    free = lengths_of(modality, key, processor)
    return ["rows", *("length" if side in free else size for side, size in enumerate(tensor.shape[1:], start=1))]


def _write(folder: Path, place: Path, text: str) -> str:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(text, encoding="utf-8")
    return place.as_posix()


def tokenizer_json(processor: TextProcessor) -> str:
    """The tokenizer without a limit and without padding, which the reader sets by itself."""
    backend = processor.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return str(backend.to_str())


def _text(processor: TextProcessor) -> dict[str, Any]:
    return {
        **processor.to_json(), "pad": int(processor.tokenizer.pad_token_id),
        "truncation_side": str(processor.tokenizer.truncation_side),
    }  # fmt: skip


def _described(processor: Processor) -> dict[str, Any] | None:
    """What the reader is to know of a processor; None where it needs a library that the folder does without."""
    made = _DESCRIBED.get(type(processor))
    return None if made is None else made(processor)


def _samples(processor: WaveformProcessor) -> dict[str, Any] | None:
    return None if processor.samples is None else processor.samples.to_json()


_DESCRIBED: dict[type, Callable[[Any], dict[str, Any] | None]] = {
    AudioProcessor: AudioProcessor.to_json,
    WaveformProcessor: _samples,
    TextProcessor: _text,
    HashedTextProcessor: HashedTextProcessor.to_json,
    ImageProcessor: ImageProcessor.to_json,
    TabularProcessor: TabularProcessor.to_json,
    VectorProcessor: VectorProcessor.to_json,
}


def _library(processor: Processor) -> str:
    if isinstance(processor, PillowImageProcessor):
        return "Pillow as open_clip does"
    inside = getattr(processor, "settings", {}).get("image_processor_type") or getattr(processor, "name", None)
    return f"{inside or type(processor).__name__} of transformers"


def _advice(modality: Modality) -> str:
    if modality.kind.startswith("image"):
        return "train with set=['encoders.image_size=224'], whose pixels Plait makes by itself"
    return (
        "train with set=['encoders.audio=whisper-tiny-en'] or another encoder that hears samples or Plait's own "
        "spectrograms (Whisper, wav2vec 2.0, HuBERT, WavLM, scratch:audio)"
    )


def example_row(fitted: FittedParts) -> dict[str, Any]:
    """A row that shows how cells are written: a text, a picture, a sound, middle numbers, first categories."""
    row: dict[str, Any] = {}
    for modality in fitted.inputs.modalities:
        processor, column = fitted.inputs.processors[modality.name], modality.columns[0]
        if isinstance(processor, TabularProcessor):
            row |= {name: float(f"{mean:.4g}") for name, (mean, _) in processor.numeric.items()}
            row |= {name: values[0] for name, values in processor.categorical.items() if values}
            row |= {name: parts.latest.isoformat(sep=" ") for name, parts in processor.dates.items()}
        elif isinstance(processor, VectorProcessor):
            row[column] = np.zeros(processor.width).tolist()
        elif isinstance(processor, ImageProcessor):
            row[column] = [PICTURE] if modality.kind == "image_set" else PICTURE
        elif isinstance(processor, AudioProcessor | WaveformProcessor):
            row[column] = SOUND
        else:
            row[column] = "a sunny day"
    return row


def remove(folder: Path) -> None:
    """A folder and all in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path) -> None:
    """Let ``plait.json`` name the files that are there now, so that the reader opens a graph that was just written."""
    facts = read_facts(folder)
    (folder / FACTS).write_text(json.dumps({**facts, "sha256": _sums(folder)}, ensure_ascii=False), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    names = [*sealed_files(folder), *(name for name in (PICTURE, SOUND) if (folder / name).exists())]
    return {name: file_sha256(folder / name) for name in names}
