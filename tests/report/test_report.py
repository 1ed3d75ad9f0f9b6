"""The report: complete, self-contained, escaped, and honest about what is missing."""

from __future__ import annotations

import base64
import errno
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plait.report import thumbnail, write_report

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> {{7*7}} & \x00\u202e"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects tags and attributes, and insists that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data + " "

    def ids(self) -> list[str]:
        return [a["id"] or "" for t, a in self.tags if t == "section"]


def picture(size: tuple[int, int] = (640, 480), kind: str = "PNG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


def full(word: str = "plain") -> dict[str, Any]:
    def around(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.05, "high": value + 0.05}

    shown = base64.b64encode(picture()).decode()
    return {
        "plait": "0.1.0", "created": "2030-01-02T03:04:05", "task": word, "target": word,
        "metric": {"name": "accuracy", "higher_is_better": True},
        "verdict": word, "splits": {word: 5, "test": 2},
        "evaluation": {
            "rows": 40, "split": word, "chance": 0.5, "notes": [word],
            "metrics": {"accuracy": around(0.75), "auroc": {"value": None, "low": None}, word: 0.5},
            "confusion": {"labels": [word, "b"], "matrix": [[15, 5], [0, 20]]},
            "alone": {word: {"accuracy": around(0.625)}}, "without": {word: {"accuracy": around(0.5)}},
            "slices": [{"column": word, "value": word, "rows": 3, "metrics": {word: math.nan}}],
            "examples": [
                {"row": i, "inputs": [{"name": word, "kind": "text", "text": word},
                                      {"name": word, "kind": "image", "image_jpeg_base64": shown}],
                 "truth": word, "prediction": word, "probability": 0.987, "correct": correct}
                for i, correct in enumerate([True, False, None])
            ],
            "bad_rows": [{"row": 3, "column": word, "reason": word}],
            "counts": {"texts_truncated": 7, word: word},
        },
        "history": [{"epoch": e, "train_loss": 1 / e, "val_accuracy": e / 10, word: 1} for e in (1, 2, 3)],
        "best_epoch": 2,
        "schema": [{"name": word, "kind": word, "role": word, "reason": word}],
        "model": {
            "encoders": [{"modality": word, "name": word, "tuning": "frozen", "parameters": 22713216}],
            "fusion": {"name": word, "equation": word, "paper": word}, "head": word,
            "parameters": {"total": 9, "trained": 4}, "size_bytes": 1_500_000, word: word,
        },
        "settings": {word: {"deep": word}, "rate": 0.0003}, "versions": {word: word},
    }  # fmt: skip


def write(tmp_path: Path, report: dict[str, Any], title: str = "T") -> tuple[str, Any]:
    page, numbers = write_report(tmp_path / "out", report, title=title)
    return page.read_text("utf-8"), json.loads(numbers.read_text("utf-8"), parse_constant=pytest.fail)


def test_every_section_stands_with_its_numbers(tmp_path: Path) -> None:
    text, numbers = write(tmp_path, full())
    page = Page(text)
    assert page.ids() == [
        "verdict", "checks", "numbers", "modalities", "training", "errors", "slices", "examples", "left-out", "data",
        "model",
        "settings", "versions",
    ]  # fmt: skip
    for said in (
        "0.750",
        "0.700 to 0.800",
        "0.625",
        "chosen: epoch 2",
        "0.987",
        "22,713,216",
        "1.5 MB",
        "guessing 0.500",
    ):
        assert said in page.words, said
    assert "0.0003" in page.words  # a setting is not rounded
    links = {a["href"] for t, a in page.tags if t == "a"}
    assert links == {f"#{i}" for i in page.ids()} - {"#verdict"} | {"#main"}
    assert numbers["evaluation"]["metrics"]["accuracy"]["value"] == 0.75


def test_written_answers_stand_over_what_they_are_held_against(tmp_path: Path) -> None:
    report = full()
    answer = {"row": 7, "inputs": [], "truth": "a | b", "prediction": "<i>two dogs", "score": 0.5, "group": "Best"}
    report["evaluation"]["examples"] = [
        {**answer, "references": [f"reference {i}" for i in range(7)]},
        {**answer, "row": 8, "prediction": "", "references": ["only one"]},
    ]
    text, numbers = write(tmp_path, report)
    assert '<p class="written" dir="auto">&lt;i&gt;two dogs</p>' in text
    assert '<p class="written" dir="auto">(nothing)</p><ul class="references"><li dir="auto">only one</li></ul>' in text
    assert "reference 4</li><li>and 2 more</li>" in text and "reference 5" not in text
    assert "<dt>truth</dt>" not in text
    assert len(numbers["evaluation"]["examples"][0]["references"]) == 7


def test_nothing_is_loaded_and_nothing_runs(tmp_path: Path) -> None:
    text, _ = write(tmp_path, full())
    page = Page(text)
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert not {t for t, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.tags:
        assert not [k for k in attributes if k.startswith("on")], tag
        assert (attributes.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    assert "default-src 'none'" in text and "prefers-color-scheme:dark" in text


def test_hostile_text_everywhere_is_escaped(tmp_path: Path) -> None:
    calm, evil = Page(write(tmp_path / "a", full())[0]), write(tmp_path / "b", full(EVIL), title=EVIL)[0]
    page = Page(evil)
    assert [t for t, _ in page.tags] == [t for t, _ in calm.tags]  # not one element more or less
    assert "<script" not in evil and "<img src=x" not in evil and "\x00" not in evil and "\u202e" not in evil
    assert page.words.count("<script>alert('x')</script>") > 20  # shown as text


def test_hostile_picture_is_not_embedded(tmp_path: Path) -> None:
    report = full()
    for bad in (
        '"><script>',
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
        base64.b64encode(b"\xff\xd8\xff").decode(),
    ):
        report["evaluation"]["examples"][0]["inputs"][1]["image_jpeg_base64"] = bad
        text, _ = write(tmp_path, report)
        assert "the picture cannot be shown" in text and "<script" not in text and f'base64,{bad}"' not in text


def test_pictures_are_small_and_only_in_the_page(tmp_path: Path) -> None:
    text, numbers = write(tmp_path, full())
    sources = [a["src"] or "" for t, a in Page(text).tags if t == "img"]
    assert len(sources) == 3
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as shown:
            assert shown.format == "JPEG" and max(shown.size) == 200
    assert "image_jpeg_base64" not in json.dumps(numbers)
    assert numbers["evaluation"]["examples"][0]["inputs"][0]["text"] == "plain"


def test_each_part_may_be_missing(tmp_path: Path) -> None:
    whole = full()
    for key in whole:
        Page(write(tmp_path, {k: v for k, v in whole.items() if k != key})[0])
    for key in whole["evaluation"]:
        for gone in ({}, {key: None}):
            rest = {k: v for k, v in whole["evaluation"].items() if k != key}
            Page(write(tmp_path, {**whole, "evaluation": {**rest, **gone}})[0])
    assert Page(write(tmp_path, {})[0]).ids() == []
    alone = {**whole, "evaluation": {**whole["evaluation"], "alone": {}, "without": {}}}
    assert "modalities" not in Page(write(tmp_path, alone)[0]).ids()
    assert Page(write(tmp_path, {"settings": {"a": 1}})[0]).ids() == ["settings"]


def test_json_is_strict_and_takes_numpy(tmp_path: Path) -> None:
    given = {
        "evaluation": {
            "metrics": {"r2": np.float32(0.5), "mae": math.inf, "rmse": float("nan")},
            "rows": np.int64(3),
        },
        "settings": {
            "path": Path("a/b"),
            "flags": {"x"},
            "ok": np.bool_(True),
            "list": np.array([1.0, np.nan]),
        },
        "verdict": "broken \ud800 letter",
    }
    text, numbers = write(tmp_path, given)
    assert numbers["evaluation"] == {"metrics": {"r2": 0.5, "mae": None, "rmse": None}, "rows": 3}
    assert numbers["settings"] == {"path": "a/b", "flags": ["x"], "ok": True, "list": [1.0, None]}
    assert "broken \\ud800 letter" in text
    with pytest.raises(TypeError, match=r"report.settings.net is a object"):
        write(tmp_path, {"settings": {"net": object()}})


def test_where_the_files_go(tmp_path: Path) -> None:
    assert [p.name for p in write_report(tmp_path / "a" / "b", {}, title="t")] == [
        "report.html",
        "report.json",
    ]
    page, numbers = write_report(tmp_path / "c" / "mine.html", {}, title="t")
    assert (page.name, numbers.name) == ("mine.html", "mine.json")
    write_report(page, {"verdict": "second"}, title="t")
    assert "second" in page.read_text("utf-8") and sorted(p.name for p in page.parent.iterdir()) == [
        "mine.html",
        "mine.json",
    ]
    (tmp_path / "d.txt").write_text("x")
    with pytest.raises(ValueError, match="ends in .html"):
        write_report(tmp_path / "d.txt", {}, title="t")


def test_confusion_of_many_classes_shows_twenty(tmp_path: Path) -> None:
    matrix = np.diag(np.arange(1, 31)) + 1
    labels = [f"c{i}" for i in range(30)]
    text, numbers = write(tmp_path, {"evaluation": {"confusion": {"labels": labels, "matrix": matrix}}})
    page = Page(text)
    assert sum(a.get("class") in ("hit", "miss") for _, a in page.tags) == 400
    shown = int(matrix[10:, 10:].sum())
    assert f"20 commonest of 30 classes; {int(matrix.sum()) - shown:,} of {int(matrix.sum()):,} rows" in page.words
    assert "c29" in page.words and "c3 " not in page.words
    assert len(numbers["evaluation"]["confusion"]["labels"]) == 30


def test_charts_place_what_they_say(tmp_path: Path) -> None:
    evaluation = {"metrics": {"r2": 0.5}, "alone": {"a": {"r2": -0.5}}}
    text, _ = write(tmp_path, {"metric": {"name": "r2"}, "evaluation": evaluation})
    rects = [a for t, a in Page(text).tags if t == "rect" and str(a.get("class")).startswith("bar ")]
    assert [(r["x"], r["width"]) for r in rects] == [("49.50%", "48.50%"), ("1.00%", "48.50%")]


@pytest.mark.parametrize(
    "history",
    [
        [{"epoch": 1, "train_loss": 0.5}],
        [
            {"epoch": 1, "train_loss": math.nan},
            {"epoch": 2, "train_loss": 0.5},
            {"epoch": 3, "train_loss": None},
        ],
        [{"epoch": e, "train_loss": 0.0, "val_loss": 1e9 * e} for e in range(1, 500)],
        [{"epoch": 0.5, "train_loss": -1.0, "val_mae": 3}, {"epoch": 1.0, "train_loss": -2.0}],
        [{"epoch": 1, "train_loss": math.nan}],
        [{"epoch": 1}],
    ],
)
def test_curves_of_every_kind(tmp_path: Path, history: list[dict[str, Any]]) -> None:
    text, _ = write(tmp_path, {"history": history, "best_epoch": 1})
    Page(text)
    assert "nan" not in text.partition("<body")[2].lower()


def test_scatter_leaves_out_what_is_not_a_number(tmp_path: Path) -> None:
    points = {"truth": [1.0, 2.0, math.nan], "prediction": [1.5, 2.5, 3.0]}
    page = Page(write(tmp_path, {"evaluation": {"scatter": points}})[0])
    assert sum(a.get("class") == "point" for _, a in page.tags) == 2


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "I;16"), ("GIF", "P"), ("JPEG", "CMYK"), ("PNG", "L")]
)
def test_thumbnail_of_every_kind(kind: str, mode: str) -> None:
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(picture((50, 400), kind, mode))))) as small:
        assert small.size == (25, 200) and small.mode == "RGB"


def test_thumbnail_scales_16_bits() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), 128 * 257, dtype=np.uint16)).save(out, "PNG")
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(out.getvalue())))) as small:
        assert abs(small.getpixel((4, 4))[0] - 128) <= 2


def test_thumbnail_turns_and_refuses() -> None:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50), "red").save(out, "JPEG", exif=exif)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(out.getvalue())))) as small:
        assert small.size == (50, 100) and not small.getexif()
    with pytest.raises(ValueError, match="cannot be read"):
        thumbnail(b"not a picture")


def test_a_full_disk_is_told_with_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("plait.report.write_text", full)
    with pytest.raises(OSError, match=r"cannot write the report .*why\.html: No space left") as caught:
        write_report(tmp_path / "why.html", {}, title="x")
    assert caught.value.errno == errno.ENOSPC


def test_a_table_beside_the_page_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="rows.json, where the numbers of the report would go, is there already"):
        write_report(tmp_path / "rows.html", {}, title="x")
    assert (tmp_path / "rows.json").read_text(encoding="utf-8") == "[]" and not (tmp_path / "rows.html").exists()
    for _ in range(2):  # its own files are replaced
        write_report(tmp_path / "other.html", {}, title="x")
