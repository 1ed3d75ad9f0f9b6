"""Rows that show nearly the same, within and across train, val and test, and what they do to the score.

Pictures and sounds are alike where the centred features of their frozen encoder have a cosine of ``LEAST_COSINE``,
texts where their character shingles have a Jaccard similarity of ``LEAST_JACCARD``; equal contents (by their hash,
texts apart from case and spaces) always are. A content that stands in very many rows, and a list of set phrases, ties
nothing together. Numbers, categories and vectors are not looked at.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from plait.data.column_kind import COLUMN_KINDS, kind_of
from plait.data.shared_content import MOST_SHARED
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart
from plait.evaluation.trust.features import item_features
from plait.metrics.trust.near_pairs import folded, similar_pairs, similar_texts
from plait.registry import counted
from plait.training.known_split import recognise

LEAST_COSINE = 0.9  # of centred features
LEAST_JACCARD = 0.8
MOST_ITEMS = 20_000  # of a modality
MOST_SHOWN = 50
LEAST_ROWS = 10  # for a score of their own


class _Pairs(NamedTuple):
    """Pairs of rows of one modality and how alike they are, 1 only where the contents are equal [P]."""

    left: np.ndarray
    right: np.ndarray
    alike: np.ndarray


def evaluate_duplicates(inputs: TrustInputs) -> dict[str, Any]:
    """The part "duplicates".

    Returns:
        ``modalities``: for each how pairs were found (``how``), ``contents`` compared, ``pairs`` of rows and how many
        of them are ``equal`` and ``cross`` two splits; ``pairs``: the first of them, those that cross splits first,
        with their row numbers, splits and ``alike``; ``judged``: judged rows, ``with_twin``: those with a
        near twin in training, ``metric`` and the score of ``all``, ``without`` them and of the ``twins`` alone (None
        where there are too few); ``notes`` and a ``sentence``.
    """
    split, notes = _split(inputs)
    tables, found = [], []
    for name in inputs.given.model.config.modality_names:
        made = _pairs(inputs, name, notes)
        if made is None:
            continue
        how, contents, pairs = made
        crosses = split[pairs.left] != split[pairs.right]
        tables.append({
            "modality": name, "how": how, "contents": contents, "pairs": len(pairs.left),
            "equal": int((pairs.alike >= 1.0).sum()), "cross": int(crosses.sum()),
        })  # fmt: skip
        found += [(not c, -float(a), name, int(i), int(j)) for i, j, a, c in zip(*pairs, crosses, strict=True)]
    effect = _effect(inputs, split, found)
    found.sort(key=lambda pair: pair[:2])
    number = [inputs.whole.prepared.rows.table.row_number(int(p)) for p in inputs.whole.positions]
    shown = [
        {"modality": name, "rows": [number[i], number[j]], "splits": [str(split[i]), str(split[j])], "alike": -alike}
        for _, alike, name, i, j in found[:MOST_SHOWN]
    ]
    sentence = _sentence(tables, effect, "train" in split)
    return {"modalities": tables, "pairs": shown, **effect, "notes": notes, "sentence": sentence}


def _split(inputs: TrustInputs) -> tuple[np.ndarray, list[str]]:
    """Part of each row of the whole table; where nothing tells, "judged" or "other"."""
    whole, fitted = inputs.whole, inputs.fitted
    table = whole.prepared.rows.table
    facts = fitted.report.get("facts", {})
    known = recognise(
        table, schema=fitted.schema, task=fitted.task, seed=fitted.settings.train.seed, facts=facts,
        data=fitted.settings.data,
    )  # fmt: skip
    if known.split is not None:
        return np.asarray(known.split, dtype=object)[whole.positions], []
    judged = set(_numbers(inputs.given).tolist())
    named = ["judged" if n in judged else "other" for n in _numbers(whole).tolist()]
    return np.array(named, dtype=object), ["nothing tells which rows trained the model: splits are not known"]


def _numbers(given: Any) -> np.ndarray:
    return np.array([given.prepared.rows.table.row_number(int(p)) for p in given.positions], dtype=np.int64)


def _pairs(inputs: TrustInputs, name: str, notes: list[str]) -> tuple[str, int, _Pairs] | None:
    """How pairs of one modality are found, how many contents were compared, and the pairs of rows."""
    whole = inputs.whole
    items = whole.prepared.rows.items[name]
    is_text = items.modality.kind == "text"
    if not is_text and kind_of(items.modality).watched is None:
        return None
    index_N = items.index_N[whole.positions]
    texts = [folded(str(cell)) for cell in items.cells] if is_text else []
    keys = texts if is_text else items.keys
    checks = COLUMN_KINDS.get("text").checks
    shown = [keys[i] if i >= 0 else None for i in index_N.tolist()]
    if is_text and checks is not None and checks.leak_severity({name: shown}) == "info":
        notes.append(f"most texts of {name} come back again and again, as set questions do: they tie no rows together")
        return None
    count = Counter(key for key in shown if key is not None)
    most = max(2, MOST_SHARED * len(index_N))
    common = {key for key, rows in count.items() if rows > most}
    if common:
        told = counted(len(common), "content")
        notes.append(f"{told} of {name} in more than {MOST_SHARED:.0%} of the rows each: they tie no rows together")
    rows_of: dict[str, list[int]] = {}
    item_of: dict[str, int] = {}
    for row, (key, item) in enumerate(zip(shown, index_N.tolist(), strict=True)):
        if key is not None and key not in common:
            rows_of.setdefault(key, []).append(row)
            item_of.setdefault(key, item)
    chosen = _at_most(inputs, name, list(rows_of), rows_of, notes)
    if is_text:
        how, (left, right, alike) = f"Jaccard {LEAST_JACCARD:g}", similar_texts(chosen, LEAST_JACCARD)
        alike = np.minimum(alike, np.nextafter(1.0, 0.0))  # other texts with the same shingles are not equal
    elif name in inputs.fitted.inputs.frozen and len(chosen) > 2:
        how = f"cosine {LEAST_COSINE:g}"
        made = item_features(inputs.fitted.inputs, whole.prepared, whole.model)[name]
        left, right, alike = similar_pairs(_centred(made[[item_of[key] for key in chosen]]), LEAST_COSINE)
        alike = np.minimum(alike, np.nextafter(1.0, 0.0))
    else:
        how, left, right, alike = "equal contents", *(np.zeros(0, np.int64),) * 2, np.zeros(0)
        notes.append(f"{name} is compared by equal contents only: its encoder is not frozen")
    pairs = [(a, b, 1.0) for rows in rows_of.values() for k, a in enumerate(rows) for b in rows[k + 1 :]]
    for i, j, value in zip(left.tolist(), right.tolist(), alike.tolist(), strict=True):
        pairs += [(min(a, b), max(a, b), value) for a in rows_of[chosen[i]] for b in rows_of[chosen[j]]]
    columns = list(zip(*pairs, strict=True)) if pairs else [(), (), ()]
    made_pairs = _Pairs(*(np.array(c, dtype=t) for c, t in zip(columns, (int, int, float), strict=True)))
    return how, len(chosen), made_pairs


def _centred(features_ID: np.ndarray) -> np.ndarray:
    """Unit vectors of features without their mean, which the contents of a table share."""
    values = features_ID.astype(np.float64) - features_ID.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(length > 0, length, 1.0)).astype(np.float32)


def _at_most(
    inputs: TrustInputs, name: str, keys: list[str], rows_of: dict[str, list[int]], notes: list[str]
) -> list[str]:
    """All contents, or those of judged rows and a sample of the others."""
    if len(keys) <= MOST_ITEMS:
        return keys
    judged = set(_judged(inputs).tolist())
    rank = [0 if judged.intersection(rows_of[key]) else 1 for key in keys]
    order = np.lexsort((np.random.default_rng(inputs.seed).random(len(keys)), rank))[:MOST_ITEMS]
    notes.append(
        f"near pairs of {name} are looked for among {MOST_ITEMS:,} of {len(keys):,} contents, those of judged rows "
        f"first, the others sampled with seed {inputs.seed}; equal contents among all"
    )
    return [keys[i] for i in np.sort(order).tolist()]


def _judged(inputs: TrustInputs) -> np.ndarray:
    """Place of each judged row among the rows of the whole table [N]."""
    place = {number: i for i, number in enumerate(_numbers(inputs.whole).tolist())}
    return np.array([place[number] for number in _numbers(inputs.given).tolist()], dtype=np.int64)


def _effect(inputs: TrustInputs, split: np.ndarray, found: list[tuple[bool, float, str, int, int]]) -> dict[str, Any]:
    """Judged rows with a near twin in training, and the score without them."""
    twin = np.zeros(len(split), dtype=bool)
    for within, _, _, i, j in found:
        if not within:
            twin[i] |= split[j] == "train"
            twin[j] |= split[i] == "train"
    has_twin = twin[_judged(inputs)]
    made: dict[str, Any] = {"judged": len(has_twin), "with_twin": int(has_twin.sum()), "metric": None}
    if inputs.fitted.task.output_kind not in ("classes", "labels", "number") or "train" not in split:
        return {**made, "all": None, "without": None, "twins": None}
    task, outputs, target = inputs.given.task, inputs.outputs_NC, np.asarray(inputs.given.target)

    def score(rows: np.ndarray) -> float | None:
        return task.metrics(target[rows], outputs[rows]).get(task.primary) if rows.sum() >= LEAST_ROWS else None

    scores = {"all": score(np.ones_like(has_twin)), "without": score(~has_twin), "twins": score(has_twin)}
    return {**made, "metric": task.primary, **scores}


def _sentence(tables: list[dict[str, Any]], effect: dict[str, Any], has_train: bool) -> str:
    if not any(table["pairs"] for table in tables):
        return "No two rows show nearly the same."
    told = [
        f"{counted(t['pairs'], 'pair')} of rows with nearly the same {t['modality']} ({t['equal']:,} equal, "
        f"{t['cross']:,} across splits)"
        for t in tables if t["pairs"]
    ]  # fmt: skip
    text = f"{'; '.join(told)}. "
    if not has_train:
        return f"{text}No training rows are in this table to compare judged rows with."
    if not effect["with_twin"]:
        return f"{text}No judged row has a near twin in training."
    text += f"{effect['with_twin']:,} of {counted(effect['judged'], 'judged row')} have a near twin in training"
    if effect["all"] is None or effect["without"] is None:
        return f"{text}."
    return f"{text}: {effect['metric']} {effect['all']:.3f} with them, {effect['without']:.3f} without."


def _reason(inputs: TrustInputs) -> str | None:
    items = inputs.given.prepared.rows.items.values()
    if any(i.modality.kind == "text" or kind_of(i.modality).watched is not None for i in items):
        return None
    return "the model reads no pictures, sounds or texts"


TRUST_PARTS.add("duplicates", TrustPart("Near duplicates", evaluate_duplicates, _reason))
