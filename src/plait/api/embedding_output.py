"""What a fitted model offers whose modalities lie in one space: vectors of a table's cells, and zero-shot classes.

Behind ``Plait.embed`` and ``Plait.classify``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from plait.data.bad_rows import bad_rows_message
from plait.data.schema import Modality
from plait.data.table import BadRow, Table, read_table
from plait.inference.embedding import embed_side, embedding_fingerprint
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import Inputs, prepare
from plait.model import PlaitModel
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES

Progress = Callable[[int, int, str], None]
SENTENCES = {"image": "a photo of a {}", "audio": "this is a sound of {}"}


class Embeds:
    """What a fitted model can do whose modalities lie in one space: give vectors, and classify by words.

    Attributes:
        model: The network.
        inputs: Processors and frozen encoders.
    """

    model: PlaitModel
    inputs: Inputs

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities in model order: name, kind and columns."""
        return self.inputs.modalities

    @property
    def dim(self) -> int:
        """Width of the shared space of a model that embeds."""
        _check_embeds(self)
        return int(cast(Any, self.model.head).dim)

    @property
    def plain_dim(self) -> int:
        """Leading coordinates of a vector that, made unit, are the direction without the correction for hubs."""
        _check_embeds(self)
        return int(cast(Any, self.model.head).plain_dim)

    @property
    def fingerprint(self) -> str:
        """sha256 over everything that decides a vector: weights, frozen encoders, processors."""
        return embedding_fingerprint(self.model, self.inputs)

    def embed(
        self, table: Any, modality: str, *, on_bad_row: str = "missing", progress: Progress | None = None
    ) -> tuple[np.ndarray, list[BadRow]]:
        """Unit vectors of one modality of every row, to search or to index.

        Args:
            table: Anything ``read_table`` takes; only the column of this modality is read.
            modality: Its name.
            on_bad_row: "missing" and "skip" (zeros where the cell cannot be read) or "error".
            progress: Called with (done, total, what).

        Returns:
            Vectors [N, D] float32, zeros where a cell is empty or unreadable; and the unreadable cells, each with
            the position of its row in the table.

        Raises:
            ValueError: The model does not embed (it was trained for another task), no such modality or column, or a
                bad row under "error".
        """
        return embed_modality(self, read_table(table), modality, on_bad_row, progress)

    def classify(
        self, images: Any, labels: Sequence[str], *, template: str | None = None, image: str | None = None,
        text: str | None = None, on_bad_row: str = "missing", progress: Progress | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Zero-shot classification: which of these words tells best what each picture shows, or each sound is.

        Args:
            images: A table with the model's column of images or sounds.
            labels: Names of the classes, two or more.
            template: The sentence a name is put into, at ``{}``; None: "a photo of a {}", and for sounds "this is a
                sound of {}".
            image: Modality to classify, of images or sounds; None: the first of them.
            text: Modality that reads the sentences; None: the first text one.
            on_bad_row: As for :meth:`embed`.
            progress: Called with (done, total, what).

        Returns:
            Probabilities [N, C]: softmax over the (corrected) cosines times the model's scale; NaN without one.

        Raises:
            ValueError: No picture (or sound) or text side, fewer than two labels, a template without ``{}``, or as
                ``embed``.
        """
        return classify_by_text(self, images, labels, template, image, text, on_bad_row, progress)


def embed_modality(
    fitted: Embeds, table: Table, modality: str, on_bad_row: str, progress: Progress | None = None
) -> tuple[np.ndarray, list[BadRow]]:
    """Unit vectors of one modality of every row, and the cells that cannot be read; see ``Plait.embed``."""
    if on_bad_row not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", on_bad_row, list(BAD_ROW_POLICIES)))
    _check_embeds(fitted)
    named = {m.name: m for m in fitted.inputs.modalities}
    if modality not in named:
        raise ValueError(unknown_name("modality", modality, list(named)))
    wanted = named[modality]
    if not set(wanted.columns) & set(table.column_names):
        raise ValueError(
            f"{table.source} has no column {wanted.columns[0]!r}, which {modality!r} is read from; it has "
            f"{', '.join(table.column_names)}"
        )
    alone = replace(
        fitted.inputs,
        modalities=(wanted,),
        processors={modality: fitted.inputs.processors[modality]},
        frozen={n: e for n, e in fitted.inputs.frozen.items() if n == modality},
    )
    prepared = prepare(table, alone, progress=progress)
    if on_bad_row == "error" and (prepared.rows.bad or table.bad_rows):
        raise ValueError(bad_rows_message(prepared.rows.bad, table))
    rows = RowBatches(prepared.sources, prepared.rows.index_NM)
    place = list(named).index(modality)
    return embed_side(fitted.model, rows, place, progress=progress), prepared.rows.bad


def classify_by_text(
    fitted: Embeds, images: Any, labels: Sequence[str], template: str | None, image: str | None, text: str | None,
    on_bad_row: str, progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Probabilities [N, C] of labels that are put into a sentence; see ``Plait.classify``."""
    _check_embeds(fitted)
    names = [str(label) for label in labels]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"labels must be two or more different names, got {names}")
    picture, words = _side(fitted, tuple(SENTENCES), image), _side(fitted, ("text",), text)
    template = SENTENCES[picture.kind] if template is None else template
    if template.count("{}") != 1:
        raise ValueError(
            f"the template needs {{}} once, where the label goes, such as 'a photo of a {{}}'; got {template!r}"
        )
    shown_ND, _ = embed_modality(fitted, read_table(images), picture.name, on_bad_row, progress)
    prompts = read_table([{words.columns[0]: template.replace("{}", name)} for name in names])
    told_CD, _ = embed_modality(fitted, prompts, words.name, "error")
    head = cast(Any, fitted.model.head)
    scale = float(head.scale.detach()) * head.stretch
    logits_NC = torch.from_numpy(scale * shown_ND.astype(np.float64) @ told_CD.astype(np.float64).T)
    probability_NC = torch.softmax(logits_NC, dim=1).numpy()
    probability_NC[~shown_ND.any(1)] = np.nan
    return probability_NC


def _side(fitted: Embeds, kinds: tuple[str, ...], name: str | None) -> Any:
    chosen = [m for m in fitted.inputs.modalities if m.kind in kinds and name in (None, m.name)]
    if not chosen:
        there = ", ".join(f"{m.name} ({m.kind})" for m in fitted.inputs.modalities)
        raise ValueError(
            f"this model has no {' or '.join(kinds)} modality{f' {name!r}' if name else ''}; it has {there}"
        )
    return chosen[0]


def _check_embeds(fitted: Embeds) -> None:
    if fitted.model.task.output_kind != "embeddings":
        raise ValueError(
            f"this model was trained for {fitted.model.task.name} and its vectors are not made for searching; train "
            "one with plait fit ... --task retrieval"
        )
