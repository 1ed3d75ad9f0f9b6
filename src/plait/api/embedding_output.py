"""What a fitted model gives whose modalities lie in one space: vectors of a table's cells, and zero-shot classes.

Behind ``Plait.embed`` and ``Plait.classify``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from plait.data.bad_rows import bad_rows_message, warn_of_bad_rows
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.table import BadRow, Table, read_table
from plait.heads.dual_encoder import DualEncoderHead
from plait.inference.embedding import embed_side
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import prepare
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES
from plait.training.fitted import FittedParts

SENTENCES = {"image": "a photo of a {}", "audio": "this is a sound of {}"}


def embedding_head(fitted: FittedParts) -> DualEncoderHead:
    """The head that makes the vectors.

    Raises:
        ValueError: The model was trained for another task.
    """
    if not fitted.task.family.embeds:
        raise ValueError(
            f"this model was trained for {fitted.task.name} and its vectors are not made for searching; train "
            "one with plait.fit(TABLE, task='retrieval')"
        )
    head = fitted.model.head
    assert isinstance(head, DualEncoderHead)
    return head


def embed_modality(
    fitted: FittedParts, table: Table, modality: str, on_bad_row: str, progress: Progress | None = None
) -> tuple[np.ndarray, list[BadRow]]:
    """Unit vectors of one modality of every row, and the cells that cannot be read; see ``Plait.embed``."""
    if on_bad_row not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", on_bad_row, list(BAD_ROW_POLICIES)))
    embedding_head(fitted)
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
    fitted: FittedParts, images: Any, labels: Sequence[str], template: str | None, image: str | None, text: str | None,
    on_bad_row: str, allow_outside: bool = False, allow_remote: bool = False, progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Probabilities [N, C] of labels that are put into a sentence; see ``Plait.classify``."""
    head = embedding_head(fitted)
    names = [str(label) for label in labels]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"labels must be two or more different names, got {names}")
    picture, words = side_of(fitted, tuple(SENTENCES), image), side_of(fitted, ("text",), text)
    template = SENTENCES[picture.kind] if template is None else template
    if template.count("{}") != 1:
        raise ValueError(
            f"the template needs {{}} once, where the label goes, such as 'a photo of a {{}}'; got {template!r}"
        )
    pictures = read_table(images, allow_outside=allow_outside, allow_remote=allow_remote)
    shown_ND, bad = embed_modality(fitted, pictures, picture.name, on_bad_row, progress)
    warn_of_bad_rows(bad, pictures)
    prompts = read_table([{words.columns[0]: template.replace("{}", name)} for name in names])
    words_CD, _ = embed_modality(fitted, prompts, words.name, "error")
    scale = float(head.scale.detach()) * head.stretch
    logits_NC = torch.from_numpy(scale * shown_ND.astype(np.float64) @ words_CD.astype(np.float64).T)
    probability_NC = torch.softmax(logits_NC, dim=1).numpy()
    probability_NC[~shown_ND.any(1)] = np.nan
    return probability_NC


def side_of(fitted: FittedParts, kinds: tuple[str, ...], name: str | None) -> Modality:
    """The modality of that name, or the first of these kinds.

    Raises:
        ValueError: There is none.
    """
    chosen = [m for m in fitted.inputs.modalities if m.kind in kinds and name in (None, m.name)]
    if not chosen:
        there = ", ".join(f"{m.name} ({m.kind})" for m in fitted.inputs.modalities)
        raise ValueError(
            f"this model has no {' or '.join(kinds)} modality{f' {name!r}' if name else ''}; it has {there}"
        )
    return chosen[0]
