"""The data doctor: each fault is planted and must be found by its code and row, and only then."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.data.checks.check import CheckReport, check_table
from plait.data.checks.giveaway import giveaway_score
from plait.data.schema import guess_schema
from plait.data.table import read_table

N = 60
ALL_CODES = [
    *(f"P00{i}" for i in range(1, 8)),
    *(f"P01{i}" for i in range(9)),
    *(f"P02{i}" for i in range(7)),
    *(f"P03{i}" for i in range(10)),
    *(f"P04{i}" for i in range(6)),
    "P050",
    "P051",
]


def photo(seed: int) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()


def sound_columns() -> dict[str, list[object]]:
    rng = np.random.default_rng(0)
    return {
        "id": [f"r{i}" for i in range(N)],
        "image": [photo(i) for i in range(N)],
        "text": [f"a story that is number {i} of many" for i in range(N)],
        "size": rng.normal(size=N).tolist(),
        "colour": rng.choice(["red", "blue", "green"], N).tolist(),
        "split": ["train"] * 40 + ["val"] * 10 + ["test"] * 10,
        "label": [["yes", "no"][i % 2] for i in range(N)],
    }


def check(columns: dict[str, list[object]], target: str | None = "label") -> CheckReport:
    return check_table(read_table(columns), target=target)


def test_a_sound_table_has_nothing_to_say() -> None:
    report = check(sound_columns())
    assert [f.code for f in report.findings] == ALL_CODES
    assert report.worst == "ok", report.text()
    silent = {"P017", "P018", "P022", "P023", "P025", "P026", "P035", "P036", "P037", "P038", "P043", "P044", "P045"}
    assert {f.code for f in report.findings if f.severity == "n/a"} == silent
    assert report.num_rows == N and "in order" in report.text()


def test_json_is_json() -> None:
    data = json.loads(json.dumps(check(sound_columns()).to_json()))
    assert data["worst"] == "ok" and data["counts"]["n/a"] == 13 and len(data["findings"]) == len(ALL_CODES)
    assert set(data["findings"][0]) == {"code", "severity", "title", "detail", "rows"}


def damage(name: str, values: dict[int, object]) -> dict[str, list[object]]:
    columns = sound_columns()
    for row, value in values.items():
        columns[name][row] = value
    return columns


def numbers_as_text(odd: dict[int, str]) -> dict[str, list[object]]:
    columns = sound_columns()
    columns["size"] = [odd.get(i, f"{value:.3f}") for i, value in enumerate(columns["size"])]
    return columns


@pytest.mark.parametrize(
    ("columns", "code", "severity", "rows"),
    [
        (damage("image", {3: b"\x89PNG\r\n\x1a\nbroken", 7: photo(7)[:-30]}), "P031", "error", [3, 7]),
        (damage("image", {4: None}), "P032", "warning", [4]),
        (damage("text", {5: None, 6: "   "}), "P033", "warning", [5, 6]),
        (damage("id", {9: "r8"}), "P006", "error", [8, 9]),
        (damage("id", {9: None}), "P006", "error", [9]),
        (damage("label", {2: None}), "P012", "warning", [2]),
        (damage("size", {2: float("inf")}), "P005", "error", [2]),
        (damage("image", {55: photo(1)}), "P041", "error", [1, 55]),
        (damage("text", {55: "A  story that is NUMBER 1 of many"}), "P042", "warning", [1, 55]),
        (damage("label", {50: "new", 51: "new"}), "P013", "warning", [50, 51]),
        ({**sound_columns(), "label": ["yes"] * N}, "P010", "error", []),
        ({**sound_columns(), "label": ["no"] * 2 + ["yes"] * (N - 2)}, "P011", "warning", []),
        ({**sound_columns(), "label": ["no"] * 15 + ["yes"] * 45}, "P011", "info", []),
        ({**sound_columns(), "colour": ["red"] * N}, "P004", "warning", []),
        ({**sound_columns(), "size": [None] * N}, "P003", "warning", []),
        (numbers_as_text({3: "?", 7: "-"}), "P022", "warning", [3, 7]),
        (numbers_as_text({5: "abc"}), "P022", "warning", [5]),
        (
            {**sound_columns(), "day": [f"{i % 28 + 1}/3/2024" for i in range(N - 1)] + ["soon"]},
            "P023",
            "warning",
            [59],
        ),
        ({**sound_columns(), "day": [f"{i % 12 + 1}/3/2024" for i in range(N)]}, "P023", "warning", []),
        (
            {**sound_columns(), "day": ["1900-01-01", *(f"2024-03-{i % 28 + 1:02d}" for i in range(N - 1))]},
            "P026",
            "warning",
            [0],
        ),
        ({**sound_columns(), "weight": [f"{i} kg" for i in range(N)]}, "P024", "warning", []),
        ({**sound_columns(), "code": [f"x{i:04d}" for i in range(N)]}, "P021", "info", []),
        (
            {
                n: c
                for n, c in {**sound_columns(), "day": [f"2024-03-{i % 28 + 1:02d}" for i in range(N)]}.items()
                if n != "split"
            },
            "P025",
            "warning",
            [],
        ),
        ({**sound_columns(), "split": ["train"] * N}, "P007", "warning", []),
        ({**sound_columns(), "split": ["test"] * N}, "P007", "warning", []),
    ],
)
def test_planted_faults(columns: dict[str, list[object]], code: str, severity: str, rows: list[int]) -> None:
    finding = check(columns).finding(code)
    assert (finding.severity, finding.rows) == (severity, rows), finding


def test_missing_files_and_addresses_are_named_by_row(tmp_path: Path) -> None:
    for i in range(N):
        (tmp_path / f"{i}.png").write_bytes(photo(i))
    (tmp_path / "9.png").unlink()
    lines = [f"{'http://x.org/' if i == 12 else ''}{i}.png,{'yes' if i % 2 else 'no'}" for i in range(N)]
    lines.insert(2, "one,two,three")  # from here on every row number is one more than the position
    (tmp_path / "t.csv").write_text("image,label\n" + "\n".join(lines) + "\n")
    report = check_table(read_table(tmp_path / "t.csv"), target="label")
    assert report.finding("P001").rows == [2]
    missing = report.finding("P030")
    assert missing.rows == [10, 13] and "row 10, 'image': no such file: '9.png'" in missing.detail
    assert "never fetched" in missing.detail and report.worst == "error"


def test_duplicates_and_contradictions() -> None:
    columns = sound_columns()
    for name in ("image", "text", "size", "colour", "label"):
        columns[name][1] = columns[name][0]
        columns[name][3] = columns[name][2]
    columns["label"][3] = "no" if columns["label"][2] == "yes" else "yes"
    report = check(columns)
    assert report.finding("P034").rows == [0, 1] and report.finding("P034").severity == "warning"
    assert report.finding("P014").rows == [2, 3]
    assert report.finding("P015").rows == [2, 3] and report.finding("P015").severity == "info"
    only_text = check({"text": columns["text"], "label": columns["label"]})
    assert only_text.finding("P015").severity == "warning"


def test_whole_rows_in_two_splits() -> None:
    columns = sound_columns()
    for name in ("image", "text", "size", "colour"):
        columns[name][59] = columns[name][0]
    assert check(columns).finding("P040").rows == [0, 59]


def test_set_questions_are_no_leak_and_groups_are() -> None:
    columns = sound_columns()
    columns["text"] = [f"is there a circle in it {i % 3}" for i in range(N)]
    columns["image_id"] = [i // 5 for i in range(N)]
    columns["image_id"][40] = 7
    report = check(columns)
    assert report.finding("P042").severity == "info"
    assert report.finding("P043").severity == "error" and report.finding("P043").rows == [
        35,
        36,
        37,
        38,
        39,
        40,
    ]


def test_odd_split_values() -> None:
    columns = damage("split", {4: "holdout", 5: None})
    table = read_table(columns)
    finding = check_table(table, guess_schema(table, target="label", split="split")).finding("P007")
    assert finding.severity == "error" and finding.rows == [4, 5]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("colour", [["green", "red"][i % 2] for i in range(N)]),
        ("size", [(i % 2) * 10 + i / 100 for i in range(N)]),
    ],
)
def test_columns_that_give_the_target_away(name: str, values: list[object]) -> None:
    finding = check({**sound_columns(), name: values}).finding("P016")
    assert finding.severity == "warning" and repr(name) in finding.detail


def test_giveaway_of_a_number_target_and_of_noise() -> None:
    rng = np.random.default_rng(0)
    noise, price = rng.normal(size=400).tolist(), np.sort(rng.lognormal(size=400)).tolist()
    assert giveaway_score(np.log(price).tolist(), price, numeric=True, regression=True) > 0.97  # type: ignore[operator]
    assert giveaway_score(noise, price, numeric=True, regression=True) < 0.1  # type: ignore[operator]
    names = [f"n{i}" for i in range(400)]
    labels = [str(i % 2) for i in range(400)]
    assert giveaway_score(names, labels, numeric=False, regression=False) < 0.1  # type: ignore[operator]
    assert giveaway_score(names[:19], labels[:19], numeric=False, regression=False) is None
    assert giveaway_score(noise, ["a"] * 400, numeric=True, regression=False) is None
    assert giveaway_score([1] * 400, labels, numeric=True, regression=False) == 0.0


def test_few_rows_no_target_no_inputs() -> None:
    report = check({"text": ["one short story here"]}, target=None)
    assert report.finding("P002").severity == "error" and report.finding("P010").severity == "n/a"
    assert [f.code for f in report.findings] == ALL_CODES
    assert check({"label": ["a", "b"]}).finding("P020").severity == "error"
    empty = check({"text": ["a b c d"] * 3, "label": [None] * 3})
    assert empty.finding("P003").severity == "error" and empty.finding("P010").severity == "n/a"


def test_lists_as_target() -> None:
    columns = {"text": sound_columns()["text"], "objects": [["cat"], ["cat", "dog"], []] * 20}
    report = check(columns, target="objects")  # type: ignore[arg-type]
    assert report.finding("P010").detail == "2 classes" and [f.code for f in report.findings] == ALL_CODES


def test_wrong_calls() -> None:
    table = read_table(sound_columns())
    with pytest.raises(ValueError, match="Did you mean 'label'"):
        check_table(table, target="labels")
    with pytest.raises(ValueError, match="give one of them"):
        check_table(table, guess_schema(table, target="label"), target="size")
    with pytest.raises(ValueError, match="has not; guess"):
        check_table(read_table({"x": [1]}), guess_schema(table))


def test_any_table_gets_a_report() -> None:
    """Columns of every odd type, one row or many: the report always comes, with every code."""
    rng = np.random.default_rng(0)
    pool: list[object] = [None, "", "a", "x.jpg", "http://a/b.png", "split", "\ud7ff", "1" * 50]
    for trial in range(60):
        n = int(rng.integers(1, 30))
        columns: dict[str, list[object]] = {}
        for name in ("id", "split", "image_id", "other", "text", "y"):
            kind = int(rng.integers(0, 7))
            made: list[list[object]] = [
                [pool[int(i)] for i in rng.integers(0, len(pool), n)],
                rng.normal(size=n).tolist(),
                rng.integers(-3, 3, n).tolist(),
                [None] * n,
                [bool(b) for b in rng.integers(0, 2, n)],
                [[int(i)] for i in rng.integers(0, 2, n)],
                [{"bytes": None, "path": "a.jpg"}] * n,
            ]
            columns[name] = made[kind]
        table = read_table(columns)
        for target in (None, "y"):
            report = check_table(table, target=target)
            assert [f.code for f in report.findings] == ALL_CODES, trial
            json.dumps(report.to_json())


def test_real_tables_have_real_leaks(shared_data: Path) -> None:
    report = check_table(read_table(shared_data / "posts-sentiment" / "posts.csv"), target="sentiment")
    assert report.finding("P031").severity == "ok" and report.finding("P030").severity == "ok"
    assert report.finding("P041").rows == [811, 838, 974, 1269, 1431, 1450]
