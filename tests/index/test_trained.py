"""Indexes of a real trained model: every source, every verb, another model, a killed build; the bundled encoders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import plait
from fixtures.coloured import COLOURS, SCRATCH
from plait import cli
from plait.data.coco.folder import read_coco_folder
from plait.data.table import read_table
from plait.index import build_index, open_index

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"


@pytest.fixture(scope="module")
def model(coloured_model: Path) -> plait.Plait:
    return plait.load(coloured_model)


def coco(photos: Path, folder: Path) -> Path:
    """The same photos as a COCO folder."""
    table = read_table(photos).arrow.to_pylist()
    names = list(dict.fromkeys(row["image"] for row in table))
    images = [{"id": i, "file_name": Path(name).name, "height": 32, "width": 32} for i, name in enumerate(names)]
    captions = [
        {"id": n, "image_id": names.index(row["image"]), "caption": row["caption"]} for n, row in enumerate(table)
    ]
    (folder / "annotations").mkdir(parents=True)
    shutil.copytree(photos.parent / "img", folder / "val2017")
    (folder / "annotations" / "captions_val2017.json").write_text(
        json.dumps({"images": images, "annotations": captions})
    )
    return folder


@pytest.mark.parametrize("kind", ["folder", "table", "coco"])
def test_every_source(model: plait.Plait, coloured_photos: Path, tmp_path: Path, kind: str) -> None:
    source = {"folder": coloured_photos.parent / "img", "table": coloured_photos}.get(kind)
    source = coco(coloured_photos, tmp_path / "coco") if source is None else source
    index, report = build_index(model, source, tmp_path / "i", block=16)
    assert report.embedded == 36 and report.bad_rows == [] and len(index) == (72 if kind == "table" else 36)
    assert (index.manifest.dim, index.manifest.plain_dim) == (20, 16)
    photo = coloured_photos.parent / "img" / "0.png"
    hits = index.search(image=photo, k=36)
    assert Path(hits[0].path or "").read_bytes() == photo.read_bytes() and hits[0].score == pytest.approx(1, abs=1e-5)
    plain = model.embed(read_table([{"image": str(photo)}, {"image": hits[20].path}], allow_outside=True), "image")[0][
        :, :16
    ]
    plain = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    assert hits[20].score == pytest.approx(float(plain[0] @ plain[1]), abs=1e-5)  # true cosines, not pressed together
    right = sum(int(Path(index.search(f"a {word} square", k=1)[0].path or "").stem) % 6 == i
                for i, word in enumerate(COLOURS))  # fmt: skip
    assert right >= 4  # by chance one of six
    vectors, _ = model.embed(read_table([{"caption": "a red square"}]), "caption")
    stored = index.storage.view().take(np.arange(36))
    assert [h.score for h in index.search("a red square", k=36)] == pytest.approx(
        np.sort(2 * stored @ vectors[0])[::-1] + hub_of(vectors[0]), abs=1e-5
    )
    again = open_index(tmp_path / "i", model)
    assert again.search("a red square") == index.search("a red square")
    both = again.search("a red square", image=photo, weight=0.5, k=36)
    by_text = {hit.id: hit.score for hit in again.search("a red square", k=36)}
    by_photo = {hit.id: hit.score for hit in hits}
    for hit in both:
        assert hit.score == pytest.approx((by_text[hit.id] + by_photo[hit.id]) / 2, abs=1e-5)


def hub_of(caption: np.ndarray) -> float:
    """The hub score of a caption, the second of two sides: its coordinate is -r / 2c over the root of 2, c^2 = 1/2."""
    return float(-caption[17] * 2**0.5 * 2 * 0.5**0.5)


def test_captions_are_an_index_too(model: plait.Plait, coloured_photos: Path, tmp_path: Path) -> None:
    index, _ = build_index(model, coloured_photos, tmp_path / "i", modality="caption")
    assert index.search("a red square 0", k=1)[0].score == pytest.approx(1, abs=1e-5)
    found = index.search(image=coloured_photos.parent / "img" / "1.png", k=3)
    assert sum("green" in hit.text() for hit in found) >= 2


def test_another_model_is_refused(model: plait.Plait, coloured_photos: Path, tmp_path: Path) -> None:
    build_index(model, coloured_photos.parent / "img", tmp_path / "i")
    other = plait.fit(coloured_photos, task="retrieval", epochs=1, output=tmp_path / "other", set=SCRATCH, seed=1)
    assert other.fingerprint != model.fingerprint
    for given in (other, tmp_path / "other"):
        with pytest.raises(ValueError, match=f"was built with model {model.fingerprint[:12]}"):
            open_index(tmp_path / "i", given).search("red")
        with pytest.raises(ValueError, match="was built with model"):
            build_index(given, coloured_photos.parent / "img", tmp_path / "i")


def test_every_verb(
    coloured_model: Path, coloured_photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    place, photos = tmp_path / "p.index", tmp_path / "photos"
    for i in range(36):
        folder = photos / list(COLOURS)[i % 6]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(coloured_photos.parent / f"img/{i}.png", folder / f"{i}.png")
    shutil.copy(photos / "red/0.png", photos / "red/copy.png")

    def run(*arguments: object) -> dict:  # type: ignore[type-arg]
        monkeypatch.setattr(sys, "argv", ["plait", *map(str, arguments), "--json"])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capfd.readouterr()
        assert not stopped.value.code, err
        return json.loads(out)  # type: ignore[no-any-return]

    built = run("index", "build", coloured_model, photos, "-o", place, "--quiet")
    assert (built["added"], built["embedded"], built["shared"]) == (37, 36, 1)
    shutil.copy(photos / "green/1.png", photos / "green/later.png")
    assert run("index", "update", place, photos, "--quiet")["added"] == 1
    assert run("index", "add", place, coloured_photos, "--prefix", "t/", "--quiet")["shared"] == 72
    found = run("search", place, "a red square", "--html", tmp_path / "h.html")
    assert found["score"] == "corrected cosine" and found["hits"][0]["rank"] == 1
    assert "near to every query" in (tmp_path / "h.html").read_text(encoding="utf-8")
    assert run("search", place, "--image", photos / "red/0.png")["hits"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert "mean of" in run("search", place, "red", "--image", photos / "red/0.png")["score"]
    assert run("index", "delete", place, "--where", "caption is not null")["deleted"] == 72
    assert run("index", "compact", place)["bytes_after"] > 0
    told = run("index", "info", place, "--verify")
    assert (told["items"], told["contents"], told["dim"], told["plain_dim"], told["damaged"]) == (38, 36, 20, 16, [])
    groups = run("index", "duplicates", place, "--threshold", "0.99999", "--quiet")["groups"]
    assert {"red/0.png", "red/copy.png"} <= set(next(g for g in groups if "red/0.png" in g["ids"])["ids"])
    assert run("index", "knn", place, "--label", "folder", "--k", "3", "--quiet")["accuracy"] > 0.7
    assert run("index", "probe", place, "--label", "folder", "--folds", "3")["accuracy"] > 0.7
    zero = run("index", "zero-shot", place, "--label", "folder", "--template", "a {} square")
    assert zero["accuracy"] > 0.5 and zero["commonest"] == pytest.approx(1 / 6)


BUILD = """
import sys
from pathlib import Path
from plait.index import build_index
print("ready", flush=True)
build_index(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), block=2)
"""


@pytest.mark.slow
def test_killed_builds_go_on(coloured_model: Path, coloured_photos: Path, tmp_path: Path) -> None:
    """kill -9 while the real model embeds; the next one goes on, and the end is that of a build in one go."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    place, photos, seen = tmp_path / "i", coloured_photos.parent / "img", 0
    for _ in range(2):
        command = [sys.executable, "-c", BUILD, str(coloured_model), str(photos), str(place)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            if (place / "index.json").is_file():
                if json.loads((place / "index.json").read_text())["generation"] >= seen + 2:
                    break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        half = open_index(place)
        assert half.info(verify=True)["damaged"] == [] and len(half) == half.manifest.sources[0].done_rows > seen
        seen = len(half)
    assert seen < 36
    index, report = build_index(coloured_model, photos, place)
    assert report.resumed_at == seen and len(index) == 36
    whole, _ = build_index(coloured_model, photos, tmp_path / "whole")
    mine, theirs = index.search("a red square", k=36), whole.search("a red square", k=36)
    assert [h.id for h in mine] == [h.id for h in theirs]
    np.testing.assert_allclose([h.score for h in mine], [h.score for h in theirs], atol=1e-5)


@pytest.mark.real
@pytest.mark.slow
def test_bundled_encoders_on_real_photos(shared_data: Path, tmp_path: Path) -> None:
    """Two epochs on 80 COCO photos with their captions; of the 79 others captions find their own far above chance."""
    folder = shared_data / "coco-mini"
    whole = read_coco_folder(folder, task="captions")
    try:
        fitted = plait.fit(
            whole, task="retrieval", image="image", text="caption", group="image_id", split="split", epochs=2,
            output=tmp_path / "m", set=["train.threads=1", "encoders.image_size=160"],
        )  # fmt: skip
    except ValueError as error:
        if "weights fetch" not in str(error):
            raise
        pytest.skip(f"no weights here: {error}")
    index, report = build_index(tmp_path / "m", folder / "val2017", tmp_path / "i")
    assert len(index) == 79 and report.bad_rows == [] and index.manifest.plain_dim == fitted.dim - 4
    told = json.loads((folder / "annotations" / "captions_val2017.json").read_text())
    file_of = {image["id"]: image["file_name"] for image in told["images"]}
    asked = {file_of[entry["image_id"]]: entry["caption"] for entry in told["annotations"]}  # one caption a photo
    table = read_table([{"caption": caption} for caption in asked.values()])
    vectors, _ = fitted.embed(table, "caption")
    found = index.search_vectors(vectors, modality="caption", k=10)
    right = [name in [hit.id for hit in hits] for name, hits in zip(asked, found, strict=True)]
    assert np.mean(right) > 0.3  # chance: 10 of 79
    assert index.search(image=folder / "val2017" / next(iter(asked)), k=1)[0].id == next(iter(asked))
