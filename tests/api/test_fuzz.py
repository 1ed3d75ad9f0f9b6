"""Four hundred broken tables and images: only clear errors, every row counted, no row fed by a neighbour."""

from __future__ import annotations

import io
import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import plait
from fixtures.media import png_claiming
from plait.data.checks.check import check_table
from plait.data.table import Table, read_table

CLEAR = (ValueError, FileNotFoundError)
FILES, CELLS, ROWS = 300, 100, 4
ALONE = 1  # rows of each table that are predicted alone as well


@pytest.fixture(scope="module")
def model(posts_model: Path) -> plait.Plait:
    return plait.load(posts_model)


def rows_of(table: Table) -> list[dict[str, Any]]:
    return table.take(range(ROWS)).arrow.to_pylist()


def written(rows: list[dict[str, Any]], kind: str) -> bytes:
    if kind == "jsonl":
        return "\n".join(json.dumps(row) for row in rows).encode()
    if kind == "parquet":
        out = io.BytesIO()
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out)
        return out.getvalue()
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    return "\n".join(lines).encode()


def damaged(data: bytes, draw: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(made) + 1)
        how = draw.randrange(6)
        if how == 0:
            del made[at:]
        elif how == 1:
            made[at:at] = draw.randbytes(draw.randint(1, 8))
        elif how == 2:
            del made[at : at + draw.randint(1, 20)]
        elif how == 3:
            made[at:at] = draw.choice(
                [b'"', b",", b"\n", b"\r", b"\0", b"{", b"}", b"\xff\xfe", b'""', b"nan", b"1e999"]
            )
        elif how == 4 and at < len(made):
            made[at] ^= 1 << draw.randrange(8)
        else:
            made[at:at] = made[: draw.randint(0, 60)]
    return bytes(made)


def try_table(source: Any, model: plait.Plait, format: str | None = None) -> bool:
    """Read, check and predict; True when there were predictions to compare."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            table = read_table(source, format=format)
            check_table(table, target="label" if "label" in table.column_names else None)
            made = model.predict(table)
        except CLEAR as error:
            assert str(error).strip()
            return False
        numbers = made.column("row").to_pylist()
        expected = [table.row_number(i) for i in range(len(table))] + [b.row for b in table.bad_rows]
        assert numbers == sorted(set(expected)), "a row vanished, came twice or out of order"
        place = {number: i for i, number in enumerate(numbers)}
        names = [f"probability_{c}" for c in model.labels.classes]
        together = np.stack([made.column(n).to_numpy(zero_copy_only=False) for n in names], axis=1)
        for i in range(min(ALONE, len(table))):
            alone = model.predict_proba(table.take([i]))[0]
            np.testing.assert_allclose(together[place[table.row_number(i)]], alone, atol=1e-5)
    return True


@pytest.mark.timeout(120)
def test_damaged_files(posts: Path, model: plait.Plait) -> None:
    rows = rows_of(read_table(posts))
    compared = 0
    for seed in range(FILES):
        draw = random.Random(seed)
        kind = draw.choice(["csv", "csv", "jsonl", "parquet"])
        path = posts.parent / f"broken{seed}.{kind}"
        path.write_bytes(damaged(written(rows, kind), draw))
        try:
            compared += try_table(path, model)
        except BaseException as error:
            error.add_note(f"seed {seed}, {kind}")
            raise
    assert compared > FILES // 5


@pytest.mark.timeout(300)
def test_damaged_cells(posts: Path, model: plait.Plait) -> None:
    """Damage of known rows: the other rows get what they get in the clean table."""
    clean_rows = rows_of(read_table(posts))
    for row in clean_rows:
        row["image"] = (posts.parent / row["image"]).read_bytes()
    clean = model.predict_proba(clean_rows)
    png = clean_rows[0]["image"]
    spoilt = [
        b"",
        b"GIF89a",
        png[:40],
        png[:-20],
        png_claiming(60_000, 60_000),
        b"not an image",
        b"\0" * 100,
        None,
        png[8:],
        b"BM" + png,
    ]
    words: list[Any] = [None, "", " ", "\0", "x" * 20_000, "\u202e\ufffd", "\U0001f600" * 999]
    numbers: list[Any] = [None, float("nan"), float("inf"), -float("inf"), 1e308]
    for seed in range(CELLS):
        draw = random.Random(seed)
        rows = [dict(row) for row in clean_rows]
        hit = set(draw.sample(range(ROWS), draw.randint(1, ROWS - 1)))
        for i in hit:
            column = draw.choice(["image", "text", "size", "label"])
            rows[i][column] = draw.choice({"image": spoilt, "text": words, "size": numbers}.get(column, [None, "?"]))
        if draw.random() < 0.2:
            rows = [dict(reversed(row.items())) for row in rows]
        try:
            assert try_table(rows, model)
            made = model.predict_proba(rows)
        except BaseException as error:
            error.add_note(f"seed {seed}, rows {hit}")
            raise
        good = [i for i in range(ROWS) if i not in hit]
        np.testing.assert_allclose(made[good], clean[good], atol=1e-5)


def test_strange_sources(posts: Path, model: plait.Plait) -> None:
    row = rows_of(read_table(posts))[0]
    twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    cells: list[Any] = [
        "",
        "/",
        ".",
        "img",
        "nul\0",
        "x" * 5000,
        "http://a.b/c.png",
        "file:///nowhere.png",
        "data:,x",
    ]
    sources: list[Any] = [
        {}, [], "", "nul\0.csv", "x" * 5000, posts.parent, {"text": []}, {"text": [1, "a"]}, twice,
        [row, {}], [1, 2],
        {"text": [b"\xff"]}, {"text": [{"a": 1}]}, {"text": [[1]]}, {"image": [3]}, {"image": [[1]]},
        {"image": [{"bytes": None, "path": None}]}, {"image": [{"a": 1}]},
        {"size": ["many"]},
        {"size": [b"1"]},
        {"size": [[1]]}, {"size": [True]}, {"text": [2**80]}, {"label": ["yes"]}, [{**row, "size": "7"}],
        *({"image": [cell]} for cell in cells),
    ]  # fmt: skip
    for source in sources:
        try:
            try_table(source, model)
        except BaseException as error:
            error.add_note(repr(source)[:80])
            raise
