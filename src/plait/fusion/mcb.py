"""Compact bilinear pooling (MCB): the outer product of two vectors, sketched to a fixed width without being built.

A count sketch throws each feature, with a random sign, into one of many buckets. The sketch of an outer product is the
circular convolution of the two sketches, which the Fourier transform makes a plain product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, check_count
from plait.fusion.pairwise import PairwiseFusion
from plait.fusion.power import power_normalise


class MCBFusion(PairwiseFusion):
    """z = IFFT(FFT(Psi_1 x_1) * FFT(Psi_2 x_2)), Psi a count sketch; u = power_norm(z); h = W u + b.

    Psi x [i] = sum over the j with bucket_j = i of sign_j x_j. Buckets and signs are drawn once and saved with the
    model. Only W and b (and the absence vectors) are trained.

    For two modalities; of more the mean over the pairs that are there is taken, one alone is paired with itself (with
    two different sketches), and a learned absence vector is the partner of one whose partners are all missing (see
    ``pairwise.py``).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        sketch: Number of buckets, 1 or more; Fukui et al. use 16000. Fewer buckets mean a coarser sketch.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: all pairwise products of two wide vectors with little to train; needs a wide sketch.
    Relatives: ``mfb`` (learned projections, far narrower), ``tensor`` (the outer product itself).
    Reference: Gao, Beijbom, Zhang, Darrell 2016; Fukui, Park, Yang, Rohrbach, Darrell, Rohrbach 2016 (MCB).
    """

    info = FusionInfo(
        "mcb",
        "Fukui, Park, Yang, Rohrbach, Darrell, Rohrbach 2016 (MCB)",
        "z = IFFT(FFT(Psi_1 x_1) * FFT(Psi_2 x_2)); u = power_norm(z); h = W u + b",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        sketch: int = 4096,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_count(sketch=sketch)
        super().__init__(
            dims, width, lambda a, b: CompactPair(a, b, width, sketch), normalise=normalise, dropout=dropout
        )


class CountSketch(nn.Module):
    """Psi: [B, dim] to [B, sketch] by random buckets and signs, both persistent buffers."""

    bucket_D: Tensor  # noqa: N815  shape letters
    sign_D: Tensor  # noqa: N815

    def __init__(self, dim: int, sketch: int) -> None:
        super().__init__()
        self.sketch = sketch
        self.register_buffer("bucket_D", torch.randint(0, sketch, (dim,)))
        self.register_buffer("sign_D", torch.randint(0, 2, (dim,)) * 2.0 - 1.0)

    def forward(self, vector_BD: Tensor) -> Tensor:
        """Sketch."""
        signed_BD = vector_BD * self.sign_D
        return signed_BD.new_zeros(len(signed_BD), self.sketch).index_add(1, self.bucket_D, signed_BD)


class CompactPair(nn.Module):
    """The sketch of the outer product of one pair, normalised and led out."""

    def __init__(self, left_dim: int, right_dim: int, width: int, sketch: int) -> None:
        super().__init__()
        self.left = CountSketch(left_dim, sketch)
        self.right = CountSketch(right_dim, sketch)
        self.out = nn.Linear(sketch, width)

    def pool(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """The sketch of the outer product [B, sketch]; half precision is widened, the transform does not take it."""
        left_BS, right_BS = (
            s.float() if s.dtype in (torch.float16, torch.bfloat16) else s
            for s in (self.left(left_BD), self.right(right_BD))
        )
        if torch.compiler.is_exporting():  # onnxruntime's transform loses digits in float32
            left_BS, right_BS = left_BS.double(), right_BS.double()
        product_BF = torch.fft.rfft(left_BS) * torch.fft.rfft(right_BS)
        return torch.fft.irfft(product_BF, n=left_BS.shape[1]).to(left_BD.dtype)

    def forward(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """Fuse [B, D_left] and [B, D_right] to [B, width]."""
        fused_BD: Tensor = self.out(power_normalise(self.pool(left_BD, right_BD)))
        return fused_BD


FUSIONS.add("mcb", MCBFusion)
