"""Captioning and open questions from table to answers: planted pictures, tiny networks, a tiny pretrained model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import plait
from fixtures.settings import QUICK
from plait.heads.language import fit_tokens

COLOURS = {
    "red": ((220, 30, 30), "\u7ea2\u8272"),
    "green": ((30, 200, 30), "\u7eff\u8272"),
    "blue": ((30, 30, 220), "\u84dd\u8272"),
}
TINY = [
    *QUICK, "language.layers=1", "language.width=32", "language.heads=2", "language.vocabulary=320", "fusion.width=32",
    "fusion.dropout=0.0", "language.max_tokens=12", "train.learning_rate=0.003", "train.warmup=0.2", "train.patience=0",
    "language.beams=1",
]  # fmt: skip


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 plain pictures; captions.csv describes each in two languages, asked.csv asks for the colour, or how many."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    captions, asked = [], []
    for i in range(36):
        name = list(COLOURS)[i % 3]
        red, green, blue = COLOURS[name][0]
        Image.new("RGB", (32, 32), (red, green, blue + i)).save(folder / f"{i}.png")
        split = "test" if i >= 30 else "val" if i >= 24 else "train"
        captions.append([f"{i}.png", f"a {name} picture", f"{COLOURS[name][1]}\u7684\u56fe\u7247", split])
        for question, answer in (("which colour", name), ("how many pictures", "one")):
            asked.append([f"{i}.png", question, json.dumps([answer, answer, "dunno"]), split])
    for file, head, rows in (
        ("captions.csv", ["image", "caption", "zh", "split"], captions),
        ("asked.csv", ["image", "question", "answers", "split"], asked),
    ):
        with (folder / file).open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([head, *rows])
    return folder


@pytest.fixture(scope="session")
def captioner(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioner") / "model"
    plait.fit(
        pictures / "captions.csv", "caption", task="captioning", ignore="zh", epochs=36, output=folder,
        set=[*TINY, "train.batch_size=4"],
    )  # fmt: skip
    return folder


def tiny_pretrained(folder: Path, seed: int = 0) -> Path:
    """A language model folder as a hub would give it."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokens = fit_tokens(["a red picture", "a green picture", "a blue picture"] * 3, vocabulary=320)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens.backend, bos_token="<start>", eos_token="<end>", pad_token="<pad>"
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokens.num_tokens, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_planted_captions_are_learned_and_judged(captioner: Path, pictures: Path) -> None:
    fitted = plait.load(captioner)
    made = fitted.generate(pictures / "captions.csv", tokens=True)
    wanted = [f"a {list(COLOURS)[i % 3]} picture" for i in range(36)]
    right = sum(a == b for a, b in zip(made.column("prediction").to_pylist(), wanted, strict=True))
    assert right >= 24  # a model that does not look says one colour and gets 12
    for row in made.to_pylist():
        assert row["problem"] is None and row["tokens"][-1] == "<end>"
        assert "".join(row["tokens"][:-1]).strip() == row["prediction"]
        shares = torch.tensor(row["token_probabilities"], dtype=torch.float64)
        assert float(shares.log().sum()) == pytest.approx(row["log_probability"], abs=1e-9)
    evaluation = fitted.report["evaluation"]
    assert evaluation["rows"] == 6 and evaluation["metrics"]["bleu_1"]["value"] > 0.6
    assert {e["group"] for e in evaluation["examples"]} == {"Best", "Worst"}
    page = (captioner / "report.html").read_text(encoding="utf-8")
    assert "Worst" in page and "<dt>score</dt>" in page and "data:image/jpeg" in page


def test_saved_writer_answers_bit_equal_and_predict_is_generate(captioner: Path, pictures: Path) -> None:
    one, two = plait.load(captioner), plait.load(captioner)
    state, again = one.model.state_dict(), two.model.state_dict()
    assert state.keys() == again.keys() and all(torch.equal(v, again[k]) for k, v in state.items())
    assert not any(k.endswith("lm_head.weight") for k in state)  # tied: stands there once
    made = one.generate(pictures / "captions.csv")
    assert made.equals(two.generate(pictures / "captions.csv"))
    assert made.equals(one.predict(pictures / "captions.csv"))


def test_a_list_of_answers_is_kept_to_and_scored(captioner: Path, pictures: Path) -> None:
    fitted = plait.load(captioner)
    allowed = ["a red picture", "a blue picture", "\U0001f415"]
    table = pictures / "captions.csv"
    scored = fitted.score_answers(table, allowed)
    written = fitted.generate(table, answers=allowed, beams=3, length_penalty=0.0)
    assert scored.column("prediction").to_pylist() == written.column("prediction").to_pylist()
    for a, b in zip(scored.to_pylist(), written.to_pylist(), strict=True):
        assert max(a["log_probabilities"]) == pytest.approx(b["log_probability"], abs=1e-4)
        assert a["answers"] == allowed


def test_rows_that_cannot_be_read_keep_their_place(captioner: Path, pictures: Path, tmp_path: Path) -> None:
    fitted = plait.load(captioner)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = str(pictures / "0.png")
    made = fitted.generate({"image": [good, None, str(tmp_path / "broken.png"), good]}, allow_outside=True).to_pylist()
    assert [r["prediction"] is None for r in made] == [False, True, True, False]
    assert made[1]["problem"] == "nothing to read in this row" and "image" in made[2]["problem"]
    assert made[0]["prediction"] == made[3]["prediction"]
    assert fitted.generate({"image": [good]}, allow_outside=True).column("prediction").to_pylist() == [
        made[0]["prediction"]
    ]


@pytest.mark.slow
def test_chinese_captions_come_without_spaces(pictures: Path) -> None:
    fitted = plait.fit(
        pictures / "captions.csv", "zh", task="captioning", ignore="caption", epochs=36,
        set=[*TINY, "train.batch_size=4", "language.vocabulary=400"],
    )  # fmt: skip
    said = fitted.generate(pictures / "captions.csv").column("prediction").to_pylist()
    wanted = [f"{COLOURS[list(COLOURS)[i % 3]][1]}\u7684\u56fe\u7247" for i in range(36)]
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= 24


@pytest.mark.parametrize("tuning", ["frozen", "lora", "full"])
def test_a_pretrained_writer_is_named_not_copied(tuning: str, pictures: Path, tmp_path: Path) -> None:
    source = tiny_pretrained(tmp_path / "lm")
    base = load_file(source / "model.safetensors")
    fitted = plait.fit(
        pictures / "captions.csv", "caption", task="captioning", ignore="zh", epochs=2, output=tmp_path / "model",
        set=[*TINY, f"language.model=hf:{source}", f"language.tuning={tuning}", "language.prompt=a"],
    )  # fmt: skip
    stored = load_file(tmp_path / "model" / "model.safetensors")
    inside = [k for k in stored if k.startswith("head.lm.")]
    if tuning == "full":
        assert len(inside) == len(base)
    else:
        assert all(".lora_" in k for k in inside) and bool(inside) == (tuning == "lora")
    held = {k.replace(".base_layer.", "."): v for k, v in fitted.model.head.lm.state_dict().items()}
    assert all(torch.equal(held[k], v) for k, v in base.items()) == (tuning != "full")
    assert fitted.model.head.join.weight.requires_grad
    again = plait.load(tmp_path / "model")
    assert again.generate(pictures / "captions.csv").equals(fitted.generate(pictures / "captions.csv"))
    tiny_pretrained(tmp_path / "lm", seed=1)
    if tuning == "full":
        assert plait.load(tmp_path / "model").generate(pictures / "captions.csv") is not None
    else:
        with pytest.raises(ValueError, match="has other weights than the one this model was trained with"):
            plait.load(tmp_path / "model")


@pytest.mark.slow
def test_open_and_closed_questions(pictures: Path) -> None:
    sets = [*TINY[:4], "train.batch_size=8", "train.learning_rate=0.002", "train.warmup=0.2"]
    closed = plait.fit(pictures / "asked.csv", "answers", task="vqa", epochs=25, set=sets)
    assert (closed.task.name, closed.settings.fusion.name) == ("vqa", "co_attention")
    assert set(closed.labels.classes) == {"red", "green", "blue", "one"}
    assert closed.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.7
    assert 0 < closed.report["evaluation"]["metrics"]["vqa_accuracy"]["value"] <= 2 / 3 + 1e-9
    opened = plait.fit(pictures / "asked.csv", "answers", task="vqa", epochs=50,
                       set=[*TINY, "task.answers=open", "train.batch_size=8"])  # fmt: skip
    assert (opened.task.name, opened.settings.task.head) == ("vqa_open", "generate")
    assert opened.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.6  # the question alone gets two thirds
    assert set(opened.report["evaluation"]["without"]) == {"image", "question"}
    empty = opened.generate({"image": [str(pictures / "0.png")] * 2, "question": ["", "which colour " * 5000]},
                            allow_outside=True)  # fmt: skip
    assert all(p is not None for p in empty.column("prediction").to_pylist())
    kept = opened.generate(pictures / "asked.csv", answers=["red", "blue"]).column("prediction").to_pylist()
    assert set(kept) <= {"red", "blue"}


def test_a_stopped_run_goes_on_exactly(pictures: Path, tmp_path: Path) -> None:
    arguments = {"target": "caption", "task": "captioning", "ignore": "zh", "epochs": 3}
    sets = [*TINY, "fusion.dropout=0.2"]
    straight = plait.fit(pictures / "captions.csv", **arguments, set=sets, output=tmp_path / "straight")

    def killed(done: int, total: int, what: str) -> None:
        if "epoch 3" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plait.fit(pictures / "captions.csv", **arguments, set=sets, output=tmp_path / "killed", progress=killed)
    resumed = plait.fit(pictures / "captions.csv", **arguments, set=sets, output=tmp_path / "killed", resume=True)
    again = resumed.model.state_dict()
    assert all(torch.equal(v, again[k]) for k, v in straight.model.state_dict().items())


def test_messages_say_what_to_type(pictures: Path, posts_model: Path, posts: Path) -> None:
    table = pictures / "captions.csv"
    with pytest.raises(ValueError, match="writes no text; train one with task='captioning'"):
        plait.load(posts_model).generate(posts)
    with pytest.raises(ValueError, match="needs an image column"):
        plait.fit(
            {"text": ["a b c d e"] * 4, "caption": ["x"] * 4}, "caption", task="captioning", text="text", set=TINY
        )
    with pytest.raises(ValueError, match="joins answers, and text is generated; type fusion='prefix'"):
        plait.fit(table, "caption", task="captioning", ignore="zh", fusion="late_mean", set=TINY)
    with pytest.raises(ValueError, match="is trained: language.tuning=full"):
        plait.fit(table, "caption", task="captioning", ignore="zh", set=[*TINY, "language.tuning=frozen"])
    with pytest.raises(ValueError, match="is not a language model"):
        plait.fit(table, "caption", task="captioning", ignore="zh", set=[*TINY, "language.model=gpt5"])
