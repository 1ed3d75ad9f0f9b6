"""LoRA of vision-language models: the loss is that of answers alone, additions begin at nothing, each type learns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.planted_pictures import COLOURS, QUESTION, coloured
from fixtures.tiny_vlm import TINY, save_tiny
from plait.settings import TrainSettings
from plait.weights.quiet import quiet_transformers

hf, torch = lazy("transformers"), lazy("torch")
LoraShape, Request, VisionLanguageNetwork = lazy(
    "plait.inference.vision_language", "LoraShape", "Request", "VisionLanguageNetwork"
)
token_scores, linear_maps, adapter_tensors = lazy("plait.inference.vision_language.scoring", "token_scores"), *lazy(
    "plait.inference.vision_language.adapter", "linear_maps", "adapter_tensors"
)  # fmt: skip
end_tokens = lazy("plait.inference.vision_language.writing", "end_tokens")
AnswerBatches, AnsweredRequest, mean_loss, request_lengths, train_adapter = lazy(
    "plait.training.vision_language",
    "AnswerBatches",
    "AnsweredRequest",
    "mean_loss",
    "request_lengths",
    "train_adapter",
)
SETTINGS = TrainSettings(
    epochs=2, batch_size=4, learning_rate=3e-3, weight_decay=0.0, warmup=0.0, schedule="constant", patience=0
)


@pytest.fixture(scope="module", params=sorted(TINY))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="the processor of SmolVLM 2 needs it")
    return save_tiny(request.param, tmp_path_factory.mktemp(request.param))


def examples(network: Any, count: int, first: int = 0) -> list[Any]:
    ending = network.prompter.ending_ids(end_tokens(network.model, network.prompter))
    names, made = list(COLOURS), []
    for number in range(first, first + count):
        name = names[number % 3]
        request = Request(str(number), partial(coloured, name, number), QUESTION)
        made.append(AnsweredRequest(request, ((*network.prompter.answer_ids(name), *ending),), len(name)))
    return made


def tuned(network: Any, parts: tuple[str, ...] = ("language",)) -> None:
    network.add_adapter(LoraShape(4, linear_maps(network.model, parts)), seed=0)


def test_additions_change_nothing_at_first_and_nothing_when_off_and_learning_lowers_the_loss(
    folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="extra peft")
    network = VisionLanguageNetwork(f"hf:{folder}")
    held = AnswerBatches(network.prompter, examples(network, 6, first=12), 4)
    base = mean_loss(network, held)
    weights = {name: value.clone() for name, value in network.model.state_dict().items()}
    tuned(network)
    assert mean_loss(network, held) == base
    rows = AnswerBatches(network.prompter, examples(network, 12), 4, seed=0)
    history = train_adapter(network, rows, SETTINGS, tmp_path / "c", validation=held)
    assert mean_loss(network, held) == history.epochs[history.best_epoch - 1]["val_loss"] < base - 0.1
    with network.untuned():
        assert mean_loss(network, held) == base
    network.remove_adapter()
    assert mean_loss(network, held) == base and network.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in network.model.state_dict().items())


@pytest.mark.oracle
def test_the_loss_is_the_librarys_own_with_all_but_the_answer_masked(folder: Path) -> None:
    """``labels`` of transformers, -100 on prompt and picture, one row at a time and without padding."""
    network = VisionLanguageNetwork(f"hf:{folder}")
    with quiet_transformers():
        model = hf.AutoModelForImageTextToText.from_pretrained(folder).eval()
    total, count = 0.0, 0
    made = examples(network, 5)
    for one in made:
        inputs = network.prompter.batch([one.request.open()], [one.request.text])
        start, answer = inputs["input_ids"].shape[1], torch.tensor([one.answers[0]])
        longer = dict(inputs)
        longer["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
        longer["attention_mask"] = torch.ones_like(longer["input_ids"])
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                kind = int(name == "token_type_ids" and model.config.model_type == "paligemma")
                longer[name] = torch.cat([inputs[name], torch.full_like(answer, kind)], 1)
        labels = longer["input_ids"].clone()
        labels[:, :start] = -100
        with torch.no_grad():
            logits = model(**longer).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100, reduction="sum")
        total, count = total + float(loss), count + len(one.answers[0])
    batched = AnswerBatches(network.prompter, made, 5)
    assert mean_loss(network, batched) == pytest.approx(total / count, abs=1e-5)
    from plait.training.vision_language.learner import _Learner

    assert float(_Learner(network)(**batched[0])["loss"]) == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "behind"),
    [("llava", " {answer}</s>"), ("idefics3", " {answer}<end_of_utterance>"), ("qwen2_vl", "{answer}<|im_end|>"),
     ("paligemma", "{answer}<eos>"), ("gemma3", "{answer}<end_of_turn>")],
)  # fmt: skip
def test_which_tokens_count(name: str, behind: str, tmp_path: Path) -> None:
    """Worked by hand: the answer behind the request, its end, and nothing else; padding repeats the end uncounted."""
    network = VisionLanguageNetwork(f"hf:{save_tiny(name, tmp_path)}")
    tokens = network.prompter.tokenizer
    rows = examples(network, 2)  # "red" and "blue", of one and of several tokens
    batch = AnswerBatches(network.prompter, rows, 2)[0]
    wanted = [tokens(behind.format(answer=word), add_special_tokens=False)["input_ids"] for word in ("red", "blue")]
    found = [row[real.bool()].tolist() for row, real in zip(batch["answer"], batch["real"], strict=True)]
    assert sorted(found) == sorted(wanted)
    assert batch["answer"].shape[1] == max(map(len, wanted)) and batch["real"].sum() == sum(map(len, wanted))
    shown = [tokens.decode(ids) for ids in batch["inputs"]["input_ids"]]
    assert all(QUESTION in text and "red" not in text.replace(QUESTION, "") for text in shown)
    picture = tokens.convert_tokens_to_ids(network.prompter.image_token)
    assert picture in batch["inputs"]["input_ids"][0].tolist() and picture not in batch["answer"]


def test_batches_hold_rows_of_like_length_each_once_an_epoch(tmp_path: Path) -> None:
    network = VisionLanguageNetwork(f"hf:{save_tiny('llava', tmp_path)}")
    rng = np.random.default_rng(0)
    made = [
        AnsweredRequest(Request(str(i), partial(coloured, "red", i), "x"), ((5, 6),), int(n))
        for i, n in enumerate(rng.integers(10, 500, 203))
    ]
    rows = AnswerBatches(network.prompter, made, 8, seed=3)
    length = {one.request.key: one.length for one in made}

    def keys() -> list[list[str]]:
        return [[request.key for request, _ in batch] for batch in rows.batches]

    def padding() -> int:
        return sum(max(length[k] for k in batch) - length[k] for batch in keys() for k in batch)

    first, mixed = keys(), padding()
    assert len(rows) == len(first) == -(-203 // 8) and sorted(sum(first, [])) == sorted(length)
    shuffled = rng.permutation(list(length)).tolist()
    plain = [shuffled[i : i + 8] for i in range(0, 203, 8)]
    assert mixed < 0.25 * sum(max(length[k] for k in batch) - length[k] for batch in plain for k in batch)
    rows.set_epoch(1)
    assert sorted(sum(keys(), [])) == sorted(length) and keys() != first
    rows.set_epoch(0)
    assert keys() == first


def test_of_several_answers_one_is_shown_an_epoch_and_the_most_frequent_judges(tmp_path: Path) -> None:
    network = VisionLanguageNetwork(f"hf:{save_tiny('llava', tmp_path)}")
    one = AnsweredRequest(Request("a", partial(coloured, "red", 0), "x"), ((5,), (6,), (6,)), 1)
    rows = AnswerBatches(network.prompter, [one], 1, seed=0)
    seen = []
    for epoch in range(40):
        rows.set_epoch(epoch)
        seen.append(rows.batches[0][0][1])
    assert 15 < seen.count((6,)) < 36 and set(seen) == {(5,), (6,)}
    assert AnswerBatches(network.prompter, [one], 1).batches[0][0][1] == (6,)


def test_lengths_are_those_of_pictures_and_texts(tmp_path: Path) -> None:
    """Qwen 2-VL cuts a picture into as many tokens as it is large; sizes alike within 32 pixels are looked at once."""
    network = VisionLanguageNetwork(f"hf:{save_tiny('qwen2_vl', tmp_path)}")
    small, large, worded = request_lengths(
        network.prompter, ["x", "x", "what colour is the circle?"], [(32, 32), (64, 64), (32, 32)]
    )
    own = len(network.prompter.tokenizer(QUESTION)["input_ids"]) - len(network.prompter.tokenizer("x")["input_ids"])
    assert large > small and worded - small == own


def test_pictures_are_not_kept_and_checkpoints_hold_additions_alone(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="extra peft")
    network = VisionLanguageNetwork(f"hf:{save_tiny('llava', tmp_path / 'm')}")
    tuned(network)
    opened: list[str] = []

    def opening(key: str) -> Any:
        opened.append(key)
        return coloured("red", 0)

    ids = tuple(network.prompter.answer_ids("red"))
    made = [AnsweredRequest(Request(str(i), partial(opening, str(i)), "x"), (ids,), 1) for i in range(8)]
    rows = AnswerBatches(network.prompter, made, 4, seed=0)
    sizes: list[int] = []

    def watch(done: int, total: int, what: str) -> None:
        sizes.extend(path.stat().st_size for path in (tmp_path / "c").rglob("model.safetensors"))

    train_adapter(network, rows, SETTINGS, tmp_path / "c", progress=watch)
    assert sorted(opened) == sorted([str(i) for i in range(8)] * 2)
    held = sum(tensor.nbytes for tensor in adapter_tensors(network.model).values())
    assert sizes and max(sizes) < held + 20_000 < sum(p.nbytes for p in network.model.parameters())


def test_what_sees_learns_only_where_it_is_asked_to(folder: Path) -> None:
    pytest.importorskip("peft", reason="extra peft")
    network = VisionLanguageNetwork(f"hf:{folder}")
    language, both = linear_maps(network.model, ["language"]), linear_maps(network.model, ["language", "vision"])
    seeing = set(both) - set(language)
    assert seeing and all("vis" in name for name in seeing) and not any("vis" in name for name in language)
    assert not any("lm_head" in name or "embed" in name for name in both)
    tuned(network, ("language", "vision"))
    loss = _loss(network)
    loss.backward()
    for name, value in network.model.named_parameters():
        assert value.requires_grad == (".lora_" in name)
    learning = {n: v.grad is not None and bool(v.grad.any()) for n, v in network.model.named_parameters()}
    ours = {name: learns for name, learns in learning.items() if "lora_B" in name}
    assert all(learns for name, learns in ours.items() if "vis" not in name)
    seeing_too = [learns for name, learns in ours.items() if "vis" in name]
    assert sum(seeing_too) >= len(seeing_too) / 2  # LLaVA reads the layer before the last


def _loss(network: Any) -> Any:
    from plait.training.vision_language.learner import _Learner

    return _Learner(network)(**AnswerBatches(network.prompter, examples(network, 4), 4)[0])["loss"]


def test_layers_that_are_computed_again_teach_the_same(tmp_path: Path) -> None:
    """The network stays in evaluation mode while it learns, where transformers' own switch would do nothing."""
    pytest.importorskip("peft", reason="extra peft")
    from plait.encoders.activations import counted_activations
    from plait.encoders.gradient_checkpointing import gradient_checkpointing
    from plait.training.vision_language.learner import _Learner

    place, found = save_tiny("llava", tmp_path / "llava"), []
    for is_on in (False, True):
        network = VisionLanguageNetwork(f"hf:{place}")
        tuned(network, ("language", "vision"))
        rows = AnswerBatches(network.prompter, examples(network, 8), 4, seed=0)
        learner = _Learner(network)
        with gradient_checkpointing(learner, is_on), counted_activations(network.model.parameters()) as held:
            learner(**rows[0])
        settings = replace(SETTINGS, gradient_checkpointing=is_on)
        history = train_adapter(network, rows, settings, tmp_path / str(is_on))
        found.append((sum(held.values()), [e["train_loss"] for e in history.epochs], adapter_tensors(network.model)))
    (kept, losses, weights), (again, as_before, same) = found
    assert again < kept and as_before == pytest.approx(losses, rel=1e-6)
    assert all(torch.allclose(value, same[name], atol=1e-6) for name, value in weights.items())
