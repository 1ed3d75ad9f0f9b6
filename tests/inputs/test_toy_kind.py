"""A kind of column from outside the package, in this one file: colours, read by a small network as three numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from plait.data import COLUMN_KINDS, CellChecks, CellError, ColumnKind, Table, read_table
from plait.data.arrow_types import is_text
from plait.data.checks.check import check_table
from plait.data.items import column_items
from plait.data.media import content_key
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.schema import guess_schema
from plait.encoders import ENCODERS, Encoded, Encoder
from plait.inputs import MODALITY_KINDS, ModalityKind
from plait.processors import PROCESSORS
from plait.processors.description import settings_sha256, write_settings

COLOUR = re.compile(r"#[0-9a-f]{6}")


def is_colour(text: str) -> bool:
    """Whether a text reads like a colour."""
    return COLOUR.fullmatch(text) is not None


def read_colour(cell: str, root: Path | None = None) -> str:
    """The content hash of a colour."""
    if not is_colour(cell):
        raise CellError(f"{cell!r} is no colour; expected one such as #ff8800")
    return content_key(cell.encode())


def colour_items(table: Table, modality: Modality, rows: Rows) -> Items:
    """The unique colours of a column."""
    return column_items(table, modality, lambda cell: None if cell is None else (read_colour(cell), cell), rows)


class ColourProcessor:
    """Colours to red, green and blue from 0 to 1."""

    kind = "colour"
    fingerprint = settings_sha256({"type": "colour"})

    def process(self, colours: list[str | None]) -> dict[str, torch.Tensor]:
        """``rgb_B3``, zeros for a missing colour."""
        parts = [[int((c or "#000000")[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours]
        return {"rgb_B3": torch.tensor(parts)}

    def to_json(self) -> dict[str, Any]:
        """There is nothing to set."""
        return {"type": "colour"}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> ColourProcessor:
        """From ``to_json``."""
        return cls()

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json``."""
        write_settings(self.to_json(), folder)


class ColourEncoder(Encoder):
    """Three numbers to a vector of eight."""

    is_pretrained = False

    def __init__(self) -> None:
        super().__init__({"type": "colour"})
        self.vector_dim = self.token_dim = 8
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.GELU(), torch.nn.Linear(8, 8))

    def forward(self, rgb_B3: torch.Tensor) -> Encoded:
        """The vector, and as the only token."""
        vector_BD = self.model(rgb_B3)
        return Encoded(vector_BD, vector_BD[:, None], torch.ones(len(rgb_B3), 1, dtype=torch.bool))


@pytest.fixture
def colour() -> Iterator[None]:
    """Register the kind, and take it out again."""
    column = ColumnKind(
        fits=is_text,
        holds="colours such as #ff8800",
        read=colour_items,
        show=lambda cell, items, table: [{"text": f"the colour {cell}"}],
        claim=lambda sample: "reads like colours" if is_text(sample.type) and sample.most(is_colour) else None,
        checks=CellChecks(
            ("C002", "rows without a colour"), "no column of colours", read_colour,
            broken=("C001", "broken colours", "every colour can be read"), leak=("C003", "same colour in two splits"),
        ),
    )  # fmt: skip
    modality = ModalityKind(own=lambda modality, table: (ColourProcessor(), ColourEncoder()), is_random=True)
    added = [
        (COLUMN_KINDS, column),
        (MODALITY_KINDS, modality),
        (PROCESSORS, ColourProcessor),
        (ENCODERS, lambda config: ColourEncoder()),
    ]
    for registry, record in added:
        registry.add("colour", record)
    yield
    for registry, _ in added:
        del registry._records["colour"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 colours, half of them reddish, and a number that says nothing."""
    rng = np.random.default_rng(0)
    rows = ["paint,size,warm"]
    for i in range(120):
        red, blue = (220, 40) if i % 2 else (40, 220)
        part = rng.integers(-30, 30, 3)
        rows.append(f"#{red + part[0]:02x}{100 + part[1]:02x}{blue + part[2]:02x},{rng.normal():.3f},{'ny'[i % 2]}")
    path = tmp_path / "paints.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.mark.usefixtures("colour")
def test_a_kind_from_outside_goes_all_the_way(table: Path, tmp_path: Path) -> None:
    model = plait.fit(
        table, "warm", epochs=12, set=["train.threads=1", "train.learning_rate=0.01"], output=tmp_path / "model"
    )
    assert [(m.name, m.kind) for m in model.inputs.modalities] == [("paint", "colour"), ("tabular", "tabular")]
    assert model.report["schema"][0]["reason"] == "reads like colours"

    asked = {"paint": ["#ff1010", "#1010ff", "orange", None], "size": [0.0, 0.0, 0.0, 0.0]}
    answers = model.predict(asked).to_pylist()
    assert [a["prediction"] for a in answers[:2]] == ["y", "n"]
    assert answers[2]["problem"] == "paint: 'orange' is no colour; expected one such as #ff8800"
    assert answers[3]["problem"] is None

    result = model.evaluate(table, rows="test", report=tmp_path / "report.html")
    assert result["evaluation"]["metrics"]["accuracy"]["value"] > 0.9
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "the colour #" in page
    shown = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["evaluation"]["examples"][0]["inputs"]
    assert shown[0]["kind"] == "colour" and shown[0]["text"].startswith("the colour #")

    found = model.explain(table, rows="all", permutations=1, emap_evaluations=500)
    assert found["shapley"]["metric"]["paint"]["share"] > 0.8 > found["shapley"]["metric"]["tabular"]["share"]

    again = plait.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(asked), model.predict_proba(asked))


@pytest.mark.usefixtures("colour")
def test_the_data_doctor_checks_a_kind_from_outside() -> None:
    rows = 20
    given = read_table(
        {
            "paint": ["#ff0000", "#zz0000", None, *(f"#0000{i:02x}" for i in range(rows - 3))],
            "split": ["train", "test"] * (rows // 2),
            "y": ["a", "b"] * (rows // 2),
        }
    )
    report = check_table(given, guess_schema(given, target="y"))
    assert report.finding("C001").severity == "error" and report.finding("C001").rows == [1]
    assert report.finding("C002").rows == [2]
    assert report.finding("C003").severity == "ok"
    assert report.finding("P032").detail == "no column of images"
