"""What a served model does with rows: predict, explain, embed, write and search, one outcome a row.

Everything here runs on the model's thread. Cells arrive decoded (bytes, texts, numbers): nothing here opens a file that
a request names. The answers are those of ``plait.Plait`` on the same rows, in the shape of JSON.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.report.standing import in_languages, standing
from plait.serve.cells import InputColumn
from plait.serve.queue import Run
from plait.serve.refusal import Refusal

if TYPE_CHECKING:
    from plait.api import Plait
    from plait.index import Hit, Index

QUESTIONS = ("vqa", "vqa_open")
HIT_SIDE = 240  # pixels of the longer side of a small picture
GRID = 6  # rows and columns that a picture is cut into to explain it
ALONE = ("explain",)  # kinds of work that take one row at a time
TOLD_OF_MODALITY = ("name", "kind", "method", "parts", "trusted", "failed", "skipped", "stands_for", "note")
Row = Mapping[str, Any]


class ServedModel:
    """A fitted model, and an index of it where there is one.

    Args:
        fitted: The model.
        index: What can be searched, or None.
    """

    def __init__(self, fitted: Plait, index: Index | None = None) -> None:
        self.fitted, self.index = fitted, index
        self.columns = input_columns(fitted)
        self.task = fitted.task
        self.standing = standing(fitted.report, None if index is None else index.manifest.modality.name)
        self.run = {
            kind: work
            for kind, can, work in (
                ("predict", not self.task.family.embeds, self.predict),
                ("explain", self.task.needs_target and len(fitted.modalities) <= 6, self.explain),
                ("embed", self.task.family.embeds, self.embed),
                ("caption", self.task.name == "captioning", self.write),
                ("ask", self.task.name in QUESTIONS and self._question() is not None, self.write),
                ("search", index is not None, self.search),
            )
            if can
        }

    @property
    def classes(self) -> list[str]:
        """Names of the classes or labels; empty where the model has none."""
        return [str(name) for name in self.fitted.labels.classes]

    @property
    def is_calibrated(self) -> bool:
        """Whether sets or intervals can be asked for."""
        found = self.fitted.calibration
        return found is not None and len(found) > 0 and self.task.output_kind in ("classes", "labels", "number")

    def facts(self) -> dict[str, Any]:
        """What a client may know of the model."""
        return {
            "task": self.task.name, "target": self.fitted.schema.target, "answers": sorted(self.run),
            "classes": self.classes, "calibrated": self.is_calibrated, **self.standing,
            "translations": in_languages(self.standing, [c.name for c in self.fitted.schema.columns]),
            "inputs": [
                {
                    "name": c.name, "kind": c.kind, **({"known": list(c.known[:200])} if c.known else {}),
                    **({} if c.usual is None else {"usual": c.usual}),
                }
                for c in self.columns
            ],
            "modalities": [
                {"name": m.name, "kind": m.kind, "columns": list(m.columns)} for m in self.fitted.modalities
            ],
            "question": self._question() if "ask" in self.run else None,
            "index": None if self.index is None else {
                "items": len(self.index), "kind": self.index.manifest.modality.kind, "by": sorted(self.searched_by()),
                "modality": self.index.manifest.modality.name,
            },
        }  # fmt: skip

    def searched_by(self) -> set[str]:
        """Kinds of query that the index takes: "text", "image"."""
        kinds = [m.kind for m in self.fitted.modalities]
        return {kind for kind in ("text", "image") if kinds.count(kind) == 1}

    def warming(self, run: Mapping[str, Run]) -> Callable[[], None]:
        """What answers a made-up row of some kinds of work: no request pays for what is loaded at first use."""
        row = {c.name: sample_cell(c) for c in self.columns}
        by_text = "text" in self.searched_by()
        query = {"text": "a" if by_text else None, "image": None if by_text else sample_picture()}

        def warm_up() -> None:
            for kind, work in run.items():
                if kind == "search":
                    work((1, None, 0.5), [query])
                elif kind == "embed":
                    for modality in self.fitted.modalities:
                        work(modality.name, [row])
                else:
                    work(None, [row])

        return warm_up

    def predict(self, coverage: float | None, rows: Sequence[Row]) -> list[Any]:
        """Answers, with sets or intervals where ``coverage`` is asked for."""
        how = {} if coverage is None else {"coverage": coverage}
        made = self.fitted.predict(_table(rows), on_bad_row="skip", progress=False, **how).to_pylist()
        return [self._answer(one) for one in made]

    def write(self, options: Any, rows: Sequence[Row]) -> list[Any]:
        """Captions, or answers to questions."""
        if not self.task.family.writes:
            return self.predict(None, rows)
        beams = self.fitted.settings.language.beams or 1
        made = self.fitted.generate(_table(rows), beams=beams, on_bad_row="skip", progress=False).to_pylist()
        return [self._answer(one) for one in made]

    def explain(self, options: Any, rows: Sequence[Row]) -> list[Any]:
        """What the answer to each row rests on: shares of the modalities, and the parts of each."""
        return [self._explained(row) for row in rows]

    def embed(self, modality: str, rows: Sequence[Row]) -> list[Any]:
        """The unit vector of one modality of each row."""
        columns = next(m.columns for m in self.fitted.modalities if m.name == modality)
        table = _table([{name: row.get(name) for name in columns} for row in rows])
        vectors, bad = self.fitted.embed(table, modality, progress=False)
        reasons = {fault.row: fault.reason for fault in bad}
        return [
            Refusal(422, "not_answered", reasons.get(i, f"the row holds no {modality}"))
            if i in reasons or not vector.any() else {"vector": [float(v) for v in vector]}
            for i, vector in enumerate(vectors)
        ]  # fmt: skip

    def search(self, options: tuple[int, str | None, float], rows: Sequence[Row]) -> list[Any]:
        """The nearest items of the index to each query (``text``, ``image`` or both)."""
        assert self.index is not None
        k, where, weight = options
        queries: list[Any] = []
        for row in rows:
            try:
                queries.append(self.index.query(row.get("text"), image=row.get("image"), weight=weight))
            except ValueError as error:
                queries.append(Refusal(422, "not_answered", str(error)))
        good = [query for query in queries if not isinstance(query, Refusal)]
        found = iter(self.index.search_queries(good, k=k, where=where))
        return [
            query if isinstance(query, Refusal)
            else {"score": query.measure, "hits": [self._hit(hit) for hit in next(found)]}
            for query in queries
        ]  # fmt: skip

    def _answer(self, made: dict[str, Any]) -> Any:
        """One line of a table of predictions as JSON; a row without an answer is refused with its reason."""
        if made["prediction"] is None:
            return Refusal(422, "not_answered", made.get("problem") or "the row has no answer")
        taken = ("prediction", "probability", "log_probability", "set", "low", "high", "uncertainty", "problem")
        answer = {name: plain(made[name]) for name in taken if name in made}
        if self.fitted.labels.classes:
            names = self.fitted.labels.classes
            answer["probabilities"] = {str(c): plain(made[f"probability_{c}"]) for c in names}
        return answer

    def _explained(self, row: Row) -> Any:
        said = self.fitted.predict(_table([row]), on_bad_row="skip", progress=False).to_pylist()[0]
        if said["prediction"] is None:
            return Refusal(422, "not_answered", said["problem"] or "the row has no answer")
        target = self.fitted.schema.target
        # every column is there, empty ones too: what a table lacks as a whole is noted, and one row lacks no column
        names = [*(column.name for column in self.columns), *self.fitted.settings.judge.by]
        table = [{**dict.fromkeys(names), **row, str(target): said["prediction"]}]
        found = self.fitted.explain(
            table, rows=[0], absence="missing", permutations=0, emap_evaluations=0,
            inputs={"grid": GRID, "orders": 1, "cells": "missing"}, on_bad_row="missing", progress=False,
        )  # fmt: skip
        example, parts = found["examples"][0], found["inputs"]["rows"][0]["modalities"]
        total = sum(abs(value) for value in example["shapley"].values())
        modalities = []
        for one in parts:
            value = example["shapley"][one["name"]]
            told = {name: one[name] for name in TOLD_OF_MODALITY if name in one}
            shown = {k: v for k, v in one.get("shown", {}).items() if k in ("text", "seconds", "grid")}
            share = abs(value) / total if total > 0 else None
            modalities.append({**told, **shown, "shapley": value, "share": share})
        return plain({
            "prediction": said["prediction"], "explained": example["explained"],
            "with_nothing": example["with nothing"], "with_everything": example["with everything"],
            "modalities": modalities, "notes": found["notes"],
        })  # fmt: skip

    def _hit(self, hit: Hit) -> dict[str, Any]:
        """A hit without any path of the server: its id, its texts and a small picture."""
        assert self.index is not None
        modality = self.index.manifest.modality
        hidden = set(modality.columns) if modality.kind != "text" else set()
        shown = {k: v for k, v in hit.to_json()["metadata"].items() if k not in hidden}
        picture = small_picture(hit.path) if modality.kind == "image" and hit.path is not None else None
        return plain({
            "rank": hit.rank, "score": hit.score, "id": hit.id, "text": hit.text(), "metadata": shown,
            "picture": picture,
        })  # fmt: skip

    def _question(self) -> str | None:
        """The column that holds the question: the model's only text."""
        texts = [c.name for c in self.columns if c.kind == "text"]
        return texts[0] if len(texts) == 1 else None


def input_columns(fitted: Plait) -> list[InputColumn]:
    """The columns that a model reads, with what is known of their cells."""
    made = []
    read = {name for m in fitted.modalities for name in m.columns}
    for column in fitted.schema.columns:
        if column.role != "input" or column.name not in read or column.kind is None:
            continue
        processor = fitted.inputs.processors.get("tabular") if column.joined_as else None
        known = tuple(getattr(processor, "categorical", {}).get(column.name, ()))
        mean = getattr(processor, "numeric", {}).get(column.name)
        held = column.reading.held if column.reading is not None else "text"
        made.append(InputColumn(column.name, column.kind, held, known, None if mean is None else float(mean[0])))
    return made


def small_picture(path: str) -> str | None:
    """A picture of the index as a small JPEG in a data: address; None where it can no longer be read."""
    from plait.data.media import CellError, read_media
    from plait.data.picture import decode_image
    from plait.report.thumbnail import thumbnail

    try:
        data = read_media(Path(path), None)
        return "data:image/jpeg;base64," + thumbnail(decode_image(data, least_side=HIT_SIDE), side=HIT_SIDE)
    except (CellError, ValueError, OSError):
        return None


def sample_picture() -> bytes:
    """A small grey picture."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(out, "PNG")
    return out.getvalue()


def sample_cell(column: InputColumn) -> Any:
    """A made-up cell of a column, to warm up with; None where none can be made up."""
    if column.kind == "text":
        return "a"
    if column.kind == "image":
        return sample_picture()
    if column.kind == "image_set":
        return [sample_picture()]
    if column.kind == "audio":
        return sample_sound()
    if column.kind == "numeric":
        return column.usual or 0.0
    return None


def sample_sound() -> bytes:
    """A second of silence, as a WAV file."""
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\0\0" * 16_000)
    return out.getvalue()


def plain(value: Any) -> Any:
    """A value as JSON has it: no NaN, no infinity, no numpy, dates as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as a table in memory, without columns that are empty in every one of them: these count as missing."""
    filled = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    return [{name: row.get(name) for name in filled} for row in rows]
