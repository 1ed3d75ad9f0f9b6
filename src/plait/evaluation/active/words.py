"""Why a row is suggested, in words: what the model wavers between, who disagrees, how far a row is from others."""

from __future__ import annotations

import numpy as np

from plait.evaluation.active.pool import Pool
from plait.registry import counted

ANSWERS = {"classes": "a class", "labels": "labels", "number": "a number"}
GRADIENT = "its label would move the last layer, and not as those of the rows above would"
DRAWN = "drawn at random"
MOST_LABELS = 3


def unsure(pool: Pool, position: int) -> str:
    """What the answer wavers between."""
    outputs_C = pool.outputs_NC[position]
    if pool.kind == "labels":
        nearest = np.argsort(np.abs(outputs_C - 0.5), kind="stable")[:MOST_LABELS]
        return "unsure about " + ", ".join(f"{pool.classes[c]!r} ({outputs_C[c]:.0%})" for c in nearest)
    first, *rest = np.argsort(-outputs_C, kind="stable")[:2]
    said = f"{pool.classes[first]!r} ({outputs_C[first]:.0%})"
    if not rest:
        return f"answers {said}"
    return f"unsure between {said} and {pool.classes[rest[0]]!r} ({outputs_C[rest[0]]:.0%})"


def members(pool: Pool, position: int) -> str:
    """The two members that differ most."""
    there = np.flatnonzero(pool.weight_KN[:, position] > 0)
    return "models disagree: " + _opposed(
        pool, pool.members_KNC[there, position], [pool.member_names[k] for k in there]
    )


def modalities(pool: Pool, position: int) -> str:
    """The two modalities that differ most, each answering alone."""
    there = np.flatnonzero(pool.there_NM[position])
    if len(there) < 2:
        return "one modality alone is there, so none disagrees"
    answers = pool.alone_MNC[there, position]
    return "modalities disagree: " + _opposed(pool, answers, [f"{pool.names[m]} alone" for m in there])


def interval(pool: Pool, position: int) -> str:
    """How wide the interval is."""
    assert pool.width_N is not None
    return f"its 90% interval is {pool.width_N[position]:.4g} wide, around {pool.outputs_NC[position, 0]:.4g}"


def cluster(size: int) -> str:
    """What a row stands for."""
    return "no other unsure row is like it" if size == 1 else f"the least sure of {size:,} unsure rows that are alike"


def far(distance: float, has_labelled: bool) -> str:
    """How far a row is from those before it."""
    if not np.isfinite(distance):
        return "the row nearest to the middle of the pool"
    others = "labelled row and every row above" if has_labelled else "row above"
    return f"unlike every {others}: {distance:.2f} away (two rows at random: about 1.41 a modality)"


def alike(count: int) -> str:
    """How many rows of the pool show nearly the same."""
    return f"stands for {counted(count, 'row')} more that show nearly the same"


def _opposed(pool: Pool, answers_KC: np.ndarray, who: list[str]) -> str:
    """The two answers furthest apart, with who gave them."""
    if len(who) < 2:
        return f"{who[0]} alone answers" if who else "nothing answers"
    apart_KK = np.abs(answers_KC[:, None] - answers_KC[None]).sum(-1)
    a, b = sorted(divmod(int(apart_KK.argmax()), len(who)))
    if a == b:
        b = (a + 1) % len(who)
    said = _said(pool, answers_KC[a], answers_KC[b])
    return f"{who[a]} says {said}, {who[b]} {_said(pool, answers_KC[b], answers_KC[a])}"


def _said(pool: Pool, outputs_C: np.ndarray, other_C: np.ndarray) -> str:
    if pool.kind == "number":
        return f"{outputs_C[0]:.4g}"
    c = int(np.argmax(np.abs(outputs_C - other_C))) if pool.kind == "labels" else int(np.argmax(outputs_C))
    return f"{pool.classes[c]!r} ({outputs_C[c]:.0%})"
