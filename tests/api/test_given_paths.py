"""Whoever gives None, a number or a file where a path or a folder belongs is told so, in words, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plait
from fixtures.colours import ColourEmbedder
from fixtures.lazy import lazy

api = lazy("plait.api")
index = lazy("plait.index")
fetch_dataset = lazy("plait.data.catalog.datasets", "fetch_dataset")
report_places = lazy("plait.report", "report_places")
given_path = lazy("plait.files", "given_path")
ROWS = {"text": ["a b c d", "e f g h"] * 10, "label": ["a", "b"] * 10}
CAPTIONS = {"caption": ["red", "blue"]}
CALLS: dict[str, Callable[[Any], Any]] = {
    "folder": lambda p: plait.load(p),
    "folder of Plait.load": lambda p: plait.Plait.load(p),
    "name": lambda p: plait.Plait.from_pretrained(p),
    "folder of a classifier": lambda p: plait.PlaitClassifier().save(p),
    "folder of a regressor": lambda p: plait.PlaitRegressor().save(p),
    "folder of a comparison": lambda p: plait.Comparison({}).save(p),
    "show": lambda p: plait.augment(ROWS, "label", show=p),
    "folder of calibrate": lambda p: plait.calibrate(p, ROWS),
    "model": lambda p: api.predict_to_folder(p, ROWS, "answers"),
    "model of encode_to_store": lambda p: api.encode_to_store(p, ROWS),
    "output": lambda p: index.build_index(ColourEmbedder(), CAPTIONS, p, modality="caption"),
    "folder of an index": lambda p: index.open_index(p),
    "place": lambda p: index.publish_index(None, p),
    "report": lambda p: report_places(p),
    "output of predictions": lambda p: api.PredictionFile(p),
    "output of suggestions": lambda p: api.SuggestionFile(p, ROWS, ()),
    "out_dir": lambda p: fetch_dataset("easy-vqa", p),
}


@pytest.mark.parametrize("given", [None, 5, ["a"]], ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_path_is_named(name: str, given: Any) -> None:
    with pytest.raises(TypeError) as told:
        CALLS[name](given)
    argument = name.split(" ")[0]
    assert str(told.value).startswith(f"{argument} is {given!r}; expected a path as text or as pathlib.Path, such as ")


@pytest.mark.parametrize("verb", ["fit", "compare", "two_tower", "vlm"])
def test_no_path_means_nothing_is_saved_and_a_number_is_refused(verb: str) -> None:
    first = ["hf:nothing/here"] if verb in ("two_tower", "vlm") else [ROWS, "label"]
    with pytest.raises(TypeError, match="^output is 5; expected a path"):
        getattr(plait, verb)(*first, output=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: plait.fit(ROWS, "label", output=p), "is a file; choose a folder for the model"),
        (lambda p: plait.two_tower("hf:nothing/here", output=p), "is a file; choose a folder for the model"),
        (lambda p: plait.vlm("hf:nothing/here", output=p), "is a file; choose a folder for the model"),
        (lambda p: plait.Comparison({}).save(p), "is a file; choose a folder for the comparison"),
        (CALLS["output"], "is a file; choose a folder for the index"),
        (CALLS["report"], "is a file; give a folder or a name that ends in .html"),
        (CALLS["out_dir"], "is a file; expected a folder to write 'easy-vqa' to"),
    ],
)  # fmt: skip
def test_a_file_is_no_folder(call: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    place = tmp_path / "file.txt"
    place.write_text("kept")
    for given in (place, str(place)):
        with pytest.raises(ValueError, match=message):
            call(given)
    assert place.read_text() == "kept"


def test_empty_paths_and_null_characters_are_refused() -> None:
    for text in ("", "  ", "a\0b"):
        with pytest.raises(ValueError, match="folder is "):
            given_path(text, "folder")
    with pytest.raises(ValueError, match="source is ''"):
        index.build_index(ColourEmbedder(), "", "i", modality="image")
    assert given_path(Path("a"), "folder") == given_path("a", "folder") == Path("a")


def test_a_model_that_is_none_is_named() -> None:
    with pytest.raises(TypeError, match="^model is 5; expected a fitted model or its folder"):
        plait.drift(ROWS, ROWS, model=5)  # type: ignore[arg-type]
