"""Answers to tokens and back, in any script."""

from __future__ import annotations

import pytest

from fixtures.tiny_language import TEXTS, tiny_tokens
from plait.heads.language import AnswerTokens, Trie, fit_tokens

SCRIPTS = [
    "a red circle",
    "\u4e00\u53ea\u72d7\u5728\u8349\u5730\u4e0a\u8dd1\uff0c\u5929\u6c14\u5f88\u597d\u3002",
    "\u0643\u0644\u0628 \u064a\u062c\u0631\u064a",
    "\U0001f415 + \U0001f469\u200d\U0001f680",
    "na\u00efve caf\u00e9",
    "<end> <pad> is text",
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_every_script_comes_back_as_it_was(text: str) -> None:
    tokens = tiny_tokens(max_tokens=200)
    ids = tokens.encode([text])[0]
    assert ids[-1] == tokens.end and tokens.end not in ids[:-1] and tokens.pad not in ids
    assert tokens.decode(ids) == text
    assert tokens.decode([*ids, 7, 8]) == text  # nothing behind the end is read
    assert AnswerTokens.from_json(tokens.to_json()).decode(ids) == text


def test_spaces_and_broken_unicode() -> None:
    tokens = tiny_tokens()
    assert tokens.decode(tokens.encode(["  a\n red\tcircle "])[0]) == "a red circle"
    assert tokens.decode(tokens.encode(["a \ud800 b"])[0]) == "a ? b"
    assert tokens.decode(tokens.encode([""])[0]) == ""


def test_long_answers_are_cut_and_counted() -> None:
    tokens = tiny_tokens(max_tokens=4)
    ids = tokens.encode(["red " * 10_000, "a"])
    assert len(ids[0]) == 4 and tokens.end not in ids[0] and ids[1][-1] == tokens.end
    assert tokens.num_cut(["red " * 10_000, "a", "blue " * 50]) == 2


def test_a_character_cut_in_the_middle_is_left_out() -> None:
    tokens = fit_tokens(["x"], vocabulary=300)  # bytes only
    ids = tokens.encode(["a\u72d7"])[0]
    assert tokens.decode(ids[:-2]) == "a"  # two of the three bytes of the character


def test_learning_is_repeatable_and_frequent_words_become_one_token() -> None:
    first, second = tiny_tokens(), tiny_tokens()
    assert first == second
    prompted = tiny_tokens(prompt="a red circle")
    assert prompted.prompt == tuple(prompted.encode(["a red circle"])[0][:-1])
    known = fit_tokens(["circle"] * 5, vocabulary=320)
    assert known.pieces(known.encode(["circle"])[0]) == [" circle", "<end>"]


def test_scripts_without_spaces_are_cut_at_characters() -> None:
    mixed = "\u4e00\u53f0 iPhone \u624b\u673a\u3002\u732b\u304c\u3044\u308b"
    tokens = fit_tokens([TEXTS[3], mixed] * 5, vocabulary=900)
    assert tokens.pieces(tokens.encode([TEXTS[3]])[0]) == [" ", *TEXTS[3], "<end>"]
    assert tokens.pieces(tokens.encode([mixed])[0])[:4] == [" ", "\u4e00", "\u53f0", " iPhone"]
    assert tokens.decode(tokens.encode([mixed])[0]) == mixed
    unseen = "\u9f98\U0001f415 \u0e2a\u0e38\u0e19\u0e31\u0e02"  # a rare character, an emoji, Thai
    assert tokens.decode(tokens.encode([unseen])[0]) == unseen


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="language.vocabulary must be 300 or more .* got 10"):
        fit_tokens(["a"], vocabulary=10)
    with pytest.raises(ValueError, match="language.max_tokens must be 2 or more"):
        fit_tokens(["a"], vocabulary=300, max_tokens=1)


def test_the_trie_allows_what_continues_an_answer() -> None:
    trie = Trie([[5, 6, 2], [5, 7, 2], [8, 2]], end=2)
    assert sorted(trie.allowed([])) == [5, 8]
    assert sorted(trie.allowed([5])) == [6, 7]
    assert trie.allowed([5, 6]) == trie.allowed([8]) == [2]
    assert trie.allowed([8, 2]) == trie.allowed([9]) == [2]
    with pytest.raises(ValueError, match="list of allowed answers is empty"):
        Trie([], end=2)
    with pytest.raises(ValueError, match="longer than the longest"):
        Trie([[5, 6]], end=2)
