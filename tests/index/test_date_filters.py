"""Dates in filters: every comparison against rows chosen by hand; LanceDB gives the same rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fixtures.colours import ColourEmbedder, paint
from plait.index import Index, build_index
from plait.index.dates import moment
from plait.index.filter import matches

# as UTC: a the evening before, b midnight, c half past noon, d never
TIMES = [datetime(2024, 1, 4, 23, 0), datetime(2024, 1, 5), datetime(2024, 1, 5, 12, 30), None]
DAYS = [None if at is None else at.date() for at in TIMES]


def columns() -> dict[str, Any]:
    return {
        "id": list("abcd"),
        "day": pa.array(DAYS, pa.date32()),
        "ms_day": pa.array(DAYS, pa.date64()),
        "at": pa.array(TIMES, pa.timestamp("us")),
        "second": pa.array(TIMES, pa.timestamp("s")),
        "nano": pa.array(TIMES, pa.timestamp("ns")),
        "utc": pa.array(TIMES, pa.timestamp("us", "UTC")),
        "paris": pa.array(TIMES, pa.timestamp("ms", "Europe/Paris")),  # a is its midnight of the 5th
        "east": pa.array(TIMES, pa.timestamp("ns", "+02:00")),
        "text": ["2024-01-04", "2024-01-05", "2024-01-06", None],
        "zoned": ["2024-01-04T23:00:00Z", "2024-01-05T00:30:00+02:00", "2024-01-05T12:30:00+00:00", None],
        "some": ["2024-01-04", "unknown", "2024-01-06", None],
    }


BOTH = [
    ("day >= '2024-01-05'", "bc"),
    ("day = '2024-01-05'", "bc"),
    ("day != '2024-01-05'", "a"),
    ("not day < '2024-01-05'", "bc"),  # a missing date fits no comparison
    ("day < '2024-01-05T12:00:00'", "abc"),
    ("day > '2024-01-05T12:00:00'", ""),
    ("day in ('2024-01-05', '2024-02-01')", "bc"),
    ("day not in ('2024-01-05')", "a"),
    ("day between '2024-01-05' and '2024-02-01'", "bc"),
    ("day between '2024-01-01' and '2024-01-04' or id = 'd'", "ad"),
    ("day >= date '2024-01-05' and text >= '2024-01-06'", "c"),
    ("day is null", "d"),
    ("ms_day >= '2024-01-05'", "bc"),
    ("at >= '2024-01-05'", "bc"),
    ("at > '2024-01-05'", "c"),
    ("at = '2024-01-05'", "b"),
    ("at >= '2024-01-05 12:30'", "c"),
    ("at > '2024-01-05T12:30:00'", ""),
    ("at >= '2024-01-05T14:00:00+02:00'", "c"),
    ("at >= timestamp '2024-01-05 00:00:00'", "bc"),
    ("second <= '2024-01-05T12:29:59.5'", "ab"),
    ("nano >= '2024-01-05'", "bc"),
    ("utc >= '2024-01-05'", "bc"),
    ("utc >= '2024-01-05T02:00:00+02:00'", "bc"),
    ("utc > '2024-01-05T00:00:00Z'", "c"),
    ("paris >= '2024-01-05'", "abc"),
    ("paris >= '2024-01-05T00:30:00'", "bc"),
    ("paris = '2024-01-04T23:00:00Z'", "a"),
    ("east >= '2024-01-05'", "abc"),
    ("east >= '2024-01-05T01:30:00'", "bc"),
    ("text >= '2024-01-05'", "bc"),
    ("text >= '2024-01'", "abc"),
    ("text = '2024-01-05'", "b"),
    ("text between '2024-01-05' and '2024-01-05'", "b"),
    ("zoned >= '2024-01-05'", "bc"),  # as the clock shows it where it was written
    ("some > '2024-01-05'", "bc"),  # not all are dates: letter by letter
]


@pytest.mark.parametrize(("expression", "rows"), BOTH)
def test_rows(expression: str, rows: str) -> None:
    items = pa.table(columns())
    assert "".join(items.column("id").filter(pa.array(matches(items, expression))).to_pylist()) == rows


def test_what_sql_does_not_know() -> None:
    more = {
        "days": pa.array([[date(2024, 1, 4)], [date(2024, 1, 5)], [], None]),
        "clock": pa.array([None if at is None else at.time() for at in TIMES], pa.time64("us")),
    }
    items = pa.table({**columns(), **more})
    for expression, rows in (
        ("zoned >= '2024-01-05T00:00:00Z'", "c"),  # b is still the 4th in UTC
        ("days = '2024-01-05'", "b"),
        ("days contains '2024-01-04'", "a"),
        ("clock >= '12:00'", "ac"),
        ("nano < '9999-12-31'", "abc"),
    ):
        assert "".join(items.column("id").filter(pa.array(matches(items, expression))).to_pylist()) == rows


@pytest.mark.parametrize(
    "expression",
    ["day >= 'yesterday'", "day >= '05.01.2024'", "at = '2024-02-30'", "utc in ('2024-01-05', '')", "day >= '2024'",
     "paris between '2024-01-05' and 'x'"],
)  # fmt: skip
def test_no_date_is_a_sentence(expression: str, lance: Index) -> None:
    for ask in (lambda: matches(pa.table(columns()), expression), lambda: lance.storage.where(expression)):
        with pytest.raises(ValueError, match=r"is no date; write it as '2024-01-05' or") as told:
            ask()
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("expression", ["day >= 2024", "day = true", "text >= 'x'", "text < '2024-02-30'", "text < 5"])
def test_what_is_no_date(expression: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        matches(pa.table(columns()), expression)


@pytest.fixture(scope="module")
def lance(tmp_path_factory: pytest.TempPathFactory) -> Index:
    pytest.importorskip("lancedb", reason="extra lance")
    place = tmp_path_factory.mktemp("dates")
    images = [str(paint(place / f"{i}.png", (60 * i, 9, 9))) for i in range(4)]
    table = pa.table({"image": images, **columns()})
    return build_index(ColourEmbedder(), table, place / "i", backend="lance", allow_outside=True)[0]


def test_lance_gives_the_same_rows(lance: Index) -> None:
    for expression, rows in BOTH:
        assert "".join(sorted(lance.storage.where(expression))) == rows, expression
    assert [hit.id for hit in lance.search("red", where="day >= '2024-01-05'")] == ["c", "b"]


def test_dates_of_a_csv_file(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name, red in (("a", 250), ("b", 120), ("c", 10)):
        paint(tmp_path / f"{name}.png", (red, 100, 0))
    (tmp_path / "t.csv").write_text("image,when\na.png,2024-01-04\nb.png,2024-01-05\nc.png,2024-02-01\n")
    index, _ = build_index(embedder, tmp_path / "t.csv", tmp_path / "i")
    assert [h.id for h in index.search("red", where="when >= '2024-01-05'")] == ["b.png", "c.png"]
    assert index.delete(where="when < '2024-01-05'") == 1


def test_moments() -> None:
    assert moment("2024-01-05") == datetime(2024, 1, 5)
    assert moment(" 2024-01-05T12:30:00.123456789Z") == datetime(2024, 1, 5, 12, 30, 0, 123456, tzinfo=UTC)
    for text in ("20240105", "2024-1-5", "2024-W01-1", "12:30", "2024-13-01", "", "2024-01-05T25:00"):
        assert moment(text) is None
