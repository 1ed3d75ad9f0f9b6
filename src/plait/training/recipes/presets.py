"""Presets: how many models are tried and answer together, in one word; a preset never overrides what the user set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from plait.registry import Registry
from plait.settings import EnsembleSettings, SearchSettings

DEFAULT, UNDER_A_LIMIT = "default", "best"
TRIES = 9  # of the search that a time limit is spent on last
SECONDS = ("linear", "ngrams", "trees")  # kinds of members that take seconds
SMALL_TABLE = 2000  # rows; below it folds, so that choosing costs no rows


@dataclass(frozen=True)
class Preset:
    """One preset.

    Attributes:
        says: What it does, in words.
        members: Kinds of members beside the network, as in ``ensemble.members``.
        folds: Folds on a table with fewer than ``SMALL_TABLE`` training rows.
    """

    says: str
    members: tuple[str, ...]
    folds: int = 1


PRESETS: Registry[Preset] = Registry("preset")
PRESETS.add("single", Preset("one network, nothing beside it", ()))
PRESETS.add("fast", Preset("the network and members that take seconds", SECONDS))
PRESETS.add("default", Preset("what is done when nothing is asked for: the same as fast", SECONDS))
PRESETS.add(
    "best",
    Preset(
        "the network, one a modality alone and members that take seconds; on small tables five of each",
        ("alone", *SECONDS), folds=5,
    ),
)  # fmt: skip
PRESETS.add(
    "prototypes",
    Preset(
        "the network, linear models and class means, for classes of which 1 to 16 rows are known; on small tables five "
        "of each", ("prototypes", "linear"), folds=5,
    ),
)  # fmt: skip


def resolve_ensemble(
    chosen: str | None, given: EnsembleSettings, num_train: int, *, is_limited: bool = False, is_named: bool = False
) -> tuple[str, EnsembleSettings]:
    """The preset by name and the open settings of the ensemble filled from it.

    Args:
        chosen: The user's choice; None: "best" under a time limit, which is spent on what it holds, else "default".
        given: The ensemble's settings of the user.
        num_train: Training rows.
        is_limited: Whether the run has a time limit.
        is_named: Whether the user named the network that is to answer: by its fusion, or by the recipe "classic".
    """
    name = chosen or (UNDER_A_LIMIT if is_limited else "single" if is_named else DEFAULT)
    preset = PRESETS.get(name)
    members = preset.members if given.members is None else given.members
    folds = given.folds or (preset.folds if num_train < SMALL_TABLE else 1)
    return name, EnsembleSettings(members, folds if members else 1)


def resolve_search(chosen: str | None, given: SearchSettings, *, is_limited: bool) -> SearchSettings:
    """The search that is made: what was asked for, else one under a time limit that nothing else is to be spent on."""
    if given.tries is not None:
        return given
    fills = is_limited and (chosen or UNDER_A_LIMIT) == "best"
    return replace(given, tries=TRIES if fills else 0)
