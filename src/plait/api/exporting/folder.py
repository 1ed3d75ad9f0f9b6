"""The exported folder: graph, reader, processors, an example, written beside its place and swapped in as a whole."""

from __future__ import annotations

import json
import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.exporting.bundle import write_bundle
from plait.api.exporting.description import PICTURE, SOUND, example_row, remove
from plait.api.exporting.reader.sealed import FACTS, GRAPH
from plait.files import temporary_name
from plait.processors import TextProcessor
from plait.processors.logmel import RATE
from plait.training.fitted import FittedParts

EXAMPLE = "example.py"
_PIP = {"PIL": "pillow"}
EXAMPLE_CODE = '''"""Answers rows with PACKAGES only: no PyTorch, no Plait.

    pip install PACKAGES
    python example.py                # the row below
    python example.py rows.csv       # a CSV table; its files lie in its folder
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from plait_onnx import Model

try:
    model = Model(HERE, root=HERE)
    answers = model.predict_csv(sys.argv[1]) if len(sys.argv) > 1 else model.predict([ROW])
except (ImportError, ValueError) as error:
    sys.exit(str(error))
for answer in answers:
    print(json.dumps(answer, ensure_ascii=False))
'''
README = """# {title}

A model exported by Plait {version}: one ONNX graph from tokens, pixels and numbers to {outputs}, and the code that
reads rows for it. It needs {packages}, and neither PyTorch nor Plait.{optional}
```
pip install {packages}
python example.py
```
In Python, from this folder: `from plait_onnx import Model; Model(".").predict([{{...}}])`, one dictionary a row,
column to cell. A column left out or an empty cell is missing; any of them may be. What could not be read is told in
`problem`. Rows given together are judged as one table: decimal marks, the order of day and month. Files that cells
name lie in `Model(root=...)`, by default the current folder; `allow_outside=True` takes others.

* `model.onnx`: inputs and outputs are named in `plait.json`. {missing}
* `plait.json`: columns ({columns}), classes, processors, versions, sha256 of the other files (keep its
  own beside your copy); `inputs/`: tokenizers, words.
* `plait_onnx/`: the reader, numpy code copied from Plait (Apache-2.0).
* Encoders in the graph: {encoders}.
* Largest difference from the model in PyTorch on {compared}: {difference:.1e}.
"""


SOUNDS = (
    "Sounds: WAV of plain samples (8 to 32 bits, floats) at the model's own rate needs nothing else. Other formats need\n"
    "`soundfile`, other rates `soxr`; without them such a cell is an error that names its row."
)


def check_place(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or an export that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the export")
    if not any(folder.iterdir()):
        return
    if not (folder / FACTS).is_file() or not (folder / GRAPH).is_file():
        raise ValueError(f"{folder} holds other files; choose a new folder for the export")
    if not overwrite:
        raise ValueError(
            f"{folder} holds an exported model; choose another folder, or type overwrite=True to replace it"
        )


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside its place and put it there when it is whole; what raises leaves everything as it was.

    Raises:
        ValueError: The place cannot be written.
    """
    part = folder.with_name(f".{folder.name}.part-{temporary_name()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
        write(part)
        old = folder.with_name(f".{folder.name}.old-{temporary_name()}")
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        remove(old)
    except OSError as error:
        raise ValueError(f"cannot write the export to {folder}: {error.strerror or error}") from error
    finally:
        remove(part)


def write_reader(fitted: FittedParts, folder: Path) -> tuple[list[str], list[str]]:
    """Write the reader package, the example, its picture and sound.

    Returns:
        The packages that they need, as pip names them, and those that some cells need.
    """
    kinds = {m.kind for m in fitted.inputs.modalities}
    found, optional = write_bundle(folder, kinds)
    has_tokens = any(isinstance(one, TextProcessor) for one in fitted.inputs.processors.values())
    packages = [_PIP.get(name, name) for name in found if name != "tokenizers" or has_tokens]
    if any(kind.startswith("image") for kind in kinds):
        from PIL import Image

        Image.new("RGB", (64, 48), (90, 140, 200)).save(folder / PICTURE)
    if "audio" in kinds:
        _write_tone(folder / SOUND)
    row = json.dumps(example_row(fitted), ensure_ascii=False)
    listed = " ".join(packages)
    code = EXAMPLE_CODE.replace("PACKAGES", listed).replace("ROW", as_python(row))
    (folder / EXAMPLE).write_text(code, encoding="utf-8")
    return packages, optional


def _write_tone(file: Path) -> None:
    """A second of 440 Hz, one channel of 16 bits, at the rate that most encoders hear."""
    time_T = np.arange(RATE) / RATE
    with wave.open(str(file), "wb") as opened:
        opened.setparams((1, 2, RATE, 0, "NONE", ""))
        opened.writeframes((8000 * np.sin(2 * np.pi * 440 * time_T)).astype("<i2").tobytes())


def as_python(text: str) -> str:
    """A JSON object as Python writes it."""
    return repr(json.loads(text))


def write_readme(fitted: FittedParts, folder: Path, facts: dict[str, Any]) -> None:
    """Write ``README.md``."""
    columns = ", ".join(f"`{c}`" for m in fitted.inputs.modalities for c in m.columns)
    outputs = "a number" if fitted.task.output_kind == "number" else "probabilities"
    encoders = ", ".join(f"{one['reference']} ({one['licence']})" for one in facts["encoders"]) or "none pretrained"
    (folder / "README.md").write_text(
        README.format(
            title=f"{fitted.task.name} of {fitted.schema.target or 'pairs'}",
            version=facts["version"],
            outputs=outputs,
            packages=" ".join(facts["packages"]),
            optional=f"\n{SOUNDS}" if facts["optional_packages"] else "",
            missing=f"{facts['missing'][0].upper()}{facts['missing'][1:]}.",
            columns=columns,
            encoders=encoders,
            compared=facts["compared"],
            difference=facts["difference"],
        ),  # fmt: skip
        encoding="utf-8",
    )
