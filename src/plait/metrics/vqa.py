"""Accuracy of visual question answering against the answers of ten people.

Predicted strings and lists of human answers come in; the mean accuracy and the accuracy of each question come out.
An answer is fully right when at least three *other* people gave it. Both dialects in use are here by name:
``official`` follows the evaluation code of the VQA challenge, which cleans the answers only where the ten differ;
``always`` cleans every question. Nothing here reads a file or knows a model.

Reference: Antol et al. 2015, "VQA: Visual Question Answering", section 4; Goyal et al. 2017 (VQA v2); the evaluation
code of the VQA challenge at visualqa.org.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

MODES = ("official", "always")

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_LOOSE_STOP = re.compile(r"\.(?!\d)")
_STOPS_REMOVED = 32  # the official code hands a flag to re.sub as the number of replacements; the flag is 32
_NUMBERS = {word: str(n) for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_NUMBERS["none"] = "0"
_ARTICLES = {"a", "an", "the"}

# Words of which the challenge restores a lost apostrophe; with two apostrophes either one may be the lost one.
_WITH_APOSTROPHE = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""".split()
_RESTORED = {
    word[:i] + word[i + 1 :]: word for word in _WITH_APOSTROPHE for i, letter in enumerate(word) if letter == "'"
}
_RESTORED["somebody'd"] = "somebodyd"  # written the wrong way round in the official table, kept so


def normalise_answer(text: str) -> str:
    """Clean an answer as the VQA challenge does: marks, full stops, number words, articles, apostrophes.

    The rules are kept with their side effects, because scores depend on them: a mark that touches a space anywhere
    in the answer is deleted and otherwise becomes a space, and one comma between digits makes every mark vanish.

    Args:
        text: An answer in English.

    Returns:
        The cleaned answer, in lower case; it may be empty ("A." is an article).

    Example:
        >>> normalise_answer("The two dogs, dont!")
        "2 dogs don't"
    """
    text = _trimmed(text)
    has_number = _DIGIT_COMMA_DIGIT.search(text) is not None
    cleaned = text
    for mark in _MARKS:
        is_deleted = has_number or f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if is_deleted else " ")
    cleaned = _LOOSE_STOP.sub("", cleaned, count=_STOPS_REMOVED)
    words = (_NUMBERS.get(word, word) for word in cleaned.lower().split())
    return " ".join(_RESTORED.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(
    predictions: Sequence[str], answers: Sequence[Sequence[str]], mode: str = "official"
) -> dict[str, Any]:
    """Accuracy over questions, each person left out in turn: 0, 1, 2, 3, 4 matches of ten give 0, .3, .6, .9, 1.

    Args:
        predictions: One answer per question ``[N]``; an empty string is an answer like any other.
        answers: The human answers of each question, ten in VQA v1 and v2 (at least two).
        mode: "official": prediction and answers are cleaned only where the raw answers of a question differ, so
            that "Yes" against ten times "yes" is wrong. "always": cleaned for every question.

    Returns:
        ``vqa_accuracy`` (0 to 1), ``per_question`` (list of N numbers), ``mode`` and ``notes``.

    Raises:
        ValueError: No questions, lengths that disagree, an unknown mode, fewer than two answers to a question, or
            an answer that is no string; the message names the question by its position.

    Reference:
        Antol et al. 2015; the leave-one-out mean of the challenge's code, not the short form min(matches / 3, 1).

    Example:
        >>> vqa_accuracy(["yes"], [["yes"] * 2 + ["no"] * 8])["vqa_accuracy"]
        0.6
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; expected 'official' (the challenge's rule) or 'always'")
    _check(predictions, answers)
    per_question = [_one(guess, given, mode) for guess, given in zip(predictions, answers, strict=True)]
    odd = [len(given) for given in answers if len(given) != 10]
    notes = []
    if odd:
        notes.append(
            f"{len(odd)} of {len(answers)} questions have not ten answers (from {min(odd)} to {max(odd)}); "
            "with fewer than four even a perfect answer scores below 1"
        )
    return {
        "vqa_accuracy": float(np.mean(per_question)),
        "per_question": per_question,
        "mode": mode,
        "notes": notes,
    }


def vqa_breakdown(per_question: Sequence[float], kinds: Sequence[Hashable]) -> dict[Hashable, dict[str, float | int]]:
    """Accuracy for each answer type ("yes/no", "number", "other") or question type ("what color is").

    Args:
        per_question: The accuracies ``[N]`` that ``vqa_accuracy`` gives.
        kinds: The type of each question ``[N]``.

    Returns:
        For each type, most frequent first, ``{"vqa_accuracy", "count"}``.

    Raises:
        ValueError: Lengths that disagree.

    Example:
        >>> vqa_breakdown([1.0, 0.0, 0.3], ["yes/no", "yes/no", "other"])["yes/no"]
        {'vqa_accuracy': 0.5, 'count': 2}
    """
    if len(per_question) != len(kinds):
        raise ValueError(f"{len(per_question)} accuracies but {len(kinds)} types; give one type per question")
    values: dict[Hashable, list[float]] = {}
    for value, kind in zip(per_question, kinds, strict=True):
        values.setdefault(kind, []).append(value)
    frequent_first = sorted(values, key=lambda kind: (-len(values[kind]), str(kind)))
    return {k: {"vqa_accuracy": float(np.mean(values[k])), "count": len(values[k])} for k in frequent_first}


def _one(guess: str, given: Sequence[str], mode: str) -> float:
    guess, given = _trimmed(guess), [_trimmed(answer) for answer in given]
    if mode == "always" or len(set(given)) > 1:
        guess, given = normalise_answer(guess), [normalise_answer(answer) for answer in given]
    n, matches = len(given), given.count(guess)
    # Whoever gave the answer sees one match less. Whole numbers until the last step: .3 is exactly 0.3.
    thirds = matches * min(3, matches - 1) + (n - matches) * min(3, matches)
    return thirds / (3 * n)


def _trimmed(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _check(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> None:
    if isinstance(predictions, str) or isinstance(answers, str):
        raise ValueError("one string was given; expected a list of predictions and a list of lists of answers")
    if len(predictions) != len(answers):
        raise ValueError(f"{len(predictions)} predictions but answers to {len(answers)} questions; give one each")
    if len(predictions) == 0:
        raise ValueError("there are no questions; expected at least 1")
    for row, (guess, given) in enumerate(zip(predictions, answers, strict=True)):
        if not isinstance(guess, str):
            raise ValueError(f"predictions[{row}] is {guess!r}; expected a string (empty where there is no answer)")
        if isinstance(given, str):
            raise ValueError(f"answers[{row}] is the single string {given!r}; expected a list of (ten) strings")
        if len(given) < 2:
            raise ValueError(
                f"answers[{row}] holds {len(given)} answers; VQA accuracy leaves one person out, so it needs at least "
                "2 (ten is the standard); for one true answer use plain accuracy"
            )
        for answer in given:
            if not isinstance(answer, str):
                raise ValueError(
                    f"answers[{row}] holds {answer!r}; expected strings, such as [a['answer'] for a in ...]"
                )
