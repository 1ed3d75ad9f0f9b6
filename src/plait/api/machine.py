"""What this installation has and can: pretrained weights, the feature store, fusion methods, a report as JSON values.

Thin doors to the rooms below, for the command line; each room is imported when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.registry import load_plugins

if TYPE_CHECKING:
    from plait.inputs.feature_store import FeatureStore


def list_weights() -> list[dict[str, Any]]:
    """Every named set of weights and whether it is here; see :func:`plait.weights.list_weights`."""
    from plait import weights

    return weights.list_weights()


def fetch_weights(name: str, **how: Callable[..., None]) -> Path:
    """Bring weights to this machine (uses the network); see :func:`plait.weights.fetch`."""
    from plait import weights

    return weights.fetch(name, **how)


def default_weights() -> list[str]:
    """The named weights that runs use where no other encoder is named."""
    from plait.settings import EncoderSettings
    from plait.weights import RECORDS

    return [value for value in vars(EncoderSettings()).values() if isinstance(value, str) and value in RECORDS]


def feature_store() -> FeatureStore:
    """The feature store that runs of this user share."""
    from plait.inputs.feature_store import FeatureStore

    return FeatureStore()


def list_fusions() -> list[dict[str, Any]]:
    """Every fusion method: what it can express, whether it joins answers or reads tokens, its equation and paper.

    Under ``package`` stands the plug-in that brings it; None: Plait itself.
    """
    from plait.api.plugins.listing import shown_origin
    from plait.fusion import FUSIONS

    load_plugins()
    return [
        {
            "name": name, "interaction": kind.interaction, "late": kind.is_late, "tokens": kind.info.needs_tokens,
            "equation": kind.info.equation, "paper": kind.info.paper, "package": shown_origin(FUSIONS.origin(name)),
        }
        for name, kind in ((name, FUSIONS.get(name)) for name in FUSIONS)
    ]  # fmt: skip


def report_values(report: dict[str, Any]) -> dict[str, Any]:
    """A report or an explanation as strict JSON values, its pictures named and not carried."""
    from plait.report.plain import plain, without_pictures

    return without_pictures(plain(report))


def in_language(lang: str | None, text: str, names: Collection[str] = (), kind: str = "") -> str:
    """A line of ours in a language of pages, with the space around it; None: as it is, in English.

    Args:
        lang: The language.
        text: The line.
        names: Names of the data, which stay as they are.
        kind: Of a word that data could hold too, such as "metric".
    """
    if lang in (None, "en"):
        return text
    from plait.report.languages import spoken, tr

    bare = text.strip()
    with spoken(str(lang), names):
        return text.replace(bare, str(tr(bare, kind)), 1) if bare else text


def runs_alone() -> bool:
    """Whether this process was started alone, and not by ``torchrun`` with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2


def is_first_process() -> bool:
    """Whether this process writes and speaks: the first of those that ``torchrun`` started, or one started alone."""
    return runs_alone() or os.environ.get("RANK", "0") == "0"
