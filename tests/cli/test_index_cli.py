"""``plait index`` and ``plait search``: words, JSON, pages, exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.colours import ColourEmbedder, paint
from fixtures.json_output import only_json
from plait.index import open_index
from plait.index.page import duplicates_page, hits_page

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _models_of_colours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Model folders load as embedders of colours, one of them as another model, one as none at all."""

    def load(folder: object) -> object:
        name = Path(str(folder)).name
        if name == "predictor":
            return type("Plait", (), {"task": "classification"})()
        return ColourEmbedder("de" * 32 if name == "other" else "c0" * 32)

    (tmp_path / "model").mkdir()
    monkeypatch.setattr("plait.api.load", load)


def test_hits_of_a_weak_model_come_with_a_note(
    photos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "i"
    assert run("index", "build", tmp_path / "model", photos, "-o", place)[0] == 0
    assert "note: by" not in run("search", place, "red")[1]  # a model without a report is not spoken of
    one = {"query": "caption", "gallery": "image", "queries": 30, "items": 30, "chance": {"hit_rate@1": 1 / 30}}
    for value, low, is_told in ((0.167, 0.05, True), (0.9, 0.8, False)):
        metrics = {"hit_rate@1": {"value": value, "low": low, "high": 0.95}}
        evaluation = {"metrics": {"mean_hit_rate": value}, "directions": [{**one, "metrics": metrics}]}
        report = {"metric": {"name": "mean_hit_rate"}, "evaluation": evaluation}
        monkeypatch.setattr(ColourEmbedder, "report", report, raising=False)
        out = run("search", place, "red")[1]
        told = "note: by caption the first image is right for 16.7% [5.0, 95.0] of 30 queries among 30 (chance 3.3%);"
        assert (told in out) == is_told and ("note: by" in out) == is_told
        assert (only_json(run("search", place, "red", "--json")[1])["note"] is not None) == is_told
        same = run("search", place, "--image", photos / "cold" / "green.png")[1]
        assert "note: by" not in same  # pictures among pictures were not judged


def test_a_query_that_the_encoder_cannot_read_is_warned_of(
    photos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "build", tmp_path / "model", photos, "-o", tmp_path / "i")
    read = SimpleNamespace(unknown_share=lambda texts: 0.0 if texts[0].isascii() else 0.72)
    text = next(m.name for m in ColourEmbedder().modalities if m.kind == "text")
    inputs = SimpleNamespace(processors={text: read}, references={text: {"reference": "minilm"}})
    monkeypatch.setattr(ColourEmbedder, "inputs", inputs, raising=False)
    assert run("search", tmp_path / "i", "red")[2] == ""
    err = run("search", tmp_path / "i", "\u7ea2\u8272")[2]
    assert err.startswith("note: minilm does not know 72% of the words and letters of the query")
    assert "plait fit TABLE --task retrieval --set encoders.text=e5-small-multilingual" in err
    err = run("search", tmp_path / "i", "\u7ea2\u8272", "--lang", "zh")[2]
    assert err.startswith("注意：minilm 不认识查询中 72% 的词和字") and "plait fit TABLE --task retrieval" in err


def test_an_index_speaks_chinese(photos: Path, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "photos.index"
    code, out, err = run("index", "build", tmp_path / "model", photos, "-o", place, "--lang", "zh")
    assert code == 0 and "：6 行：5 新增、1 与其他项内容相同、1 无法读取" in out and out.endswith("：5 项\n")
    assert err.startswith("建立索引：") and "秒）" in err and "indexing" not in err
    assert "5 项，4 个不同内容；完整" in run("index", "info", place, "--lang", "zh")[1]
    assert "unknown language 'fr' (--lang)" in run("index", "info", place, "--lang", "fr")[2]
    assert "items" in run("index", "info", place)[1]  # a language is that of one command


def test_from_building_to_judging(photos: Path, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "photos.index"
    code, out, err = run("index", "build", tmp_path / "model", photos, "-o", place)
    assert code == 0 and "5 added, 1 shared the content of another, 1 unreadable" in out and "indexing" in err
    assert re.search(r"row \d: cold/broken.png: .*broken", out)
    assert Path(open_index(place).manifest.model or "").name == "model"  # remembered, so search needs no --model
    code, out, err = run("search", place, "red", "--k", 2)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "  1  1.000  warm/copy 🙂.png (and 1 with the same bytes)  warm"
    found = only_json(run("search", place, "red", "--json", "--where", "folder = 'cold'")[1])
    assert [h["id"] for h in found["hits"]] == ["cold/green.png", "cold/أزرق.png"] and found["items"] == 5
    found = only_json(run("search", place, "--image", photos / "cold" / "green.png", "--json")[1])
    assert found["hits"][0]["id"] == "cold/green.png" and found["hits"][0]["score"] == pytest.approx(1)
    found = only_json(
        run("search", place, "red", "--image", photos / "cold" / "green.png", "--weight", 0.9, "--json")[1]
    )
    assert found["hits"][0]["id"] == "warm/almost.png"  # red with a little green in it

    (photos / "cold" / "green.png").unlink()
    found = only_json(run("index", "update", place, photos, "--json", "--quiet")[1])
    assert (found["gone"], found["deleted"], found["items"]) == (1, 0, 5)
    assert "1 deleted" in run("index", "update", place, photos, "--prune", "--quiet")[1]
    paint(tmp_path / "more" / "green.png", (0, 255, 0))
    assert only_json(run("index", "add", place, tmp_path / "more", "--prefix", "m/", "--json")[1])["added"] == 1
    assert "1 deleted; 4 items left" in run("index", "delete", place, "--id", "m/green.png")[1]
    assert only_json(run("index", "compact", place, "--json")[1])["bytes_after"] > 0

    info = only_json(run("index", "info", place, "--verify", "--json")[1])
    assert (info["items"], info["contents"], info["complete"], info["damaged"]) == (4, 3, True, [])
    assert "4 items, 3 different contents; complete" in run("index", "info", place)[1]
    code, out, _ = run("index", "duplicates", place, "--html", tmp_path / "d" / "d.html")
    assert code == 0 and "3 items, cosine from 0.999" in out and "1 group among 4 items" in out
    assert (tmp_path / "d" / "d.html").read_text(encoding="utf-8").count("<img") == 3
    assert only_json(run("index", "duplicates", place, "--threshold", 0.9999, "--json", "--quiet")[1])["groups"] == [
        {"ids": ["warm/copy 🙂.png", "warm/红.png"], "contents": 1, "lowest": 1.0}
    ]
    code, out, _ = run("index", "knn", place, "--label", "folder", "--k", 1)
    assert code == 0 and "knn tells 'folder' right for 66.7% of 3" in out
    assert only_json(run("index", "zero-shot", place, "--label", "folder", "--json")[1])["num_judged"] == 3
    vectors = next(place.glob("seg-*/vectors.npy"))
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(bytes(data))
    code, out, _ = run("index", "info", place, "--verify")
    assert code == 1 and "damaged" in out


def test_what_goes_wrong_is_one_sentence(photos: Path, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "i"
    assert run("index", "build", tmp_path / "model", photos, "-o", place, "--quiet")[0] == 0
    for arguments, said in (
        (("search", tmp_path / "no", "red"), "plait index build"),
        (("search", place), "there is no query"),
        (
            ("search", place, "red", "--model", "other"),
            "this index was built with model c0c0c0c0c0c0, the model at other",
        ),
        (("search", place, "red", "--where", "lable = 1"), "unknown column 'lable'"),
        (("search", place, "red", "--nprobes", 3), "--nprobes goes with"),
        (("search", place, "red", "--html", tmp_path), "it is a folder"),
        (("search", place, "red", "--html", tmp_path / "t.csv"), "a page is written as .html, got"),
        (("index", "duplicates", place, "--html", tmp_path / "t.csv"), "a page is written as .html, got"),
        (
            ("index", "build", "predictor", photos, "-o", tmp_path / "j"),
            "this model predicts (classification); an index",
        ),
        (("index", "ann", place), "--backend lance"),
        (("index", "delete", place), "nothing is named"),
        (("index", "knn", place, "--label", "lable"), "unknown column 'lable'"),
        (("index", "info", tmp_path), "holds no index.json"),
    ):
        code, out, err = run(*arguments)
        assert code == 2 and not out and err.startswith("plait: ") and said in err, err


def test_pages(photos: Path, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "i"
    evil = photos / "<img src=x onerror=alert(1)>.png"
    paint(evil, (200, 0, 50))
    run("index", "build", tmp_path / "model", photos, "-o", place, "--quiet")
    (photos / "warm" / "almost.png").unlink()  # a page still comes when a file is gone
    query = photos / "cold" / "green.png"
    page = tmp_path / "hits.html"
    code, out, _ = run("search", place, "red <b>", "--image", query, "--html", page)
    assert code == 0 and f"page: {page}" in out
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "red &lt;b&gt;" in text and "<b>\u201d" not in text
    assert "onerror=alert(1)&gt;" in text and "<img src=x" not in text
    assert text.count("data:image/jpeg;base64,") == 5 and "cannot be shown" in text  # query and four of five hits
    assert "://" not in re.sub(r'base64,[^"]*', "", text) and "<script" not in text
    assert not list(tmp_path.glob("*.part"))
    assert "Nothing in the index fits." in hits_page([], text="x")
    assert "No duplicates." in duplicates_page([], {}, 0.9, "i")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, run: Run) -> None:
    paint(tmp_path / "p" / "a.png", (255, 0, 0))
    (tmp_path / "p" / "t.csv").write_text('image,say\na.png,"evil \x1b[31m words"\n')
    run("index", "build", tmp_path / "model", tmp_path / "p" / "t.csv", "-o", tmp_path / "i", "--quiet")
    out = run("search", tmp_path / "i", "red")[1]
    assert "\x1b" not in out and "evil \ufffd[31m words" in out


def test_rows_that_are_left_out_are_told_as_it_is_typed(tmp_path: Path, run: Run) -> None:
    paint(tmp_path / "beside.png", (255, 0, 0))
    paint(tmp_path / "p" / "a.png", (255, 0, 0))
    (tmp_path / "p" / "t.csv").write_text('id,image\nx,a.png\n"\x1b[31m",../beside.png\n')
    out = run("index", "build", tmp_path / "model", tmp_path / "p" / "t.csv", "-o", tmp_path / "i", "--quiet")[1]
    assert "if you trust this table, type --allow-outside" in out and "\x1b" not in out


def test_stopped_and_moved(photos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("plait.api.load", lambda folder: ColourEmbedder(fail_after=2))
        code, out, err = run("index", "build", tmp_path / "model", photos, "-o", tmp_path / "i", "--batch-size", 2)
    assert code == 130 and not out and "stopped; type the same command again to go on" in err
    assert "a build was stopped" in run("index", "info", tmp_path / "i")[1]
    assert run("index", "build", tmp_path / "model", photos, "-o", tmp_path / "i")[0] == 0
    (tmp_path / "model").rename(tmp_path / "moved")
    code, _, err = run("search", tmp_path / "i", "red")
    assert code == 2 and "is no longer at" in err and "--model" in err
    assert run("search", tmp_path / "i", "red", "--model", tmp_path / "moved")[0] == 0


def test_photos_that_changed_and_moved(photos: Path, tmp_path: Path, run: Run) -> None:
    place, green = tmp_path / "i", photos / "cold" / "green.png"
    build = ("index", "build", tmp_path / "model", photos, "-o", place, "--quiet")
    assert run(*build)[0] == 0
    paint(green, (0, 0, 250))
    assert "1 changed, 4 unchanged" in run(*build)[1]
    paint(green, (0, 255, 0))
    assert "1 changed, 4 unchanged" in run("index", "add", place, photos, "--quiet")[1]
    assert only_json(run("index", "add", place, photos, "--check", "--json", "--quiet")[1])["unchanged"] == 5
    run("index", "delete", place, "--id", "cold/green.png")
    assert "1 added, 4 unchanged" in run("index", "add", place, photos, "--quiet")[1]

    photos.rename(tmp_path / "pictures")
    assert f"plait index move {place} OLD NEW" in run("search", place, "red")[1]
    assert only_json(run("search", place, "red", "--json")[1])["missing"] == 4
    assert "it is no longer there: plait index move" in run("index", "info", place)[1]
    code, out, err = run("index", "move", place, photos, tmp_path / "nowhere")
    assert code == 2 and not out and "nowhere does not exist" in err
    found = only_json(run("index", "move", place, photos, tmp_path / "pictures", "--dry-run", "--json")[1])
    assert (found["items"], found["found"], found["is_dry_run"]) == (5, 5, True)
    code, out, _ = run("index", "move", place, photos, tmp_path / "pictures")
    assert code == 0 and "1 source, 5 items moved\n  5 of them have their files there, 0 not" in out
    assert "no longer there" not in run("search", place, "red")[1] + run("index", "info", place)[1]


def test_python_names() -> None:
    import plait

    assert plait.open_index is open_index and callable(plait.build_index)


def test_rows_left_out_speak_of_flags(tmp_path: Path, run: Run) -> None:
    outside = tmp_path / "outside.png"
    paint(outside, (255, 0, 0))
    (tmp_path / "t").mkdir()
    paint(tmp_path / "t" / "in.png", (0, 255, 0))
    (tmp_path / "t" / "t.csv").write_text("image\nin.png\n../outside.png\n", encoding="utf-8")
    _, out, err = run("index", "build", tmp_path / "model", tmp_path / "t" / "t.csv", "-o", tmp_path / "i", "--quiet")
    assert "--allow-outside" in out + err and "allow_outside" not in out + err


def test_what_is_not_there_is_told_before_a_model_is_loaded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    assert run("index", "build", tmp_path / "model", photos, "-o", tmp_path / "i", "--quiet")[0] == 0
    monkeypatch.setattr("plait.api.load", lambda _: pytest.fail("a model was loaded"))
    code, _, err = run("index", "build", tmp_path / "model", tmp_path / "gone", "-o", tmp_path / "j")
    assert code == 2 and "no such folder or file" in err
    code, _, err = run("search", tmp_path / "i", "--image", tmp_path / "gone.png")
    assert code == 2 and "no such picture" in err
    code, _, err = run("search", tmp_path / "i", "red", "--k", 0)
    assert code == 2 and "--k" in err
