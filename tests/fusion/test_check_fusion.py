"""``plait.check_fusion`` passes every fusion of ours with every option, and finds each fault that is planted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fixtures.fusion_variants import count_for, every_variant
from plait.encoders.base import Encoded
from plait.fusion import Fusion, FusionInfo, FusionOutput, check_fusion, masked_mean, present_vectors


@every_variant
def test_fusions_of_ours_keep_the_contract(name: str, options: dict[str, Any]) -> None:
    check_fusion(name, num_modalities=count_for(name, options), **options)


class Plain(Fusion):
    """The mean of projected vectors, from which the faulty ones are made."""

    info = FusionInfo("plain", "none", "h = mean_m P_m x_m", needs_tokens=False)

    def __init__(self, dims: list[Any], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        self.project = self.projections()

    def terms(self, vectors: list[Tensor]) -> Tensor:
        return torch.stack([p(v) for p, v in zip(self.project, vectors, strict=True)], dim=1)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        return FusionOutput(masked_mean(self.terms(present_vectors(encoded, present_BM)), present_BM))


class TimesZero(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        vectors = [e.vector_BD * present_BM[:, [m]] for m, e in enumerate(encoded)]
        return FusionOutput(masked_mean(self.terms(vectors), present_BM))


class SeesTheBatch(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        fused_BD = super().forward(encoded, present_BM).fused_BD
        return FusionOutput(fused_BD - fused_BD.mean(0))


class Multiplies(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        terms_BMD = self.terms(present_vectors(encoded, present_BM))
        return FusionOutput(
            torch.where(present_BM[..., None], terms_BMD, 1.0).prod(1) * present_BM.any(1, keepdim=True)
        )


class NothingIsNaN(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        terms_BMD = self.terms(present_vectors(encoded, present_BM)) * present_BM[..., None]
        return FusionOutput(terms_BMD.sum(1) / present_BM.sum(1, keepdim=True))


class ReadsPadding(Plain):
    info = FusionInfo("plain", "none", "h", needs_tokens=True)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        pooled = [torch.where(present_BM[:, m, None], e.tokens_BTD.sum(1), 0.0) for m, e in enumerate(encoded)]
        fused_BD = super().forward(encoded, present_BM).fused_BD
        return FusionOutput(fused_BD + 0.01 * sum(p.sum(1, keepdim=True) for p in pooled))


class SumsToTwo(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        output = super().forward(encoded, present_BM)
        return FusionOutput(output.fused_BD, weights_BM=2.0 * present_BM / present_BM.sum(1, keepdim=True).clamp(min=1))


class DeafToTheSecond(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        there_BM = present_BM.clone()
        there_BM[:, 1:] = False
        return super().forward(encoded, there_BM)


class IdleWeight(Plain):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.idle = nn.Parameter(torch.zeros(3))


class Forgets(Plain):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shift_D = torch.rand(self.width, generator=torch.Generator().manual_seed(id(self) % 2**31))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        output = super().forward(encoded, present_BM)
        return FusionOutput(output.fused_BD + self.shift_D.to(output.fused_BD.dtype))


class TooNarrow(Plain):
    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        return FusionOutput(super().forward(encoded, present_BM).fused_BD[:, :-1])


class NoInfo(Fusion):
    interaction = "additive"


class WrongWord(Plain):
    interaction = "magic"


class NoWidth(Plain):
    def __init__(self, dims: list[Any]) -> None:
        super().__init__(dims, 8)


def test_the_plain_one_passes() -> None:
    found = check_fusion(Plain)
    assert found and len(found.tested) == 10 and "what a missing modality holds changes no bit" in found.tested
    told = repr(check_fusion(Plain, num_modalities=2, normalise=False))
    assert told.startswith("the fusion 'plain' with normalise=False keeps the contract: 2 modalities in 4 patterns")


class ZeroProduct(Plain):
    interaction = "multiplicative"

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        terms_BMD = self.terms(present_vectors(encoded, present_BM)) * present_BM[..., None]
        return FusionOutput(terms_BMD.prod(1))


class Gated(TimesZero):
    """NaN runs through a gate: weights, gradients and the answer."""

    interaction = "nonlinear"

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        fused_BD = super().forward(encoded, present_BM).fused_BD
        return FusionOutput(fused_BD * fused_BD.sigmoid())


def test_a_failure_stops_at_its_root() -> None:
    with pytest.raises(ValueError) as refused:
        check_fusion(Gated)
    assert len(str(refused.value).splitlines()) == 2 and "NaN" not in str(refused.value).splitlines()[0]
    assert "gradient" not in str(refused.value)
    with pytest.raises(ValueError) as refused:
        check_fusion(Plain, normalize=False)
    assert len(str(refused.value).splitlines()) == 2 and "'normalize'" in str(refused.value)


def test_a_product_that_is_zero_says_why() -> None:
    with pytest.raises(ValueError, match="a product with a zero in the place of what is missing is zero"):
        check_fusion(ZeroProduct)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (TimesZero, "fused_BD changes when a missing modality holds"),
        (SeesTheBatch, "rows must not see each other"),
        (Multiplies, "the fused vector is no sum of one term a modality"),
        (NothingIsNaN, "not finite where this is there: \\[\\[False, False, False\\]\\]"),
        (ReadsPadding, "tokens whose mask is False change the answer"),
        (SumsToTwo, "does not sum to 1"),
        (DeafToTheSecond, "modality 1 is there in rows where no gradient reaches it"),
        (IdleWeight, "no gradient reaches the parameter idle"),
        (Forgets, "persistent buffer"),
        (TooNarrow, "shape \\[8, 7\\]; expected \\[rows, width\\] = \\[8, 8\\]"),
        (NoInfo, "info must be a plait.fusion.FusionInfo"),
        (WrongWord, "interaction is 'magic'; expected one of additive"),
        (NoWidth, "__init__ must take \\(dims, width, \\*, dropout=\\)"),
    ],
)
def test_planted_faults_are_found(kind: type[Fusion], said: str) -> None:
    with pytest.raises(ValueError, match=f"breaks the contract of fusions(.|\\n)*{said}"):
        check_fusion(kind)


def test_what_is_no_fusion_is_refused() -> None:
    with pytest.raises(ValueError, match="a class made from plait.fusion.Fusion; got <class 'int'>"):
        check_fusion(int)  # type: ignore[arg-type]
