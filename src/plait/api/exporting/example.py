"""What lies in an exported folder for people: an example that runs, and a README; and the reader that both use."""

from __future__ import annotations

import json
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.exporting.bundle import write_bundle
from plait.api.exporting.description import PICTURE, SOUND, example_row
from plait.processors import AudioProcessor, TextProcessor, WaveformProcessor
from plait.processors.logmel import RATE
from plait.training.fitted import FittedParts

EXAMPLE = "example.py"
_PIP = {"PIL": "pillow"}
ANSWERS = '''"""Answers rows with PACKAGES only: no PyTorch, no Plait.

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
SEARCHES = '''"""Searches with PACKAGES only: no PyTorch, no Plait.

    pip install PACKAGES
    python example.py                    # in the row below
    python example.py rows.csv "WORDS"   # in a CSV table; its files lie in its folder
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from plait_onnx import SearchModel

row, (table, words) = ROW, [*sys.argv[1:], None, None][:2]
try:
    model = SearchModel(HERE, root=HERE)
    items = model.embed([row], GALLERY) if table is None else model.embed_csv(table, GALLERY)
    query = model.embed([row if words is None else {COLUMN: words}], QUERY)
except (ImportError, ValueError) as error:
    sys.exit(str(error))
for hit in model.rank(query, items, k=5)[0]:
    print(json.dumps(hit))
'''
ANSWER_USE = """In Python, from this folder: `from plait_onnx import Model; Model(".").predict([{...}])`, one dictionary
a row, column to cell. A column left out or an empty cell is missing; any of them may be. What could not be read is told
in `problem`. Rows given together are judged as one table: decimal marks, the order of day and month. Files that cells
name lie in `Model(root=...)`, by default the current folder; `allow_outside=True` takes others."""
SEARCH_USE = """In Python, from this folder: `from plait_onnx import SearchModel; model = SearchModel(".")`; then
`model.embed([{...}], NAME)`, one dictionary a row, column to cell, gives `vectors` (zeros where nothing can be read)
and `problems`, and `model.rank(queries, candidates, k=10)` the best rows of each query with their scores. The vectors
may be kept in any index of inner products. Files that cells name lie in `SearchModel(root=...)`, by default the current
folder; `allow_outside=True` takes others."""
README = """# {title}

A model exported by Plait {version}: {graphs} from tokens, pixels, sounds and numbers to {outputs}, and the
code that reads rows for it. It needs {packages}, and neither PyTorch nor Plait.{optional}
```
pip install {packages}
python example.py
```
{use}

* {files}: inputs and outputs are named in `plait.json`. {missing}
* `plait.json`: columns ({columns}), classes, processors, versions, sha256 of the other files (keep its
  own beside your copy); `inputs/`: tokenizers, words.
* `plait_onnx/`: the reader, numpy code copied from Plait (Apache-2.0).
* Encoders in the graph: {encoders}.
* Largest difference from the model in PyTorch on {compared}: {difference:.1e}.
"""
SOUNDS = (
    "Sounds: WAV of plain samples (8 to 32 bits, floats) at the model's own rate needs nothing else. Other formats\n"
    "need `soundfile`, other rates `soxr`; without them such a cell is an error that names its row."
)


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
    heard = [p for p in fitted.inputs.processors.values() if isinstance(p, AudioProcessor | WaveformProcessor)]
    if heard:
        _write_tone(folder / SOUND, getattr(heard[0], "rate", RATE))
    row = json.dumps(example_row(fitted), ensure_ascii=False)
    filled = {"PACKAGES": " ".join(packages), "ROW": as_python(row)}
    code = ANSWERS
    if fitted.task.family.embeds:
        code, filled = SEARCHES, {**filled, **_sides(fitted)}
    code = re.sub(rf"\b({'|'.join(filled)})\b", lambda found: filled[found[0]], code)
    (folder / EXAMPLE).write_text(code, encoding="utf-8")
    return packages, optional


def _write_tone(file: Path, rate: int) -> None:
    """A second of 440 Hz, one channel of 16 bits, at the rate that the encoder hears."""
    time_T = np.arange(rate) / rate
    with wave.open(str(file), "wb") as opened:
        opened.setparams((1, 2, rate, 0, "NONE", ""))
        opened.writeframes((8000 * np.sin(2 * np.pi * 440 * time_T)).astype("<i2").tobytes())


def as_python(text: str) -> str:
    """A JSON object as Python writes it."""
    return repr(json.loads(text))


def write_readme(fitted: FittedParts, folder: Path, facts: dict[str, Any]) -> None:
    """Write ``README.md``."""
    columns = ", ".join(f"`{c}`" for m in fitted.inputs.modalities for c in m.columns)
    encoders = ", ".join(f"{one['reference']} ({one['licence']})" for one in facts["encoders"]) or "none pretrained"
    embeds = fitted.task.family.embeds
    about = fitted.schema.target or " and ".join(m.name for m in fitted.inputs.modalities)
    answers = "a number" if fitted.task.output_kind == "number" else "probabilities"
    text = README.format(
        title=f"{fitted.task.name} of {about}",
        version=facts["version"],
        graphs="an ONNX graph for each modality" if embeds else "one ONNX graph",
        outputs="unit vectors" if embeds else answers,
        use=SEARCH_USE if embeds else ANSWER_USE,
        files="`model.N.KIND.onnx`, one a modality" if embeds else "`model.onnx`",
        packages=" ".join(facts["packages"]),
        optional=f"\n{SOUNDS}" if facts["optional_packages"] else "",
        missing=f"{facts['missing'][0].upper()}{facts['missing'][1:]}.",
        columns=columns,
        encoders=encoders,
        compared=facts["compared"],
        difference=facts["difference"],
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _sides(fitted: FittedParts) -> dict[str, str]:
    """What the example searches with and in: a text finds what is no text; else the first modality the second."""
    modalities = fitted.inputs.modalities
    query = next((m for m in modalities if m.kind == "text"), modalities[0])
    gallery = next(m for m in modalities if m is not query)
    return {"QUERY": repr(query.name), "GALLERY": repr(gallery.name), "COLUMN": repr(query.columns[0])}
