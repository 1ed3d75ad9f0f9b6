"""``plait vlm``, and ``ask``, ``caption``, ``predict`` and ``evaluate`` on what it makes and on a checkpoint itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.planted_pictures import colour_rows
from fixtures.tiny_vlm import pictures, save_tiny

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vlm")
    save_tiny("llava", folder / "llava")
    (folder / "photos").mkdir()
    for i, picture in enumerate(pictures()):
        picture.save(folder / "photos" / f"{i}.png")
    lines = [f"photos/{i % 3}.png,{['what?', 'why?'][i % 2]},red,blue" for i in range(6)]
    (folder / "t.csv").write_text("\n".join(["image,question,answer,label", *lines]) + "\n")
    return folder


def test_a_checkpoint_is_asked_and_describes_without_more(place: Path, run: Run) -> None:
    photo = place / "photos" / "0.png"
    code, out, err = run("ask", place / "llava", photo, "what colour?", "--answer", "red", "--answer", "blue")
    assert code == 0 and out.strip() in ("red", "blue"), err
    asked = [run("ask", name, photo, "what colour?", "--max-tokens", 4, "--json")[1]
             for name in (place / "llava", f"hf:{place / 'llava'}")]  # fmt: skip
    assert asked[0] == asked[1] and set(json.loads(asked[0])) == {"question", "answer", "probability"}
    code, out, _ = run("caption", place / "llava", place / "photos", "--max-tokens", 3, "--json")
    assert code == 0 and len(json.loads(out)["captions"]) == 3
    assert run("caption", place / "llava", photo, "--max-tokens", 3, "--beams", 2)[0] == 0


def test_a_model_folder_answers_and_is_judged(place: Path, run: Run) -> None:
    model = place / "vlm"
    code, out, err = run("vlm", f"hf:{place / 'llava'}", "-o", model, "--max-tokens", 3)
    assert code == 0 and f"try it: plait ask {model}" in out, err
    code, _, err = run("vlm", f"hf:{place / 'llava'}", "-o", model)
    assert code == 2 and "type --overwrite" in err
    code, out, err = run("evaluate", model, place / "t.csv", "--report", place / "r.html")
    assert code == 0 and "accuracy 0.000, with another row's picture" in out, err
    assert "note: with a grey picture: accuracy" in out and (place / "r.html").is_file()
    code, out, _ = run("evaluate", model, place / "t.csv", "--json")
    assert code == 0 and "no question" in json.loads(out)["evaluation"]["replaced"]
    code, _, err = run("evaluate", model, place / "t.csv", "--trust")
    assert code == 2 and "--trust is for models that plait fit" in err.replace("plait.fit", "plait fit")
    code, _, err = run("serve", model)
    assert code == 2 and "is a ready vision-language model" in err


def test_classes_are_predicted_by_their_scores(place: Path, run: Run) -> None:
    model = place / "classes"
    given = ["--class", "red", "--class", "blue", "--prompt", "Which colour?", "--score", "sum"]
    code, out, err = run("vlm", f"hf:{place / 'llava'}", "-o", model, *given, "--json")
    assert code == 0 and json.loads(out)["task"] == "classification", err
    code, _, err = run("predict", model, place / "t.csv", "-o", place / "out.csv")
    assert code == 0, err
    head, first = (place / "out.csv").read_text().splitlines()[:2]
    assert head == '"row","prediction","probability","probability_red","probability_blue","problem"'
    assert first.split(",")[1] in ('"red"', '"blue"')
    code, out, _ = run("evaluate", model, place / "t.csv")
    assert code == 0 and "overall              accuracy" in out
    code, _, err = run("ask", model, place / "photos" / "0.png", "what?")
    assert code == 2 and "asks 'Which colour?' of every picture" in err


def test_what_is_no_vision_language_model_is_told(place: Path, run: Run) -> None:
    (place / "text").mkdir(exist_ok=True)
    (place / "text" / "config.json").write_text('{"model_type": "gpt2"}')
    (place / "text" / "model.safetensors").write_bytes(b"")
    code, _, err = run("ask", place / "text", place / "photos" / "0.png", "what?")
    assert code == 2 and "holds a model of type 'gpt2', which writes no text about pictures; expected one of" in err
    code, _, err = run("vlm", "hf:nobody/nothing-of-this-name", "-o", place / "x")
    assert code == 2 and "plait weights fetch hf:nobody/nothing-of-this-name" in err


def test_a_table_tunes_it_and_the_report_stands_beside_what_it_was(place: Path, run: Run) -> None:
    pytest.importorskip("peft", reason="extra peft")
    for number, row in enumerate(colour_rows(40)):
        (place / "photos" / f"c{number}.png").write_bytes(row["image"])
    names = [row["label"] for row in colour_rows(40)]
    lines = [f"photos/c{i}.png,what colour?,{name},{'train' if i < 24 else 'test'}" for i, name in enumerate(names)]
    (place / "c.csv").write_text("\n".join(["image,question,colour,part", *lines]) + "\n")
    model, given = place / "tuned", ["--fit", place / "c.csv", "--target", "colour", "--split", "part", "--quiet"]
    fast = ["--set", "train.learning_rate=0.003", "--epochs", 2, "--max-tokens", 4]
    code, out, err = run("vlm", f"hf:{place / 'llava'}", "-o", model, *given, *fast)
    assert code == 0 and "before tuning        accuracy 0.000" in out and f"report: {model / 'report.html'}" in out, err
    assert "one tenth of the training rows was set aside" in out
    code, out, err = run("evaluate", model, place / "c.csv", "--target", "colour", "--json", "--rows", "test")
    found = json.loads(out)["evaluation"]
    assert code == 0 and found["rows"] == 16 and found["untuned"]["metrics"]["accuracy"]["value"] == 0.0, err
    code, out, err = run("ask", model, place / "photos" / "c0.png", "what colour?")
    assert code == 0 and out.strip(), err
    code, _, err = run("vlm", f"hf:{place / 'llava'}", "-o", model, *given, *fast)
    assert code == 2 and "holds a model already; type --overwrite" in err
    code, out, err = run(
        "vlm", f"hf:{place / 'llava'}", "-o", place / "kinds", *given, *fast, "--task", "classification",
        "--prompt", "Which colour?", "--json",
    )  # fmt: skip
    assert code == 0 and json.loads(out)["task"] == "classification", err


def test_options_of_tuning_want_a_table_and_settings_of_other_models_are_named(place: Path, run: Run) -> None:
    code, _, err = run("vlm", f"hf:{place / 'llava'}", "-o", place / "z", "--epochs", 2, "--seed", 1)
    assert code == 2 and "--epochs, --seed goes with a table to learn from; name it: --fit TABLE" in err
    code, _, err = run("vlm", f"hf:{place / 'llava'}", "-o", place / "z", "--fit", place / "gone.csv")
    assert code == 2 and "no such table" in err
    code, _, err = run(
        "vlm", f"hf:{place / 'llava'}", "-o", place / "z", "--fit", place / "t.csv", "--set", "fusion.name=gated"
    )
    assert code == 2 and "'fusion.name' is for models that plait fit trains" in err.replace("plait.fit", "plait fit")
    assert not (place / "z").exists()
