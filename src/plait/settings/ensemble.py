"""Settings of what answers together, and of the search for it."""

from __future__ import annotations

from dataclasses import dataclass

from plait.settings.ranges import at_least, choices

MEMBERS = ("alone", "seeds", "linear", "ngrams", "trees", "prototypes")


@dataclass(frozen=True)
class EnsembleSettings:
    """Which models answer together."""

    members: tuple[str, ...] | None = choices(None, MEMBERS)
    """What is tried beside the network of all modalities, which is always there: alone (one network a modality), seeds
    (the same network from two other seeds), linear, ngrams, trees, prototypes (class means); (): it answers alone;
    None: the preset's choice.
    """
    folds: int | None = at_least(None, 1)
    """Models of each member, each of which has not seen another part of the rows; 1: validation rows choose; None: the
    preset's choice for the number of rows.
    """


@dataclass(frozen=True)
class SearchSettings:
    """Hyperparameter search by successive halving on validation rows."""

    tries: int | None = at_least(None, 0)
    """Configurations of fusion, width, dropout, learning rate and objectives that are tried; 0: no search; None: 9 as
    the last of what a time limit is spent on under the preset best, else 0.
    """
    eta: int = at_least(3, 2)
    """Of the tries of a rung one in so many goes on to the next, which trains so many times longer."""
    keep: int = at_least(2, 1)
    """How many of the best are trained in full as candidates, beside the network of the given settings."""
    fusions: tuple[str, ...] = ()
    """Fusions that are tried; (): those that read one vector a modality and suit any table."""
