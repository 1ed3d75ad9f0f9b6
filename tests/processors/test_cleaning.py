"""Cleaning of posts: each change worked by hand; counted, saved, and part of the key of stored features."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.processors import HashedTextProcessor, load_processor
from plait.processors.cleaning import clean_texts, hashtag_words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RT @Anna_B: hi", "RT @user: hi"),
        ("write to anna@mail.org", "write to anna@mail.org"),
        ("see https://t.co/aB1?x=#y now", "see http now"),
        ("www.example.org", "http"),
        ("#GoodMorning", "good morning"),
        ("#goodmorning #NASALaunch_2024!", "goodmorning nasa launch 2024!"),
        ("we are #1 &#39; C# a#b", "we are #1 &#39; C# a#b"),
        ("#\u65e9\u5b89\u5317\u4eac# \u4f60\u597d", "\u65e9\u5b89\u5317\u4eac \u4f60\u597d"),
        ("#Caf\u00e9", "caf\u00e9"),
        ("so \U0001f602\U0001f602", "so :face with tears of joy: :face with tears of joy:"),
        ("\u2764\ufe0f", ":heavy black heart:"),
        ("\U0001f44d\U0001f3fd", ":thumbs up sign:"),
        ("\U0001f1e8\U0001f1f3!", ":flag cn: !"),
        ("\u00a9 2020 \u00b0C", "\u00a9 2020 \u00b0C"),
        ("two   spaces", "two spaces"),
        ("", ""),
    ],
)
def test_social(before: str, after: str) -> None:
    assert clean_texts([before], "social")[0] == [after]
    assert clean_texts([before], "none")[0] == [before]


def test_changes_are_counted() -> None:
    texts = ["@a @b #OneTwo \U0001f600 http://x.y", "plain", "#\u65e9# \U0001f600"]
    made, counts = clean_texts(texts, "social")
    assert made[1] == "plain"
    assert counts == {"addresses": 1, "user names": 2, "hashtags": 2, "emoji": 2, "texts changed": 2}


def test_cleaning_twice_changes_nothing_more() -> None:
    once, _ = clean_texts(["@a #OneTwo \U0001f600 http://x.y #\u65e9\u5b89#"], "social")
    assert clean_texts(once, "social")[0] == once


def test_words_of_hashtags() -> None:
    assert hashtag_words("iPhone6s") == "i phone 6 s"
    assert hashtag_words("MSNBC") == "msnbc"


def test_unknown_cleaning() -> None:
    with pytest.raises(ValueError, match="unknown text cleaning 'sozial'. Did you mean 'social'"):
        clean_texts(["a"], "sozial")
    with pytest.raises(ValueError, match="unknown text cleaning"):
        HashedTextProcessor.from_json({"type": "hashed-text", "num_buckets": 9, "max_length": 9, "cleaning": "x"})


def test_the_processor_cleans_says_so_and_is_saved(tmp_path: Path) -> None:
    plain, social = HashedTextProcessor(), HashedTextProcessor(cleaning="social")
    assert social.process(["#GoodDay"])["input_ids"].tolist() == plain.process(["good day"])["input_ids"].tolist()
    assert "cleaning" not in plain.to_json()  # features stored before there was cleaning stay valid
    assert social.to_json()["cleaning"] == "social" and social.fingerprint != plain.fingerprint
    social.save(tmp_path)
    again = load_processor(tmp_path)
    assert isinstance(again, HashedTextProcessor)
    assert again.cleaning == "social" and again.fingerprint == social.fingerprint
