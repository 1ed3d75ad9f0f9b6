"""The contact sheet: what training sees, what words forbid, and nothing where nothing can be shown."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fixtures.lazy import lazy

augment = lazy("plait.api", "augment")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Pictures that are red on the left and blue on the right; every third caption says left."""
    folder = tmp_path_factory.mktemp("sheet")
    names = []
    for i in range(30):
        pixels = np.zeros((40, 60, 3), dtype=np.uint8)
        pixels[:, :30, 0], pixels[:, 30:, 2], pixels[:, :, 1] = 255, 255, i
        Image.fromarray(pixels).save(folder / f"{i}.png")
        names.append(str(folder / f"{i}.png"))
    captions = [f"{'the sun is on the left' if i % 3 == 0 else 'the sun shines here'} in scene {i}" for i in range(30)]
    return {"photo": names, "text": captions, "size": [i * 1.5 for i in range(30)],
            "label": ["up" if i % 2 else "low" for i in range(30)]}  # fmt: skip


def is_mirrored(picture: Image.Image) -> bool:
    pixels = np.asarray(picture, dtype=int)
    return bool(pixels[:, :20, 2].mean() > pixels[:, :20, 0].mean())


def pictures(page: str, row: int) -> list[Image.Image]:
    part = page[page.index(f'id="row-{row}"') :].split("</section>")[0]
    return [Image.open(io.BytesIO(base64.b64decode(b))) for b in re.findall(r"base64,([^\"]+)", part)]


@pytest.mark.parametrize("mirror", ["auto", "words", "never"])
def test_pictures_and_words_agree_in_every_view(table: dict[str, list[Any]], tmp_path: Path, mirror: str) -> None:
    place = tmp_path / "sheet.html"
    sets = [f"augment.mirror={mirror}", "augment.image=flip", "augment.views=3", "augment.numbers=0.9"]
    found = augment(table, "label", show=place, allow_outside=True, count=30, set=sets)
    page = place.read_text("utf-8")
    assert found["page"] == str(place) and found["settings"]["views"] == 3 and "type set=" not in found["sentence"]
    assert "<script" not in page and "base64" not in json.dumps(found)
    sides = swapped = 0
    for row in found["rows"]:
        texts = [next(c["text"] for c in v["cells"] if c["name"] == "text") for v in row["views"]]
        shown = pictures(page, row["row"])
        assert len(shown) == 3 and not is_mirrored(shown[0]) and not is_mirrored(shown[2])
        says_side = "left" in texts[0]
        sides += says_side
        assert is_mirrored(shown[1]) is (mirror == "words" or (mirror == "auto" and not says_side))
        if says_side:
            assert "left" in texts[2] and ("right" if mirror == "words" else "left") in texts[1]
        sizes = [next(c["text"] for c in v["cells"] if "size" in c.get("text", "")) for v in row["views"]]
        swapped += sizes[0] != sizes[1]
    assert sides > 3 and swapped > len(found["rows"]) / 2


def test_off_says_how_to_switch_it_on(table: dict[str, list[Any]], tmp_path: Path) -> None:
    found = augment(table, "label", show=tmp_path / "s.html", allow_outside=True, count=2)
    assert "Augmentation is off; type set=['augment.views=4']" in found["sentence"]
    assert len(found["rows"]) == 2 and len(found["rows"][0]["views"]) == 4
    again = augment(table, "label", show=tmp_path / "s.html", allow_outside=True, count=2)
    assert again["rows"] == found["rows"]
    other = augment(table, "label", show=tmp_path / "s.html", allow_outside=True, count=2, seed=1)
    assert other["rows"] != found["rows"]


@pytest.mark.parametrize(("more", "words"), [({"show": "sheet.png"}, "ends in .html"), ({"count": 0}, "at least 1")])
def test_what_cannot_be_is_refused(
    table: dict[str, list[Any]], tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        augment(table, "label", **{"show": tmp_path / "s.html", "allow_outside": True, **more})


def test_a_page_of_a_model_is_not_replaced(posts: Path, posts_model: Path) -> None:
    before = (posts_model / "report.html").read_bytes()
    with pytest.raises(ValueError, match="would replace a file of the model"):
        augment(posts, "label", show=posts_model / "report.html")
    assert (posts_model / "report.html").read_bytes() == before
