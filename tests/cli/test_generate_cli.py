"""``plait caption`` and ``plait ask``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import plait
from fixtures.settings import QUICK

Run = Callable[..., tuple[int, str, str]]
TINY = [
    *QUICK, "language.layers=1", "language.width=32", "language.heads=2", "language.vocabulary=300", "fusion.width=32",
    "language.max_tokens=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(12):
        Image.new("RGB", (32, 32), (20 * i, 40, 200 - 10 * i)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def models(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A captioner, an open and a closed answerer, hardly trained."""
    place = tmp_path_factory.mktemp("models")
    files = [str(photos / f"{i:02d}.png") for i in range(12)]
    split = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    base = {"image": files, "split": split}
    plait.fit({**base, "caption": ["a dark one", "a bright one"] * 6}, "caption", task="captioning", epochs=1,
              output=place / "caption", set=TINY, allow_outside=True)  # fmt: skip
    asked = {**base, "question": ["is it bright or dark"] * 12, "answer": ["dark", "bright"] * 6}
    for kind in ("open", "closed"):
        plait.fit(asked, "answer", task="vqa", text="question", epochs=1, output=place / kind,
                  set=[*TINY, f"task.answers={kind}"], allow_outside=True)  # fmt: skip
    return {kind: place / kind for kind in ("caption", "open", "closed")}


def test_captions_of_a_picture_a_folder_and_a_table(
    models: dict[str, Path], photos: Path, tmp_path: Path, run: Run
) -> None:
    model = models["caption"]
    code, out, _ = run("caption", model, photos / "00.png")
    assert code == 0 and out.count("\n") == 1
    code, listed, _ = run("caption", model, photos, "--beams", 2, "--quiet", "--json")
    rows = json.loads(listed)["captions"]
    assert code == 0 and len(rows) == 12 and [Path(r["image"]).name for r in rows][:2] == ["00.png", "01.png"]
    assert all(0 < r["probability"] <= 1 and r["log_probability"] < 0 and r["problem"] is None for r in rows)
    (tmp_path / "t.csv").write_text(f"image\n{photos / '03.png'}\n{photos / 'gone.png'}\n", encoding="utf-8")
    code, out, _ = run(
        "caption", model, tmp_path / "t.csv", "--allow-outside", "--json", "--temperature", 1.0, "--seed", 4
    )
    rows = json.loads(out)["captions"]
    assert code == 0 and [r["caption"] is None for r in rows] == [False, True] and "gone.png" in rows[1]["problem"]
    code, out, _ = run("predict", model, tmp_path / "t.csv", "--allow-outside", "-o", tmp_path / "p.csv", "--json")
    assert json.loads(out) == {"rows": 2, "problems": 1, "output": str(tmp_path / "p.csv")}


def test_questions(models: dict[str, Path], photos: Path, run: Run) -> None:
    picture = photos / "05.png"
    code, out, _ = run("ask", models["closed"], picture, "is it bright or dark", "--json")
    assert code == 0 and json.loads(out)["answer"] in ("dark", "bright")
    code, out, _ = run("ask", models["open"], picture, "is it bright or dark", "--answer", "dark", "--answer", "noon")
    assert code == 0 and out.strip() in ("dark", "noon")


def test_errors_say_what_to_type(models: dict[str, Path], photos: Path, tmp_path: Path, run: Run) -> None:
    picture = photos / "05.png"
    for arguments, message in (
        (["ask", models["open"], picture, "  "], "the question is empty"),
        (["ask", models["open"], tmp_path / "no.png", "why"], "no picture at"),
        (["ask", models["caption"], picture, "why"], "task is captioning, which answers no questions"),
        (["ask", models["closed"], picture, "why", "--beams", 2], "leave --answer, --beams"),
        (["caption", models["closed"], picture], "writes no text"),
        (["caption", models["caption"], tmp_path], "no picture in"),
        (["caption", models["caption"], tmp_path / "no"], "no picture, folder or table at"),
        (["caption", models["caption"], picture, "--beams", 0], "beams must be a whole number"),
    ):
        code, out, err = run(*arguments)
        assert code == 2 and message in err and not out, arguments
