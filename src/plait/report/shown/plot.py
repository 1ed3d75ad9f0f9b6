"""The bars of a report as a matplotlib figure. matplotlib is imported when a plot is asked for (extra ``notebook``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.report.shown.fragment import COLOURS
from plait.report.shown.view import Bar


def plot_bars(groups: Sequence[tuple[str, Sequence[Bar]]], axes: Any = None) -> Any:
    """Draw groups of bars with their intervals.

    Args:
        groups: Title and bars of each.
        axes: Where to draw the first group alone; None: a new figure with one part a group.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: There is nothing to draw.
    """
    if not groups:
        raise ValueError("this report holds no numbers to plot; frame() has what it holds as a table")
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("a plot needs the package matplotlib; type: pip install 'plait[notebook]'") from error
    if axes is not None:
        _draw(axes, *groups[0])
        return axes.figure
    heights = [max(1, len(bars)) for _, bars in groups]
    size = (7.5, 0.9 * len(groups) + 0.32 * sum(heights))
    figure, places = plt.subplots(len(groups), 1, figsize=size, height_ratios=heights, squeeze=False, layout="tight")
    for place, (title, bars) in zip(places[:, 0], groups, strict=True):
        _draw(place, title, bars)
    plt.close(figure)  # a notebook shows what a cell returns; without this it would show it twice
    return figure


def _draw(axes: Any, title: str, bars: Sequence[Bar]) -> None:
    for place, bar in enumerate(bars):
        axes.barh(place, bar.value, color=COLOURS.get(bar.part, COLOURS["share"]), height=0.65)
        if bar.low is not None and bar.high is not None:
            axes.plot([bar.low, bar.high], [place, place], color="black", linewidth=1.4, marker="|")
    axes.set_yticks(range(len(bars)), [bar.name.replace("$", r"\$") for bar in bars])
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
