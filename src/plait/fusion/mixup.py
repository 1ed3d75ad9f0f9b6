"""Mixup of encoded modalities: rows blended with other rows of the batch, and their losses with them.

    x = l x_i + (1 - l) x_j        loss = l loss(y_i) + (1 - l) loss(y_j)        l ~ Beta(a, a), at least 1/2

One l a batch, j a random order of it, both the same for all modalities. A modality is blended where both rows have it;
elsewhere row i keeps its own. It costs nothing on stored vectors. Tokens are not blended.

``cut_pictures`` and ``mixed_pairs`` are two relatives: CutMix of pictures whose encoder is trained, all other
modalities being blended by the share of pixels that stays; and MixGen, where two pairs make one (half of each picture,
both texts) that stays a right pair.

Reference: Zhang, Cisse, Dauphin and Lopez-Paz 2018 (mixup: Beyond Empirical Risk Minimization), equation 1; on hidden
vectors: Verma et al. 2019 (Manifold Mixup), section 2. Yun et al. 2019 (CutMix). Hao et al. 2023 (MixGen), algorithm 1,
here on what encoders made: a text of two texts has the tokens of both and the mean of their vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from plait.encoders.base import Encoded
from plait.fusion.mixing import blend, draw_box, draw_partners, draw_share, paste, share_outside

Inputs = dict[str, dict[str, Tensor]]
PIXELS = "pixel_values"
CUTMIX_ALPHA = 1.0  # of the Beta distribution, as in the paper: every share as likely
MIXED_PART = 4  # MixGen makes one in so many pairs of a batch


class RowMixing:
    """How the rows of one batch are joined, from its inputs to its loss.

    Args:
        how: Alpha of a Beta distribution (0: not at all), "cutmix" or "mixgen".
    """

    def __init__(self, how: float | str) -> None:
        self.how = how
        self.other_B: Tensor | None = None
        self.share = torch.ones(())
        self.done: tuple[int, ...] = ()

    def cut(self, inputs: Inputs, names: list[str], present_BM: Tensor) -> Inputs:
        """The inputs, under cutmix with boxes of other rows in the pictures.

        Args:
            inputs: Per modality.
            names: Of the modalities, in model order.
            present_BM: What is there.
        """
        if self.how != "cutmix":
            return inputs
        inputs, self.done, self.other_B, self.share = cut_pictures(inputs, names, present_BM, CUTMIX_ALPHA)
        return inputs

    def blend(self, encoded: list[Encoded], present_BM: Tensor, modalities: list[dict[str, Any]]) -> list[Encoded]:
        """The encoded modalities, each of a ``kind``, joined with those of other rows."""
        if self.how == "mixgen":
            return mixed_pairs(encoded, present_BM, [m["kind"] == "text" for m in modalities])
        if self.how == "cutmix":
            assert self.other_B is not None
            return blended(encoded, present_BM, self.other_B, self.share, self.done)
        if isinstance(self.how, str) or self.how == 0:
            return encoded
        encoded, self.other_B, self.share = mixed(encoded, present_BM, self.how)
        return encoded

    def loss(self, loss: Tensor, answers: Tensor, target: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The loss against a row's own target, mixed with that against its partner's."""
        if self.other_B is None:
            return loss
        return self.share * loss + (1.0 - self.share) * of(answers, target[self.other_B])


def mixed(encoded: list[Encoded], present_BM: Tensor, alpha: float) -> tuple[list[Encoded], Tensor, Tensor]:
    """Blend a batch.

    Args:
        encoded: Modalities, vectors [B, D].
        present_BM: What is there.
        alpha: Of the Beta distribution, above 0.

    Returns:
        Blended modalities, the other row of each row [B], and l, a scalar.
    """
    other_B = draw_partners(present_BM)
    share = draw_share(alpha).to(present_BM.device)
    share = torch.maximum(share, 1.0 - share)
    return blended(encoded, present_BM, other_B, share), other_B, share


def blended(
    encoded: list[Encoded], present_BM: Tensor, other_B: Tensor, share: Tensor, done: tuple[int, ...] = ()
) -> list[Encoded]:
    """Modalities blended with other rows, but for those ``done`` already; the tokens stay the row's own."""
    return [
        one
        if m in done
        else replace(one, vector_BD=blend(one.vector_BD, other_B, share, present_BM[:, m] & present_BM[other_B, m]))
        for m, one in enumerate(encoded)
    ]


def cut_pictures(
    inputs: Inputs, names: list[str], present_BM: Tensor, alpha: float
) -> tuple[Inputs, tuple[int, ...], Tensor, Tensor]:
    """Paste one box out of other rows' pictures into all pictures of the size of the first ones.

    Args:
        inputs: Per modality, the tensors of its processor or encoded ones.
        names: Of the modalities, in model order.
        present_BM: What is there.
        alpha: Of the Beta distribution, above 0.

    Returns:
        The inputs, numbers of the modalities that were cut, the other row of each row [B], and l: the exact share of
        pixels that stays, or as drawn where no modality is a picture.
    """
    device = present_BM.device
    other_B, share = draw_partners(present_BM), draw_share(alpha).to(device)
    sizes = {m: tuple(inputs[n][PIXELS].shape[-2:]) for m, n in enumerate(names) if _is_picture(inputs[n])}
    if not sizes:
        return dict(inputs), (), other_B, share
    height, width = next(iter(sizes.values()))
    box = draw_box(height, width, float(share))
    made, cut = dict(inputs), tuple(m for m, size in sizes.items() if size == (height, width))
    for m in cut:
        both_B = present_BM[:, m] & present_BM[other_B, m]
        made[names[m]] = {**inputs[names[m]], PIXELS: paste(inputs[names[m]][PIXELS], other_B, box, both_B)}
    return made, cut, other_B, torch.tensor(share_outside(box, height, width), device=device)


def mixed_pairs(encoded: list[Encoded], present_BM: Tensor, is_text: list[bool]) -> list[Encoded]:
    """MixGen: each of the first rows joined with one further down the batch; both pairs have all modalities.

    Args:
        encoded: Modalities.
        present_BM: What is there.
        is_text: Which modalities are texts, whose tokens are put one behind the other.
    """
    count = len(present_BM) // MIXED_PART
    rows_B = torch.arange(len(present_BM), device=present_BM.device)
    other_B = torch.where(rows_B < count, rows_B + count, rows_B)
    joined_B = (rows_B < count) & present_BM.all(dim=1) & present_BM[other_B].all(dim=1)
    half = torch.tensor(0.5, device=present_BM.device)
    made = []
    for one, has_words in zip(encoded, is_text, strict=True):
        vector_BD = blend(one.vector_BD, other_B, half, joined_B)
        if one.tokens_BTD is None:
            made.append(replace(one, vector_BD=vector_BD))
            continue
        tokens_BTD, mask_BT = one.tokens_BTD, one.mask_BT
        if has_words:
            mask_BT = torch.ones_like(tokens_BTD[..., 0], dtype=torch.bool) if mask_BT is None else mask_BT.bool()
            mask_BT = torch.cat([mask_BT, mask_BT[other_B] & joined_B[:, None]], dim=1)
            tokens_BTD = torch.cat([tokens_BTD, tokens_BTD[other_B]], dim=1) * mask_BT[..., None]
        else:
            tokens_BTD = blend(tokens_BTD, other_B, half, joined_B)
        made.append(Encoded(vector_BD, tokens_BTD, mask_BT))
    return made


def _is_picture(tensors: dict[str, Tensor]) -> bool:
    """Whether tensors are pictures [B, C, H, W], one a row."""
    return PIXELS in tensors and tensors[PIXELS].dim() == 4
