"""``plait.vlm(...).fit``: a planted task is learned from pictures alone, proven, saved, and kept only where it pays."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.planted_pictures import COLOURS, QUESTION, colour_rows
from fixtures.tiny_vlm import pictures, save_tiny

hf, torch = lazy("transformers"), lazy("torch")
load_file = lazy("safetensors.torch", "load_file")
FAST = {"train.learning_rate": 3e-3}


@pytest.fixture(scope="module", autouse=True)
def _peft() -> None:
    pytest.importorskip("peft", reason="extra peft")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning")
    save_tiny("llava", folder / "llava")
    return folder


def rows() -> list[dict[str, Any]]:
    """96 that train, 15 that choose and 45 kept apart."""
    choosing = colour_rows(15, first=96, split="val")
    return [*colour_rows(96, split="train"), *choosing, *colour_rows(45, first=111, split="test")]


@pytest.fixture(scope="module")
def fitted(place: Path) -> Any:
    return plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(rows(), epochs=8, set=FAST, output=place / "tuned")


def test_a_planted_task_is_learned_and_the_proof_says_that_the_picture_tells(fitted: Any, place: Path) -> None:
    report, evaluation = fitted.report, fitted.report["evaluation"]
    assert evaluation["split"] == "test" and evaluation["rows"] == 45
    found = evaluation["metrics"]["accuracy"]
    assert found["value"] > 0.9 and found["low"] > 0.75, found  # chance: 1/3
    swapped = evaluation["replaced"]["another row's picture"]
    assert swapped["metrics"]["accuracy"]["value"] < 0.5 and swapped["difference"]["low"] > 0.3
    assert "Tuning paid: accuracy" in report["verdict"] and "The model looks at the picture" in report["verdict"]
    assert report["splits"] == {"train": 96, "val": 15, "test": 45}
    assert report["guard"]["tuned"]["loss"] == report["history"][report["best_epoch"] - 1]["val_loss"]
    assert report["guard"]["tuned"]["value"] > report["guard"]["untuned"]["value"]
    page = (place / "tuned" / "report.html").read_text("utf-8")
    assert "Before tuning" in page or "before tuning" in page


def test_what_it_was_before_is_the_untuned_model_on_the_same_rows(fitted: Any, place: Path) -> None:
    base = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6)
    test = [row for row in rows() if row["split"] == "test"]
    alone = base.evaluate(test)["evaluation"]
    assert alone["metrics"] == fitted.report["evaluation"]["untuned"]["metrics"]
    gap = fitted.report["evaluation"]["untuned"]["difference"]
    ours = fitted.report["evaluation"]["metrics"]["accuracy"]["value"]
    assert gap["value"] == pytest.approx(ours - alone["metrics"]["accuracy"]["value"])
    with fitted.network.untuned():
        assert fitted.generate(test, tokens=True).equals(base.generate(test, tokens=True))


def test_a_saved_one_answers_alike_to_the_last_bit_and_holds_no_pickle(fitted: Any, place: Path) -> None:
    asked = rows()[-9:]
    again = plait.load(place / "tuned")
    assert again.generate(asked, tokens=True).equals(fitted.generate(asked, tokens=True))
    assert again.score_answers(asked, [*COLOURS]).equals(fitted.score_answers(asked, [*COLOURS]))
    names = {path.name for path in (place / "tuned").iterdir()}
    assert names == {
        "vlm.json", "adapter_model.safetensors", "adapter_config.json", "seen_rows.safetensors", "report.html",
        "report.json",
    }  # fmt: skip
    copied = fitted.save(place / "copied")
    assert plait.load(copied).generate(asked, tokens=True).equals(fitted.generate(asked, tokens=True))
    with pytest.raises(ValueError, match="has been tuned already; fit the checkpoint itself"):
        again.fit(rows())


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_peft_itself_reads_the_folder(fitted: Any, place: Path) -> None:
    from peft import PeftModel

    base = hf.AutoModelForImageTextToText.from_pretrained(place / "llava").eval()
    inputs = fitted.network.prompter.batch(pictures()[:1], [QUESTION])
    with torch.inference_mode():
        plain = base(**inputs).logits
        theirs = PeftModel.from_pretrained(base, place / "tuned").eval()(**inputs).logits
        ours = fitted.network.model(**inputs).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert (ours - plain).abs().max() > 0.1


def test_a_report_does_not_replace_a_file_of_the_model(fitted: Any, place: Path) -> None:
    for name in ("vlm.html", "adapter_config.html"):
        with pytest.raises(ValueError, match="is there already and belongs to no report"):
            fitted.evaluate(rows(), report=place / "tuned" / name)


def test_in_half_precision_additions_are_whole_and_off_means_off(place: Path, tmp_path: Path) -> None:
    given, asked = [*colour_rows(16, split="train"), *colour_rows(4, first=96, split="val")], colour_rows(4, first=111)
    base = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6, dtype="bfloat16").generate(asked, tokens=True)
    half = {**FAST, "train.precision": "bfloat16"}
    made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6, dtype="bfloat16").fit(
        given, epochs=2, set=half, output=tmp_path / "m"
    )
    assert {tensor.dtype for tensor in made.chosen.tuning.stored.tensors.values()} == {torch.float32}
    assert made.network.model.dtype == torch.bfloat16
    losses = [epoch["val_loss"] for epoch in made.report["history"]]
    assert losses[-1] < made.report["guard"]["untuned"]["loss"]
    with made.network.untuned():
        assert made.generate(asked, tokens=True).equals(base)
    assert plait.load(tmp_path / "m").generate(asked, tokens=True).equals(made.generate(asked, tokens=True))


def test_rows_that_trained_it_are_told(fitted: Any) -> None:
    found = fitted.evaluate(rows())["evaluation"]
    assert found["split"] == "test" and found["rows"] == 45
    assert found["metrics"] == fitted.report["evaluation"]["metrics"]
    whole = fitted.evaluate(rows(), rows="all")["evaluation"]
    assert whole["rows"] == 156 and any("SEEN IN TRAINING" in note for note in whole["notes"])
    others = [{k: v for k, v in row.items() if k != "split"} for row in rows()[90:]]
    assert any("SEEN IN TRAINING: 21 of 66" in note for note in fitted.evaluate(others)["evaluation"]["notes"])


def test_another_checkpoint_and_damaged_weights_are_refused(fitted: Any, place: Path, tmp_path: Path) -> None:
    for name in ("llava", "tuned"):
        shutil.copytree(place / name, tmp_path / name)
    model = tmp_path / "tuned"
    values = json.loads((model / "vlm.json").read_text())
    values["reference"] = "hf:gone"
    (model / "vlm.json").write_text(json.dumps(values))
    assert plait.load(model).chosen.reference == f"hf:{os.path.normpath(tmp_path / 'llava')}"
    weights = (model / "adapter_model.safetensors").read_bytes()
    (model / "adapter_model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(ValueError, match="adapter_model.safetensors is damaged; copy the whole folder again"):
        plait.load(model)
    (model / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match="adapter_model.safetensors is missing"):
        plait.load(model)
    (model / "adapter_model.safetensors").write_bytes(weights)
    save_tiny("llava", tmp_path / "llava", seed=1)
    with pytest.raises(ValueError, match="is not the one that .* was made of .* or fit it anew, as its LoRA weights"):
        plait.load(model)
    shutil.rmtree(tmp_path / "llava")
    with pytest.raises(ValueError, match="gone"):
        plait.load(model)


def test_what_does_not_pay_on_validation_rows_is_not_kept(place: Path, tmp_path: Path) -> None:
    base = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6)
    held = [*colour_rows(12, first=96, split="val"), *colour_rows(12, first=111, split="test")]
    truths = base.generate(held)["prediction"].to_pylist()
    assert all(truths)
    given = [*colour_rows(48, split="train"), *({**r, "answer": t} for r, t in zip(held, truths, strict=True))]
    made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(given, epochs=3, set=FAST, output=tmp_path / "m")
    report = made.report
    assert report["verdict"].startswith("Tuning did not pay on validation rows (accuracy")
    assert "so the untuned model is kept" in report["verdict"]
    assert report["guard"]["untuned"]["value"] == 1.0 > report["guard"]["tuned"]["value"]
    assert "untuned" not in report["evaluation"] and report["evaluation"]["metrics"]["accuracy"]["value"] == 1.0
    assert made.generate(held, tokens=True).equals(base.generate(held, tokens=True))
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"vlm.json", "report.html", "report.json"}
    assert plait.load(tmp_path / "m").generate(held, tokens=True).equals(base.generate(held, tokens=True))


def test_classes_of_the_column_and_what_sees_learns_too(place: Path) -> None:
    given = [{k: row[k] for k in ("image", "label", "split")} for row in rows()]
    made = plait.vlm(f"hf:{place / 'llava'}", prompt="what colour is it?").fit(
        given, task="classification", epochs=6, set={**FAST, "encoders.tuning": "lora", "language.lora_rank": 4}
    )
    assert made.asking.classes == ("blue", "green", "red") and made.task.name == "classification"
    assert made.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.8
    assert any("vision" in name for name in made.chosen.tuning.stored.shape.targets)
    assert {tensor.shape[0] for n, tensor in made.chosen.tuning.stored.tensors.items() if "lora_A" in n} == {4}


def test_captions_are_learned(place: Path) -> None:
    given = [{"image": r["image"], "caption": f"a {r['label']} circle", "split": r["split"]} for r in rows()]
    made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=12).fit(given, epochs=8, set=FAST)
    found = made.report["evaluation"]
    assert made.report["task"] == "captioning" and made.report["metric"]["name"] == "cider_d"
    assert found["metrics"]["cider_d"]["value"] > found["untuned"]["metrics"]["cider_d"]["value"] + 1


class StoppedError(Exception):
    """Raised in place of a kill."""


def stop_at(step: int) -> Callable[[int, int, str], None]:
    def watch(done: int, total: int, what: str) -> None:
        if what.startswith("training") and done >= step:
            raise StoppedError

    return watch


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(place: Path, tmp_path: Path) -> None:
    given = [
        *colour_rows(16, split="train"),
        *colour_rows(4, first=96, split="val"),
        *colour_rows(4, first=111, split="test"),
    ]

    def run(output: Path, **more: Any) -> Any:
        return plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(given, epochs=3, set=FAST, output=output, **more)

    straight = run(tmp_path / "straight")
    model = tmp_path / "stopped"
    with pytest.raises(StoppedError):
        run(model, progress=stop_at(1))
    assert not model.exists()  # nothing could go on from there
    with pytest.raises(StoppedError) as caught:
        run(model, progress=stop_at(5))
    assert "do the same again with resume=True" in " ".join(caught.value.__notes__)
    assert {path.name for path in model.iterdir()} == {"checkpoints", "resume.json"}
    with pytest.raises(ValueError, match="run the same fit again with resume=True"):
        plait.load(model)
    with pytest.raises(ValueError, match="holds an unfinished training; type resume=True to go on with it"):
        run(model)
    with pytest.raises(ValueError, match="with other settings or another table"):
        plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(given, epochs=4, set=FAST, output=model, resume=True)
    again = run(model, resume=True)
    assert [e["train_loss"] for e in again.report["history"]] == [e["train_loss"] for e in straight.report["history"]]
    found, wanted = (load_file(folder / "adapter_model.safetensors") for folder in (model, tmp_path / "straight"))
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in found)
    with pytest.raises(ValueError, match="holds a model already; type overwrite=True"):
        run(model)
    with pytest.raises(StoppedError) as caught:
        run(model, overwrite=True, progress=stop_at(1))
    assert "stands as it was" in " ".join(caught.value.__notes__)
    assert plait.load(model).generate(given[:2])["prediction"].equals(again.generate(given[:2])["prediction"])


def test_the_same_seed_gives_the_same_weights_and_accumulating_takes_fewer_steps(place: Path) -> None:
    given = [*colour_rows(16, split="train"), *colour_rows(4, first=96, split="val")]
    steps: list[int] = []

    def run(seed: int, accumulate: int = 1) -> dict[str, Any]:
        more = {**FAST, "train.accumulate": accumulate, "train.batch_size": 4}
        made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(
            given, epochs=1, seed=seed, set=more, progress=lambda d, t, w: steps.append(t) if "train" in w else None
        )
        return dict(made.chosen.tuning.stored.tensors)

    first, again, other = run(1), run(1), run(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert set(steps) == {4}
    steps.clear()
    run(1, accumulate=2)
    assert set(steps) == {2}


def test_a_time_limit_stops_training_and_is_said(place: Path) -> None:
    made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(rows(), epochs=500, set=FAST, time_limit=6)
    assert len(made.report["history"]) < 100 and made.report["facts"]["seconds"] < 25
    assert any("time_limit=6s stopped early: training" in n for n in made.report["evaluation"]["notes"])


def test_rows_that_cannot_be_learned_are_said(place: Path) -> None:
    given = rows()
    given[0]["answer"], given[1]["answer"], given[2]["image"] = "a <image>", "blue " * 30, b"x"
    model = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6)
    with pytest.raises(ValueError, match="1 of 156 rows of .* cannot be read"):
        model.fit(given, epochs=1)
    assert model.network.adapter is None
    found = model.fit(given, epochs=1, on_bad_row="skip").report["evaluation"]["notes"]
    assert "1 row with an answer that holds a control token of this model: not used" in found
    assert "1 answer cut to 6 tokens; a larger max_tokens= keeps more" in found


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"set": {"fusion.name": "gated"}}, "the setting 'fusion.name' is for models that plait.fit trains"),
        ({"set": {"language.tuning": "full"}}, "is tuned with language.tuning=lora"),
        ({"set": {"language.tuning": "frozen"}}, "leave nothing to learn"),
        ({"set": {"encoders.tuning": "last_n"}}, "or tuned with LoRA"),
        ({"set": {"train.batch_size": 0}}, "expected 1 or more"),
        ({"set": {"language.lora_rank": 0}}, "lora_rank"),
        ({"task": "vqa"}, "expected 'classification'"),
        ({"target": "nothing"}, "column of true answers 'nothing'"),
    ],
)
def test_what_cannot_be_is_refused_before_training(place: Path, more: dict[str, Any], message: str) -> None:
    model = plait.vlm(f"hf:{place / 'llava'}")
    with pytest.raises(ValueError, match=message):
        model.fit(rows(), **more)
    assert model.network.adapter is None and model.chosen.tuning is None


def test_tuning_needs_peft_and_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install plait\[peft\]"):
        plait.vlm(f"hf:{place / 'llava'}").fit(rows())


def test_the_seed_splits_rows_that_have_no_split(place: Path) -> None:
    given = [{k: v for k, v in row.items() if k != "split"} for row in rows()[:40]]
    made = plait.vlm(f"hf:{place / 'llava'}", max_tokens=6).fit(given, epochs=1)
    assert made.report["splits"] == {"train": 32, "val": 4, "test": 4}
    again = made.evaluate(given)["evaluation"]
    assert again["split"] == "test" and again["metrics"] == made.report["evaluation"]["metrics"]
    assert np.isfinite(made.report["history"][0]["val_loss"])
