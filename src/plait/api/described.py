"""Zero-shot classes described in words: each class is the mean of its sentences in the space of two towers.

Behind ``Plait.described``. Labelled rows are not needed; where there are some, they make the probabilities true by one
temperature, which changes no answer.

Reference: Radford et al., ICML 2021 (prompt ensembling); Guo et al., ICML 2017 (temperature).
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml

from plait.api.chunks import CHUNK_ROWS
from plait.api.embedding_output import SENTENCES, embed_modality, embedding_head, side_of
from plait.api.prediction_rows import named_rows
from plait.data.progress import Progress
from plait.data.table import Table, read_table
from plait.metrics.intervals import metric_intervals
from plait.metrics.label import classification_metrics
from plait.registry import counted, unknown_name
from plait.tasks.calibrators import Temperature
from plait.tasks.labels import class_name
from plait.training.fitted import FittedParts

FEWEST = 2  # labelled rows that calibrate
Sentences = dict[str, tuple[str, ...]]


class DescribedClasses:
    """Classes in words, and a model whose towers find the nearest of them.

    Args:
        fitted: A model of two towers.
        labels: What :func:`read_descriptions` takes.
        shown: Modality to classify, of images or sounds; None: the first of them.
        words: Modality that reads the sentences; None: the first text one.

    Attributes:
        classes: Names, in the order of the descriptions.
        temperature: What the logits are divided by; 1 until :meth:`calibrate`.

    Raises:
        ValueError: The model has no such towers, or the descriptions cannot be read.
    """

    def __init__(
        self, fitted: FittedParts, labels: Any, *, shown: str | None = None, words: str | None = None
    ) -> None:  # fmt: skip
        head = embedding_head(fitted)
        self.fitted, self.sentences = fitted, read_descriptions(labels)
        self.shown, text = side_of(fitted, tuple(SENTENCES), shown), side_of(fitted, ("text",), words)
        self.classes = tuple(self.sentences)
        self.scale, self.temperature = float(head.scale.detach()) * head.stretch, 1.0
        said = [(c, sentence) for c, each in enumerate(self.sentences.values()) for sentence in each]
        prompts = read_table([{text.columns[0]: sentence} for _, sentence in said])
        unit_SD, _ = embed_modality(fitted, prompts, text.name, "error")
        class_S = np.array([c for c, _ in said])
        mean_CD = np.stack([unit_SD[class_S == c].astype(np.float64).mean(0) for c in range(len(self.classes))])
        self.words_CD = mean_CD / np.maximum(np.linalg.norm(mean_CD, axis=1, keepdims=True), 1e-12)

    def logits(
        self, table: Table, on_bad_row: str = "missing", progress: Progress | None = None
    ) -> tuple[np.ndarray, dict[int, str]]:
        """Logits [N, C], NaN in rows that show nothing; and what is wrong with those rows, by position."""
        shown_ND, bad = embed_modality(self.fitted, table, self.shown.name, on_bad_row, progress)
        logits_NC = self.scale * shown_ND.astype(np.float64) @ self.words_CD.T / self.temperature
        nothing_N = ~shown_ND.any(1)
        logits_NC[nothing_N] = np.nan
        problems = {int(i): f"no {self.shown.name} in this row" for i in np.flatnonzero(nothing_N)}
        return logits_NC, problems | {b.row: f"{b.column}: {b.reason}" for b in bad}

    def predict(
        self, table: Any, *, on_bad_row: str = "missing", allow_outside: bool = False,
        allow_remote: bool = False, format: str | None = None,
        encoding: str | None = None, progress: Progress | None = None,
    ) -> pa.Table:  # fmt: skip
        """The nearest class of each row: ``row``, the id column, ``prediction``, ``probability``, one for each class,
        and ``problem``; rows that show nothing have no answer.

        Args:
            table: Anything ``read_table`` takes, with the column of the shown modality.
            on_bad_row: "missing", "skip" (both: no answer) or "error".
            allow_outside: Let cells name files outside the table's folder.
            allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
            format: Format of a file whose name does not tell it.
            encoding: Encoding of a text file that is not UTF-8.
            progress: Called with (done, total, what).

        Raises:
            ValueError: No such column, or a bad row under "error".
        """
        opened = read_table(
            table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote
        )
        parts = []
        for start in range(0, len(opened), CHUNK_ROWS):
            part = opened.take(np.arange(start, min(start + CHUNK_ROWS, len(opened))))
            logits_NC, problems = self.logits(part, on_bad_row, progress)
            probability_NC, there_N = _probabilities(logits_NC), np.isfinite(logits_NC[:, 0])
            guess = [self.classes[c] if there else None for c, there in zip(_answers(logits_NC), there_N, strict=True)]
            columns = named_rows(part, self.fitted.schema)
            columns["prediction"] = pa.array(guess, pa.string())
            columns["probability"] = pa.array(probability_NC.max(1), mask=~there_N)
            columns |= {
                f"probability_{c}": pa.array(probability_NC[:, i], mask=~there_N) for i, c in enumerate(self.classes)
            }
            columns["problem"] = pa.array([problems.get(i) for i in range(len(part))], pa.string())
            parts.append(pa.table(columns))
        return pa.concat_tables(parts)

    def calibrate(self, table: Any, target: str, **opened: Any) -> float:
        """Learn the temperature from labelled rows, and return it.

        Args:
            table: The rows.
            target: Column of their classes.
            opened: As for :meth:`predict`.

        Raises:
            ValueError: Fewer than two rows that show something and are of a described class, or as :meth:`predict`.

        Warns:
            UserWarning: The temperature lies at its bound, as where every one of a few rows is answered right.
        """
        self.temperature = 1.0
        logits_NC, truth_N, _ = self._labelled(table, target, **opened)
        if len(truth_N) < FEWEST:
            raise ValueError(f"{counted(len(truth_N), 'labelled row')} cannot calibrate; give {FEWEST} or more")
        found = Temperature.fit(logits_NC, truth_N)
        self.temperature = found.temperature
        if found.is_at_bound:
            warnings.warn(
                f"the temperature that {counted(len(truth_N), 'labelled row')} teach lies at its bound, "
                f"{found.temperature:.3g}, as where a few rows are all answered right, or all wrong; give more of them",
                UserWarning,
                stacklevel=2,
            )
        return self.temperature

    def evaluate(self, table: Any, target: str, *, seed: int = 0, **opened: Any) -> dict[str, Any]:
        """Metrics of the nearest class on labelled rows, with 95 % intervals.

        Args:
            table: The rows.
            target: Column of their classes, spelled as in the descriptions.
            seed: Of the intervals.
            opened: As for :meth:`predict`.

        Returns:
            ``rows``, ``metrics`` (each value, low and high), ``classes``, ``temperature`` and ``notes``.

        Raises:
            ValueError: No row can be judged, or as :meth:`predict`.
        """
        logits_NC, truth_N, notes = self._labelled(table, target, **opened)
        probability_NC = _probabilities(logits_NC)
        metrics = metric_intervals(
            partial(_metrics, truth_N, probability_NC), len(truth_N), resamples=500, seed=seed
        )  # fmt: skip
        return {
            "rows": len(truth_N), "metrics": metrics, "classes": list(self.classes), "temperature": self.temperature,
            "notes": notes,
        }  # fmt: skip

    def _labelled(
        self, table: Any, target: str, *, on_bad_row: str = "missing", allow_outside: bool = False,
        allow_remote: bool = False,
        format: str | None = None, encoding: str | None = None, progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:  # fmt: skip
        """Logits and class numbers of the rows that can be judged, and notes on the others."""
        opened = read_table(
            table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote
        )
        if target not in opened.column_names:
            raise ValueError(f"{opened.source}: {unknown_name('column', target, opened.column_names, where='target=')}")
        place = {class_name(c) or c: i for i, c in enumerate(self.classes)}
        named = [class_name(cell) for cell in opened.column(target)]
        logits_NC, problems = self.logits(opened, on_bad_row, progress)
        there_N = np.isfinite(logits_NC[:, 0])
        known_N = np.array([name in place for name in named], dtype=bool)
        others = sorted({name for name in named if name is not None and name not in place})
        rows = np.flatnonzero(there_N & known_N)
        if len(rows) == 0:
            raise ValueError(
                f"no row of {opened.source} shows something and has one of the described classes "
                f"{', '.join(self.classes)} in {target!r}; it has {', '.join(others[:5]) or 'none'}"
            )
        notes = []
        if problems:
            first = min(problems)
            notes.append(f"{counted(len(problems), 'row')} left out; row {opened.row_number(first)}: {problems[first]}")
        undescribed = int((~known_N).sum())
        if undescribed:
            shown = f": {', '.join(map(repr, others[:5]))}{' ...' if len(others) > 5 else ''}" if others else ""
            notes.append(f"{counted(undescribed, 'row')} left out, of no described class{shown}")
        return logits_NC[rows], np.array([place[str(named[int(i)])] for i in rows], dtype=np.int64), notes


def _answers(logits_NC: np.ndarray) -> list[int]:
    return [int(c) for c in np.nan_to_num(logits_NC).argmax(1)]


def _probabilities(logits_NC: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits_NC).softmax(1).numpy()


def _metrics(truth_N: np.ndarray, probability_NC: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    return classification_metrics(truth_N[rows], probability_NC[rows])


def read_descriptions(source: Any) -> Sentences:
    """Classes and the sentences that describe each.

    Args:
        source: A mapping from class to a sentence or several, or the path of such a one as YAML or JSON.

    Raises:
        ValueError: The file cannot be read, names a class twice, or holds something else; the message says what.

    Example:
        >>> read_descriptions({"cat": "a photo of a cat", "dog": ["a dog", "a puppy"]})
        {'cat': ('a photo of a cat',), 'dog': ('a dog', 'a puppy')}
    """
    where, values = ("labels", source) if not isinstance(source, str | Path) else (str(source), _read(Path(source)))
    if not isinstance(values, Mapping) or len(values) < 2:
        raise ValueError(
            f"{where} must hold two or more classes, each with a sentence or a list of sentences, such as "
            f"cat: a photo of a cat; got {_kind(values)}"
        )
    found: Sentences = {}
    for name, said in values.items():
        if isinstance(name, bool) or name is None:
            raise ValueError(f"{where}: a class is {name!r}; give its name as text")
        each = [said] if isinstance(said, str) else said
        if not isinstance(each, Sequence) or not each or not all(isinstance(s, str) and s.strip() for s in each):
            raise ValueError(f"{where}: class {str(name)!r} needs a sentence or a list of them, got {_kind(said)}")
        known = str(name).strip()
        if known in found:
            raise ValueError(f"{where} names the class {known!r} twice")
        found[known] = tuple(each)
    return found


def _kind(value: Any) -> str:
    return f"{len(value)} in a {type(value).__name__}" if isinstance(value, Mapping | list) else repr(value)[:80]


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read the descriptions {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the descriptions {path} are not UTF-8") from error
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=partial(_once, path))
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated(path, node)
        loader.construct_document(node)  # refuses tags that would make objects
        return yaml.BaseLoader("").construct_document(node)  # as written: 007 is no number, yes no truth value
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for classes and their sentences") from error
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML or JSON: {' '.join(str(error).split())}") from error


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ."""
    _refuse_twice(path, [name for name, _ in pairs])
    return dict(pairs)


def _refuse_repeated(path: Path, node: Any) -> None:
    """Refuse a YAML mapping with a key that stands twice, of which the last would win."""
    if isinstance(node, yaml.MappingNode):
        _refuse_twice(path, [str(key.value) for key, _ in node.value])


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{path} names the class {twice!r} twice")
