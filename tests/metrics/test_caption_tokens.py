"""Caption tokenizers: Penn Treebank conventions by hand, Chinese and Japanese, and parity with two outside programs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ptb_java import PTB_JAR, ptb_java_tokens

from plait.metrics.caption_tokens import choose_tokenizer, ptb_tokens, space_tokens, zh_tokens
from plait.metrics.meteor import why_unavailable

# What Stanford's PTBTokenizer 3.4.1 gives with -lowerCase, punctuation dropped as the COCO code does.
JAVA_SAYS = {
    "A man's dog isn't in the U.S. today.": "a man 's dog is n't in the u.s. today",
    'He said "hello, world!" and left...': "he said hello world and left",
    "black-and-white photo - with -- dashes --- here": "black-and-white photo with dashes here",
    "1/2 of a 3.5 pound $5 1,000 10:30 a.m. bus": "1/2 of a 3.5 pound $ 5 1,000 10:30 a.m. bus",
    "I'd've gone; can't you? cannot gonna": "i 'd 've gone ca n't you can not gon na",
    "(round) [square] {curly}": "-lrb- round -rrb- -lsb- square -rsb- -lcb- curly -rcb-",
    "Mr. Smith and Dr. Jones on Main St. here": "mr. smith and dr. jones on main st. here",
    "A cat & a dog @ home #1": "a cat & a dog @ home # 1",
    "'tis rock 'n' roll at 6 o'clock": "'t is rock 'n' roll at 6 o'clock",
    "the dogs' bowls": "the dogs bowls",
    "a 10-year-old boy's 2nd birthday in the 1990s": "a 10-year-old boy 's 2nd birthday in the 1990s",
    "a man,a woman and a child;two dogs": "a man a woman and a child two dogs",
    "What?! Really": "what ?! really",
    "A man. He runs. She walks.": "a man he runs she walks",
    "“curly” it’s — dash – en… end": "curly it 's dash en end",
    "he is 5'10\" tall and/or 50%": "he is 5 10 tall and/or 50 %",
    "two-  -three": "two three",
    "a tea cup full of tea..": "a tea cup full of tea",
    "café naïve français": "café naïve français",
    "grey colour": "grey colour",
}


def test_ptb_by_hand() -> None:
    assert {text: " ".join(ptb_tokens(text)) for text in JAVA_SAYS} == JAVA_SAYS
    assert ptb_tokens("") == ptb_tokens(" . !,") == []


@pytest.mark.parametrize("text", ["a.", "1.", "x@", "http://", "'s", "-", "<a", "no. "])
def test_long_texts_take_linear_time(text: str) -> None:
    started = time.perf_counter()
    ptb_tokens(text * 2000)
    assert time.perf_counter() - started < 2.0


def test_chinese_and_japanese() -> None:
    assert zh_tokens("一只黑狗,在玩 T-shirt。") == ["一", "只", "黑", "狗", "在", "玩", "t-shirt"]
    assert zh_tokens("ＡＢＣ１２３的照片!") == ["abc123", "的", "照", "片"]
    assert zh_tokens("犬がボールで遊ぶ") == ["犬", "が", "ボ", "ー", "ル", "で", "遊", "ぶ"]
    assert zh_tokens("2个人don't") == ["2", "个", "人", "don't"]
    assert space_tokens(" a man 's dog . ") == ["a", "man", "'s", "dog", "."]


def test_the_choice() -> None:
    assert choose_tokenizer(["一只狗", "a dog"]) == "ptb"  # 3 of 7 letters
    assert choose_tokenizer(["一只黑狗", "dog"]) == "zh"  # 4 of 7
    assert choose_tokenizer(["개 한 마리"]) == choose_tokenizer(["123"]) == choose_tokenizer([]) == "ptb"


@pytest.mark.oracle
def test_treebank_of_nltk() -> None:
    """Equal on plain captions; NLTK keeps a full stop inside a caption on its word, so those are not compared."""
    treebank = pytest.importorskip("nltk.tokenize", reason="extra dev").TreebankWordTokenizer()
    drop = {"''", "'", "``", ".", "?", "!", ",", ":", "--", "...", ";"}
    texts = [
        "A man's dog isn't running.",
        "They're near the water, aren't they?",
        "She cannot swim; he'd help!",
        'A big "STOP" sign, 3 people and 1,000 birds',
        "the boys' black-and-white photo costs $5",
        "I'm gonna say we'll go",
    ]
    for text in texts:
        assert ptb_tokens(text) == [t.lower() for t in treebank.tokenize(text) if t not in drop], text


needs_ptb = pytest.mark.skipif(why_unavailable(PTB_JAR) is not None, reason=str(why_unavailable(PTB_JAR)))


@needs_ptb
@pytest.mark.oracle
def test_java_program_says_so() -> None:
    texts = list(JAVA_SAYS)
    split = ptb_java_tokens([*texts, "", "two\nlines  here"])
    assert [" ".join(tokens) for tokens in split[:-2]] == list(JAVA_SAYS.values())
    assert split[-2:] == [[], ["two", "lines", "here"]]


@needs_ptb
@pytest.mark.oracle
@pytest.mark.real
def test_java_program_on_real_captions(shared_data: Path) -> None:
    files = [*shared_data.glob("flickr8k-2k/annotations/*.json"), *shared_data.glob("coco-mini/annotations/cap*.json")]
    texts = [note["caption"] for file in files for note in json.loads(file.read_text("utf-8"))["annotations"]]
    if not texts:
        pytest.skip("no captions in the real data")
    ours, theirs = [ptb_tokens(text) for text in texts], ptb_java_tokens(texts)
    wrong = [text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    assert len(texts) > 10_000 and wrong == []


@needs_ptb
def test_a_program_that_hangs_is_killed() -> None:
    with pytest.raises(TimeoutError, match=r"ran longer than 0\.01 s"):
        ptb_java_tokens(["a dog"] * 20_000, seconds=0.01)


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "default-jre-headless" in str(why_unavailable(PTB_JAR))
    with pytest.raises(ImportError, match=r"no Java runtime.*plait\[captions\]"):
        ptb_java_tokens(["a dog"])
