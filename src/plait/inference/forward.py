"""The one evaluation loop: a model over rows, batch by batch, without gradients and in evaluation mode.

Whoever runs a model over rows writes ``with evaluation_mode(model)`` and walks through ``evaluation_batches``. How rows
are put into batches and in which mode the model runs is decided here and nowhere else; results are therefore written
to the places that come with each batch, not appended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch

from plait.data.progress import Progress
from plait.encoders.base import Encoded
from plait.inputs.dataset import RowBatches

FIRST_LIVE_ROWS = 32  # until it is known how large rows are
LIVE_BYTES = 128 * 2**20  # of processed inputs at once


@contextmanager
def evaluation_mode(model: torch.nn.Module, *, inference: bool = True) -> Iterator[None]:
    """Evaluation mode without gradients; the model's own mode is restored, after an error as well.

    Args:
        model: Any module.
        inference: Under ``torch.inference_mode``, whose results can never take part in autograd; False:
            ``torch.no_grad``, for results that are copied into the model or kept for training.
    """
    was_training = model.training
    shares_weights = getattr(model, "spread", None) is not None  # gathered into tensors that training uses too
    model.eval()
    try:
        with torch.inference_mode() if inference and not shares_weights else torch.no_grad():
            yield
    finally:
        model.train(was_training)


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch of tensors, and of dictionaries of such, on a device."""
    return {k: to_device(v, device) if isinstance(v, dict) else v.to(device) for k, v in batch.items()}


def num_bytes(batch: dict[str, Any]) -> int:
    """Bytes of a batch of tensors, and of dictionaries of such."""
    return sum(num_bytes(value) if isinstance(value, dict) else value.nbytes for value in batch.values())


def evaluation_batches(
    model: torch.nn.Module,
    rows: RowBatches,
    *,
    batch_size: int,
    chosen: np.ndarray | None = None,
    hide: tuple[int, ...] = (),
    progress: Progress | None = None,
    what: str = "",
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Rows in batches on the model's device, each with the places of its rows among those asked for [B].

    Args:
        model: A ``PlaitModel``, inside ``evaluation_mode``.
        rows: The rows.
        batch_size: Most rows at once; fewer where items are processed anew and are large.
        chosen: Positions of the rows asked for; None: all, in order.
        hide: Modality numbers to treat as missing in every row.
        progress: Called after each batch with rows done, rows in all and ``what``.
        what: What to call the work.
    """
    device = next(model.parameters(), torch.zeros(0)).device
    positions = np.arange(len(rows)) if chosen is None else chosen
    at_once = min(batch_size, FIRST_LIVE_ROWS) if rows.is_live else batch_size
    start = largest_row = 0
    while start < len(positions):
        places = np.arange(start, min(start + at_once, len(positions)))
        start += len(places)
        batch = rows.__getitems__(positions[places].tolist())
        if rows.is_live:
            largest_row = max(largest_row, 1, -(-num_bytes(batch["inputs"]) // len(places)))
            at_once = max(1, min(batch_size, LIVE_BYTES // largest_row))
        for m in hide:
            batch["present"][:, m] = False
        yield places, to_device(batch, device)
        if progress is not None:
            progress(int(places[-1]) + 1, len(positions), what)


def predict_logits(
    model: torch.nn.Module,
    batches: RowBatches,
    *,
    batch_size: int = 512,
    progress: Progress | None = None,
    what: str = "predicting",
    hide: tuple[int, ...] = (),
) -> np.ndarray:
    """Logits of every row, in row order [N, C], float32.

    Args:
        model: A ``PlaitModel``; its training mode is restored.
        batches: The rows.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.
        hide: Modality numbers to treat as missing in every row.

    Raises:
        ValueError: An output is NaN or infinite: no answer can be made of it. (Of a task that embeds, NaN is what a
            pair with one side has.)
    """
    logits_NC = np.zeros((len(batches), cast(Any, model.config).num_outputs), dtype=np.float32)
    walk = evaluation_batches(model, batches, batch_size=batch_size, hide=hide, progress=progress, what=what)
    with evaluation_mode(model):
        for places, batch in walk:
            output = model(inputs=batch["inputs"], present=batch["present"])
            logits_NC[places] = output["logits"].float().cpu().numpy()
    refuse_not_finite(model, logits_NC)
    return logits_NC


def refuse_not_finite(model: torch.nn.Module, logits_NC: np.ndarray) -> None:
    """Refuse outputs of which no answer can be made.

    Raises:
        ValueError: One is NaN or infinite, and the task does not embed.
    """
    bad_N = ~np.isfinite(logits_NC).all(1)
    if bad_N.any() and cast(Any, model).task.output_kind != "embeddings":
        raise ValueError(
            f"the model's outputs are NaN or infinite for {int(bad_N.sum()):,} of {len(bad_N):,} rows (the first is "
            f"number {int(bad_N.argmax()):,} of these): training diverged (lower train.learning_rate), or "
            "the model is damaged"
        )


def predict_present(
    model: torch.nn.Module,
    batches: RowBatches,
    present_PNM: np.ndarray,
    *,
    batch_size: int = 512,
    progress: Progress | None = None,
    what: str = "predicting",
) -> np.ndarray:
    """Logits of every row under each of several patterns of presence, [P, N, C], float32; rows are encoded once.

    A row of which two patterns leave the same is answered once, whether it lacks what one of them hides or a random
    draw came out as another. So patterns of a whole table beside those of rows with gaps, and many draws, cost less
    than as many passes.

    Args:
        model: A ``PlaitModel``; its training mode is restored.
        batches: The rows.
        present_PNM: What may be seen of each row, bool; what a row lacks stays missing.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.
    """
    network = cast(Any, model)
    logits_PNC = np.zeros((*present_PNM.shape[:2], network.config.num_outputs), dtype=np.float32)
    walk = evaluation_batches(model, batches, batch_size=batch_size, progress=progress, what=what)
    with evaluation_mode(model):
        for places, batch in walk:
            there_BM = batch["present"]
            encoded = network.encode(batch["inputs"], there_BM)
            seen_PBM = present_PNM[:, places] & there_BM.cpu().numpy()
            source_PB = _first_alike(seen_PBM)
            for p, seen_BM in enumerate(seen_PBM):
                new_B = source_PB[p] == p
                for earlier in np.unique(source_PB[p][~new_B]):
                    rows = places[source_PB[p] == earlier]
                    logits_PNC[p, rows] = logits_PNC[earlier, rows]
                if not new_B.any():
                    continue
                rows = np.flatnonzero(new_B)
                some = _rows_of(encoded, rows, there_BM.device) if 2 * len(rows) < len(places) else None
                if some is None:  # nearly all of them: a copy of what is encoded would cost more
                    some, rows = encoded, np.arange(len(places))
                answers = network.answer(some, torch.tensor(seen_BM[rows], device=there_BM.device))
                kept = new_B[rows]
                logits_PNC[p, places[rows[kept]]] = answers.float().cpu().numpy()[kept]
    return logits_PNC


def _first_alike(seen_PBM: np.ndarray) -> np.ndarray:
    """By pattern and row the first pattern that leaves the same of the row [P, B]."""
    packed_PBK = np.packbits(seen_PBM, axis=2)
    code_PB = packed_PBK[:, :, 0]
    if packed_PBK.shape[2] > 1:
        alike = np.unique(packed_PBK.reshape(-1, packed_PBK.shape[2]), axis=0, return_inverse=True)[1]
        code_PB = alike.reshape(packed_PBK.shape[:2])
    return np.stack([(code_PB[: p + 1] == code_PB[p]).argmax(0) for p in range(len(code_PB))])


def _rows_of(encoded: Any, rows: np.ndarray, device: torch.device) -> list[Encoded] | None:
    """Some rows of what a network encoded; None for what an ensemble did, which is in parts of its members."""
    if not isinstance(encoded, list) or not all(type(one) is Encoded for one in encoded):
        return None
    index = torch.tensor(rows, device=device)
    return [
        Encoded(*(None if t is None else t[index] for t in (e.vector_BD, e.tokens_BTD, e.mask_BT)))  # type: ignore[arg-type]
        for e in encoded
    ]
