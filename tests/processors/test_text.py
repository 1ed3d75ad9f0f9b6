"""Texts to ids: truncation counted, folders that can move, hashes that change with the tokenizer."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from plait.processors import HashedTextProcessor, TextProcessor, load_processor
from plait.processors.hashed import word_pieces

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "car", "blue", "##s"]


def make_tokenizer(folder: Path, words: list[str] = WORDS) -> Path:
    from transformers import BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    return folder


def test_ids_mask_and_counted_truncation(tmp_path: Path) -> None:
    processor = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=6)
    out = processor.process(["red cars", "", "red red red red red red"])
    assert out["input_ids"].tolist() == [[2, 5, 6, 8, 3, 0], [2, 3, 0, 0, 0, 0], [2, 5, 5, 5, 5, 3]]
    assert out["attention_mask"].sum(1).tolist() == [5, 2, 6]
    assert processor.num_truncated == 1
    assert processor.process(["a\ud800b"])["input_ids"].shape[0] == 1  # a lone surrogate is no crash
    with pytest.raises(ValueError, match="text 1 is NoneType"):
        processor.process(["red", None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="one text was given"):
        processor.process("red")  # type: ignore[arg-type]


def test_tokens_are_counted_as_process_makes_them_and_nothing_as_truncated(tmp_path: Path) -> None:
    processor = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=6)
    texts = ["red cars", "", "red red red red red red", "a\ud800b"]
    counted = processor.count_tokens(texts)
    assert processor.num_truncated == 0
    assert counted == processor.process(texts)["attention_mask"].sum(1).tolist()
    assert counted[:3] == [5, 2, 6]
    assert processor.count_tokens([]) == []


def test_the_share_of_tokens_that_a_vocabulary_lacks(tmp_path: Path) -> None:
    processor = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=16)
    assert processor.unknown_share(["red cars", "blue"]) == 0.0
    assert processor.unknown_share(["red \u5ba2\u670d", ""]) == pytest.approx(2 / 3)  # each Chinese letter is a word
    assert processor.unknown_share([]) == 0.0


def test_it_goes_to_another_process(tmp_path: Path) -> None:
    processor = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=16)
    again = pickle.loads(pickle.dumps(processor))
    assert again.process(["red cars"])["input_ids"].tolist() == processor.process(["red cars"])["input_ids"].tolist()


def test_saved_folder_moves_and_is_checked(tmp_path: Path) -> None:
    processor = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=16)
    processor.process(["red " * 40])  # use must not change the hash
    processor.save(tmp_path / "saved")
    moved = (tmp_path / "saved").rename(tmp_path / "moved")
    again = load_processor(moved)
    assert isinstance(again, TextProcessor) and again.fingerprint == processor.fingerprint
    assert again.process(["blue car"])["input_ids"].tolist() == processor.process(["blue car"])["input_ids"].tolist()
    other = TextProcessor(make_tokenizer(tmp_path / "o", [*WORDS, "new"]), max_length=16)
    assert other.fingerprint != processor.fingerprint
    make_tokenizer(moved / "tokenizer", [*WORDS, "new"])
    with pytest.raises(ValueError, match="not the one this model was made with"):
        load_processor(moved)
    with pytest.raises(ValueError, match="no tokenizer folder"):
        TextProcessor(tmp_path / "nowhere")


def test_a_prefix_stands_before_every_text_and_travels(tmp_path: Path) -> None:
    plain = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=5)
    blue = TextProcessor(make_tokenizer(tmp_path / "t"), max_length=5, prefix="blue ")
    assert blue.process(["red", ""])["input_ids"].tolist() == [[2, 7, 5, 3], [2, 7, 3, 0]]
    assert blue.process(["red car car"])["input_ids"].tolist() == [[2, 7, 5, 6, 3]] and blue.num_truncated == 1
    assert blue.fingerprint != plain.fingerprint and "prefix" not in plain.to_json()
    blue.save(tmp_path / "saved")
    again = load_processor(tmp_path / "saved")
    assert again.fingerprint == blue.fingerprint
    assert again.process(["red"])["input_ids"].tolist() == [[2, 7, 5, 3]]


def test_hashed_pieces(tmp_path: Path) -> None:
    assert word_pieces("Two dogs, unbelievable") == ["two", "dogs", ",", "unbel", "##ievab", "##le"]
    assert word_pieces("红色的car") == ["红", "色", "的", "car"]
    processor = HashedTextProcessor(max_length=3)
    out = processor.process(["a b c d", ""])
    assert out["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]] and processor.num_truncated == 1
    processor.save(tmp_path)
    assert load_processor(tmp_path).fingerprint == processor.fingerprint
