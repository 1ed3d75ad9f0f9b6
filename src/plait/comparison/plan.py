"""What a comparison runs: the methods, and the configurations that every one of them is tried with.

Settings and names come in, frozen records go out; nothing is trained here. Fairness is decided in this file: the
list of configurations is one and the same for every method and for every single modality, early stopping is off so
that all take the same number of steps, and a setting the user fixes is fixed for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plait.fusion import FUSIONS
from plait.objectives import OBJECTIVES
from plait.registry import load_plugins, unknown_name
from plait.settings import NO_METHOD, RunSettings
from plait.tasks import TASKS

PAIR_HEAD = "pair_head"
PAIR_FUSION = "cosine"
SINGLE_FUSION = "concat"
WRITER_FUSION = "prefix"  # of a single modality that a writer reads: all its tokens
MEAN_ENSEMBLE = "mean of single modalities"
SEARCH_SEED = 0
MAX_EPOCHS = 10  # of a run, where the user sets none: a sweep trains over a hundred models

# (factor on the recipe's learning rate, dropout or None for the recipe's own, factor on the recipe's width)
VARIANTS: tuple[tuple[float, float | None, float], ...] = (
    (1.0, None, 1.0),
    (3.0, 0.5, 0.5),
    (1 / 3, 0.1, 1.0),
    (1 / 3, 0.5, 2.0),
    (3.0, 0.1, 0.5),
    (1.0, 0.5, 2.0),
    (1.0, 0.1, 0.5),
    (1 / 3, None, 0.5),
    (3.0, None, 1.0),
)


@dataclass(frozen=True)
class Method:
    """One line of the comparison.

    Attributes:
        name: What it is called, and typed as.
        kind: "fusion", "late" (a fusion of answers) or "single" (one modality alone).
        fusion: Name of the fusion in the registry.
        head: Name of the head.
        modalities: Names of the modalities it reads, in model order.
        objectives: Training aids that are on in this line alone, with their strengths.
    """

    name: str
    kind: str
    fusion: str
    head: str
    modalities: tuple[str, ...]
    objectives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Configuration:
    """One point of the search."""

    learning_rate: float
    dropout: float
    width: int


def choose_methods(
    task: str, modalities: Sequence[str], fusion: str | Sequence[str], objectives: str | Sequence[str] = ()
) -> list[Method]:
    """The methods asked for, then each modality alone.

    Args:
        task: Name of the task.
        modalities: Names of the modalities.
        fusion: "all", a name, names between commas, or a list of names. ``pair_head``, the default design of the
            matching task (``cosine`` with the pair head), is a method of its own; "all" holds it for that task.
        objectives: Training aids, as :func:`choose_objectives` takes them; each fusion stands there plain and with
            each.

    Raises:
        ValueError: An unknown or no name, or fewer than two modalities; one is enough where text is written, since
            fusions hand the writer the tokens of one differently too.
    """
    load_plugins()
    record = TASKS.get(task)
    if len(modalities) < (1 if record.family.writes else 2):
        raise ValueError(
            f"a comparison of fusion methods needs at least two modalities, found {len(modalities)} "
            f"({', '.join(modalities)}); name more columns with text=, image=, numeric= or categorical="
        )
    given = fusion.split(",") if isinstance(fusion, str) else list(fusion)
    names = [name.strip() for name in given if name.strip()]
    if names == ["all"]:
        names = [*FUSIONS.names(), *([PAIR_HEAD] if record.judges_pairs else [])]
    if not names:
        raise ValueError(f"no fusion is named; type fusion='all' or some of {', '.join(FUSIONS.names())}")
    known = [*FUSIONS.names(), PAIR_HEAD]
    for name in names:
        if name not in known:
            raise ValueError(unknown_name("fusion", name, ["all", *known]))
    everything = tuple(modalities)
    head, single = ("generate", WRITER_FUSION) if record.family.writes else ("label", SINGLE_FUSION)
    methods = []
    for name in dict.fromkeys(names):
        if name == PAIR_HEAD:
            methods.append(Method(name, "fusion", PAIR_FUSION, "pair", everything))
        else:
            kind = "late" if FUSIONS.get(name).is_late else "fusion"
            methods.append(Method(name, kind, name, head, everything))
    aids = choose_objectives(objectives)
    if aids and record.family.writes:
        raise ValueError(f"training aids work on labels and numbers, not on text ({task}); leave objectives= out")
    if aids:
        methods = [m for plain in methods for m in (plain, *(_with_objective(plain, *aid) for aid in aids))]
    alone = modalities if len(modalities) > 1 else ()
    return [*methods, *(Method(f"{m} alone", "single", single, head, (m,)) for m in alone)]


def usual_fusion(resolved: RunSettings) -> str:
    """The method that the recipe takes for this table."""
    assert resolved.fusion.name is not None
    return PAIR_HEAD if resolved.task.head == "pair" else resolved.fusion.name


def choose_objectives(objectives: str | Sequence[str]) -> list[tuple[str, float]]:
    """Training aids with their strengths, in the order asked for.

    Args:
        objectives: "all", names between commas, or a list of names; a name may bring its strength ("ogm=0.3"), else it
            is the usual one. Empty: none.

    Raises:
        ValueError: An unknown name, or a strength that is no number above 0.
    """
    given = objectives.split(",") if isinstance(objectives, str) else list(objectives)
    words = [word.strip() for word in given if word.strip()]
    if words == ["all"]:
        words = OBJECTIVES.names()
    chosen: dict[str, float] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if name not in OBJECTIVES:
            raise ValueError(unknown_name("training aid", name, ["all", *OBJECTIVES.names()], where="objectives="))
        chosen[name] = _strength(name, value) if equals else OBJECTIVES.get(name).usual
    return list(chosen.items())


def _strength(name: str, value: str) -> float:
    try:
        strength = float(value)
    except ValueError:
        strength = math.nan
    if not 0 < strength < math.inf or (name == "gradient_blending" and strength != 1):
        wanted = "1 (it is on or off)" if name == "gradient_blending" else "a number above 0"
        raise ValueError(
            f"objectives: the strength of {name} is {value!r}; expected {wanted}, as in objectives=['ogm=0.5']"
        )
    return strength


def _with_objective(method: Method, name: str, strength: float) -> Method:
    usual = strength == OBJECTIVES.get(name).usual
    return replace(
        method, name=f"{method.name} + {name}" + ("" if usual else f"={strength:g}"), objectives=((name, strength),)
    )


def objective_settings(method: Method) -> dict[str, Any]:
    """The settings under ``train`` that a line's training aids are."""
    return {name: True if name == "gradient_blending" else strength for name, strength in method.objectives}


def make_configurations(resolved: RunSettings, asked: RunSettings, number: int) -> list[Configuration]:
    """The first ``number`` configurations; what the user fixed has that one value in all of them.

    Args:
        resolved: Settings with every None filled by the recipe.
        asked: Settings as the user gave them.
        number: How many, 1 to 9; 1 is the recipe's own values and no search.

    Raises:
        ValueError: A number out of range.
    """
    if not 1 <= number <= len(VARIANTS):
        raise ValueError(f"search is {number}; expected 1 (the recipe's values, no search) to {len(VARIANTS)}")
    rate, dropout, width = resolved.train.learning_rate, resolved.fusion.dropout, resolved.fusion.width
    assert rate is not None and dropout is not None and width is not None
    if asked.fusion.width is None:
        width //= resolved.fusion.options.get("copies", 1)  # the recipe counts all towers; here is one
    made = []
    for rate_factor, other_dropout, width_factor in VARIANTS[:number]:
        made.append(
            Configuration(
                rate if asked.train.learning_rate is not None else float(f"{rate * rate_factor:.3g}"),
                dropout if asked.fusion.dropout is not None or other_dropout is None else other_dropout,
                width if asked.fusion.width is not None else max(8, int(width * width_factor) // 8 * 8),
            )
        )
    return list(dict.fromkeys(made))


def shared_budget(resolved: RunSettings, asked: RunSettings) -> RunSettings:
    """The recipe's settings with the budget that every run gets: the user's epochs, or the recipe's but at most 10."""
    epochs = resolved.train.epochs
    assert epochs is not None
    if asked.train.epochs is None:
        epochs = min(epochs, MAX_EPOCHS)
    return replace(resolved, train=replace(resolved.train, epochs=epochs))


def check_asked(asked: RunSettings, objectives: str | Sequence[str] = ()) -> None:
    """Refuse settings that would give methods unequal chances.

    Args:
        asked: Settings as the user gave them.
        objectives: Training aids to compare.

    Raises:
        ValueError: A setting that the comparison itself decides, or as :func:`choose_objectives`.
    """
    refused = {
        "fusion.name": (asked.fusion.name is not None, "type fusion='a,b,c' to choose the methods"),
        "fusion.options": (bool(asked.fusion.options), "options belong to one method; all are compared as they come"),
        "task.head": (asked.task.head is not None, f"every method has the head of its task; {PAIR_HEAD} is a method"),
        "semi.method": (asked.semi.method not in (None, NO_METHOD), "no method learns from unlabelled rows here"),
        "train.patience": (bool(asked.train.patience), "all methods train for the same number of steps; set epochs"),
    }
    if choose_objectives(objectives):
        refused |= {
            f"train.{name}": (
                bool(getattr(asked.train, name)),
                f"objectives= gives it to a line; type '{name}=STRENGTH'",
            )
            for name in OBJECTIVES
        }
    for name, (is_set, instead) in refused.items():
        if is_set:
            raise ValueError(f"{name} cannot be set in a comparison: {instead}")


def run_settings(
    base: RunSettings, method: Method, configuration: Configuration, seed: int, *, align_all: bool = False
) -> RunSettings:
    """The settings of one run: the base, with what this run differs in.

    Args:
        base: Resolved settings.
        method: The method.
        configuration: What of the search it runs with.
        seed: Its seed.
        align_all: The user asked for alignment, so every method gets it; else it belongs to the pair head.
    """
    alignment = base.train.alignment if align_all or method.head == "pair" else 0.0
    return replace(
        base,
        fusion=replace(
            base.fusion, name=method.fusion, width=configuration.width, dropout=configuration.dropout, options={}
        ),
        task=replace(base.task, head=method.head),
        train=replace(
            base.train, learning_rate=configuration.learning_rate, seed=seed, patience=0, baselines=False,
            log_to=(), **{"alignment": alignment, **objective_settings(method)},
        ),
    )  # fmt: skip


def describe(method: Method) -> dict[str, Any]:
    """What a method says about itself, from its record in the registry."""
    kind = FUSIONS.get(method.fusion)
    told = [kind.info, *(OBJECTIVES.get(name) for name, _ in method.objectives)]
    return {
        "name": method.name, "kind": method.kind, "fusion": method.fusion, "head": method.head,
        "modalities": list(method.modalities), "objectives": dict(method.objectives),
        "equation": "; ".join(one.equation for one in told), "paper": "; ".join(one.paper for one in told),
        "needs_tokens": kind.info.needs_tokens,
    }  # fmt: skip
