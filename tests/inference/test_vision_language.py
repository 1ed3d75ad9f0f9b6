"""Vision-language models answer as their own library lets them: tokens, probabilities, label scores, one architecture
after the other; and what is no such model is refused with what was found.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.tiny_vlm import TINY, pictures, save_tiny
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import Prompter, VisionLanguageNetwork, token_scores
from plait.weights.quiet import quiet_transformers
from plait.weights.vision_language import checkpoint_fingerprint, load_vision_language

hf = lazy("transformers")
GREEDY = DecodeOptions(max_new_tokens=6)


@pytest.fixture(scope="module", params=sorted(TINY))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="the processor of SmolVLM 2 needs it")
    return save_tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.oracle
def test_tokens_and_scores_are_those_of_the_library(folder: Path) -> None:
    from library_vlm import measure_vlm

    found = measure_vlm(folder)
    assert found.tokens_equal and found.largest < 1e-5, found


def test_the_picture_and_the_question_change_what_is_read(folder: Path) -> None:
    network = VisionLanguageNetwork(f"hf:{folder}")
    first, second = pictures()[:2]
    inputs = [network.prompter.batch([p], [q]) for p, q in ((first, "two dogs"), (second, "two dogs"), (first, "red"))]
    scores = [token_scores(network.model, one, [[5, 6]])[0] for one in inputs]
    assert np.abs(np.subtract(scores[0], scores[1])).max() > 1e-4
    assert np.abs(np.subtract(scores[0], scores[2])).max() > 1e-4


def test_beams_and_draws_report_the_models_own_probabilities(folder: Path) -> None:
    from library_vlm import requests

    network, asked = VisionLanguageNetwork(f"hf:{folder}"), requests()
    for options in (DecodeOptions(beams=3, max_new_tokens=5), DecodeOptions(max_new_tokens=5, temperature=2.0, seed=1)):
        for one, answer in zip(asked, network.write(asked, options), strict=True):
            alone = network.prompter.batch([one.open()], [one.text])
            wanted = token_scores(network.model, alone, [answer.ids])[0]
            np.testing.assert_allclose(answer.log_probabilities, wanted, atol=1e-5)


def test_allowed_answers_are_kept_to(folder: Path) -> None:
    from library_vlm import requests

    made = VisionLanguageNetwork(f"hf:{folder}").write(requests(), GREEDY, answers=["red", "blue square"])
    assert {answer.text for answer in made} <= {"red", "blue square"}


def test_the_same_draw_for_the_same_seed_and_equal_requests_once(tmp_path: Path) -> None:
    from library_vlm import requests

    network = VisionLanguageNetwork(f"hf:{save_tiny('llava', tmp_path)}")
    drawn = [
        [a.ids for a in network.write(requests(), DecodeOptions(max_new_tokens=6, temperature=3.0, seed=s))]
        for s in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    seen: list[tuple[int, int, str]] = []
    asked = [*requests(), *requests()]
    twice = network.write(asked, GREEDY, progress=lambda *told: seen.append(told))
    assert seen[-1] == (3, 3, "writing") and [a.ids for a in twice[:3]] == [a.ids for a in twice[3:]]


def test_what_is_no_vision_language_model_is_refused(tmp_path: Path) -> None:
    with quiet_transformers():
        hf.BertModel(hf.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
                                   vocab_size=9)).save_pretrained(tmp_path / "bert")  # fmt: skip
    with pytest.raises(ValueError, match="of type 'bert', which writes no text about pictures; expected one of"):
        load_vision_language(f"hf:{tmp_path / 'bert'}")
    with pytest.raises(ValueError, match="is named hf:ID or hf:FOLDER"):
        load_vision_language("minilm")
    with pytest.raises(ValueError, match="type hf:"):
        load_vision_language(str(tmp_path))
    folder = save_tiny("llava", tmp_path / "llava")
    before = checkpoint_fingerprint(f"hf:{folder}")
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        load_vision_language(f"hf:{folder}", "int8")
    assert load_vision_language(f"hf:{folder}", "bfloat16")[0].dtype == torch.bfloat16
    (folder / "README.md").write_text("notes")
    assert checkpoint_fingerprint(f"hf:{folder}") == before
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "LlavaProcessor", "x": 1}))
    assert checkpoint_fingerprint(f"hf:{folder}") != before
    (folder / "model.safetensors").rename(folder / "model.bin")
    with pytest.raises(ValueError, match="safetensors"):
        load_vision_language(f"hf:{folder}")


def test_code_of_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    folder = save_tiny("llava", tmp_path / "llava")
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "evil.C", "AutoModelForImageTextToText": "evil.M"}, "model_type": "evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ValueError, match="of type 'evil'"):
        load_vision_language(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_a_template_of_texts_alone_counts_as_none(tmp_path: Path) -> None:
    folder = save_tiny("llava", tmp_path / "llava")
    _, processor = load_vision_language(f"hf:{folder}")
    processor.chat_template = (
        "{% for m in messages %}{% for p in m['content'] %}{{ p['text'] }}{% endfor %}{% endfor %}"
    )
    processor.tokenizer.chat_template = None
    plain = Prompter(processor)
    assert plain.template is None and plain.opening == ""
    inputs = plain.batch(pictures()[:1], ["red"])
    text = processor.tokenizer.decode(inputs["input_ids"][0])
    assert text.endswith("<image>red") and text.count("<image>") == 16


def test_a_question_longer_than_the_model_is_refused(folder: Path) -> None:
    network = VisionLanguageNetwork(f"hf:{folder}")
    most = network.model.config.get_text_config().max_position_embeddings
    assert network.prompter.most_tokens == most
    assert network.prompter.refusal("what is it?") is None
    told = network.prompter.refusal("what is it? " * 10_000)
    assert told is not None and f"this model takes {most:,} with its picture" in told
    assert network.prompter.refusal("\U0001f600" * (most // 16)) is None


def test_control_tokens_of_a_question_are_seen(folder: Path) -> None:
    prompter = VisionLanguageNetwork(f"hf:{folder}").prompter
    assert prompter.control_token(f"what is {prompter.image_token}?") == prompter.image_token
    assert prompter.control_token("what is it?") is None
    with pytest.raises(ValueError, match="a control token of this model; name another answer"):
        prompter.answer_ids(f"yes{prompter.image_token}")


def test_probabilities_that_are_no_numbers_are_no_answer() -> None:
    from plait.inference.vision_language.scoring import checked_scores

    assert checked_scores([[-1.0], [-float("inf"), -2.0]]) == [[-1.0], [-float("inf"), -2.0]]
    with pytest.raises(ValueError, match="no numbers .NaN."):
        checked_scores([[-1.0], [float("nan")]])
