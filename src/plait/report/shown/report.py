"""A report as a dictionary that shows itself: in a notebook, as a data frame, as a plot. JSON writes it as before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plait.report.languages import ENGLISH, spoken, tr
from plait.report.plain import plain
from plait.report.shown.fragment import fragment
from plait.report.shown.plot import plot_bars
from plait.report.shown.view import VIEWS, ReportView
from plait.report.words import number, span


class ShownReport(dict[str, Any]):
    """A report with the keys and values of its JSON.

    Args:
        content: The report.
        kind: A name of ``plait.report.shown.VIEWS``: "evaluation", "explanation", "comparison" or "check".
        lang: Language in which it shows itself, "en" or "zh"; keys, the frame and the JSON are the same in each.

    Example:
        >>> report = ShownReport({"verdict": "Good.", "metric": {"name": "accuracy"}}, "evaluation")
        >>> report["verdict"], isinstance(report, dict)
        ('Good.', True)
    """

    def __init__(self, content: Mapping[str, Any], kind: str, lang: str = ENGLISH) -> None:
        super().__init__(content)
        self.kind, self.lang = kind, lang

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self.kind, self.lang)

    def in_language(self, lang: str | None) -> ShownReport:
        """The report, which shows itself in ``lang`` ("en", "zh") from here on; None changes nothing."""
        self.lang = lang or self.lang
        return self

    @property
    def _view(self) -> ReportView:
        return VIEWS.get(self.kind)

    def __repr__(self) -> str:
        large, sentence = self._view.number(self), self._view.sentence(self)
        interval = "" if large is None or not span(large.low, large.high) else f" ({span(large.low, large.high)})"
        said = [sentence, "" if large is None else f"{large.name} {number(large.value)}{interval}"]
        keys = ", ".join(map(str, self))
        return f"{self._view.name}({'; '.join(filter(None, [*said, f'keys: {keys}']))})"

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, title: str | None = None) -> str:
        """What a notebook shows, under ``title``: HTML in the colours of the page around it, all texts escaped."""
        content = plain(self)
        with spoken(self.lang, self._view.names(content)):
            about = [self._view.name, *(content.get(key) for key in ("task", "target", "source"))]
            heading = title or " \u00b7 ".join(str(tr(str(part))) for part in about if part)
            return fragment(self._view, content, heading)

    def frame(self) -> Any:
        """The numbers of the report as a pandas DataFrame, one row each.

        Of an evaluation a row for each metric with its interval, of all modalities and of each alone and left out; of
        an explanation one a modality; of a comparison one a method; of a check one a finding.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame_of(self._view.rows(plain(self)))

    def plot(self, ax: Any = None) -> Any:
        """The bars that a notebook shows, with their intervals, as a matplotlib figure.

        Args:
            ax: Axes to draw the first group of bars on; None: a new figure.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: The report has nothing to plot, as that of a check.
        """
        return plot_bars(self._view.bars(plain(self)), ax)


def frame_of(rows: Any) -> Any:
    """A pandas DataFrame of rows, or of an Arrow table.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("a data frame needs the package pandas; type: pip install 'plait[notebook]'") from error
    return rows.to_pandas() if hasattr(rows, "to_pandas") else pd.DataFrame(rows)
