"""The contract of fusions as a check that authors of one call in their own tests (``plait.check_fusion``).

Random vectors and tokens of unequal widths go through the fusion in every pattern of what is there; what is broken is
listed, each point with what was seen. Parameters are made random first, since zeros would hide what they touch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, OutputSpec
from plait.registry import first_line

WIDTH = 8
FILLINGS = (0.0, 1e30, float("nan"), float("inf"))  # what a missing modality may hold
INTERACTIONS = ("additive", "multiplicative", "attention", "nonlinear")
ADDITIVE_WITHIN = 1e-9  # of the size of what is summed
Build = Callable[..., Fusion]


def contract_dims(num_modalities: int) -> list[EncodedDims]:
    """Unequal widths, so that a mixed-up order cannot pass."""
    return [EncodedDims(5 + m, 3 + m) for m in range(num_modalities)]


def contract_patterns(num_modalities: int) -> Tensor:
    """Every pattern of presence [2**M, M], all-missing included."""
    return torch.tensor(list(product([True, False], repeat=num_modalities)))


def contract_inputs(
    num_modalities: int, rows: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[Encoded]:  # fmt: skip
    """Random vectors and tokens; row b has its last ``b % 3`` tokens padded."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for m, d in enumerate(contract_dims(num_modalities)):
        length = 4 + m
        mask_BT = torch.arange(length)[None] < (length - torch.arange(rows)[:, None] % 3)
        made.append(
            Encoded(
                torch.randn(rows, d.vector_dim, generator=generator, dtype=torch.float64).to(dtype),
                torch.randn(rows, length, d.token_dim or 1, generator=generator, dtype=torch.float64).to(dtype),
                mask_BT,
            )
        )
    return made


def random_fusion(
    kind: type[Fusion], num_modalities: int, dtype: torch.dtype = torch.float32, **options: Any
) -> Fusion:  # fmt: skip
    """A fusion whose every parameter is random, in evaluation mode; a late one has as many outputs as ``WIDTH``."""
    torch.manual_seed(7)
    if kind.is_late:
        options = {"outputs": OutputSpec(WIDTH), **options}
    fusion = kind(contract_dims(num_modalities), WIDTH, **options).to(dtype).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


@dataclass(frozen=True)
class CheckedFusion:
    """A fusion that keeps the contract, and what was looked at; it is true.

    Attributes:
        name: Of the fusion.
        options: It was built with them.
        num_modalities: How many it was tried with, beside one.
        tested: What was looked at, one sentence each.
    """

    name: str
    options: dict[str, Any]
    num_modalities: int
    tested: tuple[str, ...]

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        given = f" with {', '.join(f'{k}={v!r}' for k, v in self.options.items())}" if self.options else ""
        patterns = f"{self.num_modalities} modalities in {2**self.num_modalities} patterns of what is there"
        return f"the fusion {self.name!r}{given} keeps the contract: {patterns}; tested: {'; '.join(self.tested)}"


def check_fusion(fusion: type[Fusion] | str, *, num_modalities: int = 3, **options: Any) -> CheckedFusion:
    """Check that a fusion keeps the contract, and say what was tested. For tests of plug-ins.

    Looked at: what the class declares; shapes and finite numbers in every pattern of what is there, nothing included;
    that the content of a missing modality changes no bit of any output; that gradients reach every parameter and every
    modality that is there, and none that is missing; that rows do not see each other; that padded tokens change
    nothing; that weights are shares of what is there; that what says it is additive is (late fusions aside, whose terms
    are answers); that a rebuilt fusion with the saved state answers bit-equal.

    Args:
        fusion: The class, or a registered name.
        num_modalities: How many modalities to try; fewer where the class takes fewer. One is tried too.
        options: Options of the fusion, as in ``fusion.options``.

    Returns:
        What was tested; it is true, and prints itself as a sentence.

    Raises:
        ValueError: It breaks the contract; every broken point is in the message, one a line. Where it cannot be built,
            or NaN runs through it, that alone: other points would be its echoes.

    Example:
        >>> import plait
        >>> assert plait.check_fusion("gated")
    """
    kind = FUSIONS.get(fusion) if isinstance(fusion, str) else fusion
    if not (inspect.isclass(kind) and issubclass(kind, Fusion)):
        raise ValueError(f"a fusion is a class made from plait.fusion.Fusion; got {kind!r}")
    faults = list(declaration_faults(kind))
    count = min(num_modalities, kind.max_modalities or num_modalities)
    if not faults:
        build = _building(kind, count, options)
        for check in CHECKS:
            try:
                faults += check(build, count)
            except Exception as error:  # an author's code may fail in any way, and says here where
                faults.append(f"{_titled(check)}: failed with {type(error).__name__}: {first_line(error)}")
            if faults and check in ROOTS:
                break
    name = getattr(getattr(kind, "info", None), "name", kind.__name__)
    if not faults:
        return CheckedFusion(name, dict(options), count, tuple(map(_titled, CHECKS)))
    raise ValueError(f"the fusion {name!r} breaks the contract of fusions:\n- " + "\n- ".join(faults))


def declaration_faults(kind: type[Fusion], name: str | None = None) -> Iterator[str]:
    """What is wrong with what a class says of itself, without building it.

    Args:
        kind: The class.
        name: The name under which it shall be registered; None: the one it gives itself.
    """
    info = getattr(kind, "info", None)
    if not isinstance(info, FusionInfo):
        yield f"info must be a plait.fusion.FusionInfo(name, paper, equation, needs_tokens), got {info!r}"
        return
    if name is not None and info.name != name:
        yield f"info.name is {info.name!r}; expected the registered name {name!r}"
    if kind.interaction not in INTERACTIONS:
        yield f"interaction is {kind.interaction!r}; expected one of {', '.join(INTERACTIONS)}"
    if kind.forward is Fusion.forward:
        yield "forward(encoded, present_BM) is not written"
    given = {"dropout": 0.0, **({"outputs": OutputSpec(2)} if kind.is_late else {})}
    try:
        inspect.signature(kind).bind([EncodedDims(2)], WIDTH, **given)
    except TypeError as error:
        yield f"__init__ must take (dims, width, *, {', '.join(f'{key}=' for key in given)}): {error}"


def _building(kind: type[Fusion], count: int, options: dict[str, Any]) -> Build:
    def build(dtype: torch.dtype = torch.float32, num_modalities: int = count) -> Fusion:
        return random_fusion(kind, num_modalities, dtype, **options)

    return build


def _built(build: Build, count: int) -> Iterator[str]:
    """It can be built with these options."""
    build()
    yield from ()


def _shapes(build: Build, count: int) -> Iterator[str]:
    """Finite outputs of the right shape."""
    present_BM = contract_patterns(count)
    output = build()(contract_inputs(count, len(present_BM)), present_BM)
    if not isinstance(output, FusionOutput):
        yield f"forward must return a plait.fusion.FusionOutput, got {type(output).__name__}"
        return
    if list(output.fused_BD.shape) != [len(present_BM), WIDTH]:
        yield f"fused_BD has shape {list(output.fused_BD.shape)}; expected [rows, width] = [{len(present_BM)}, {WIDTH}]"
    if bad := present_BM[~torch.isfinite(output.fused_BD).all(1)].tolist():
        yield f"fused_BD is not finite where this is there: {bad[:3]} (a row with nothing there needs an answer too)"


def _missing(build: Build, count: int) -> Iterator[str]:
    """What a missing modality holds changes no bit."""
    fusion, present_BM = build(), contract_patterns(count)
    clean = contract_inputs(count, len(present_BM))
    before = tensors_of(fusion(clean, present_BM))
    touched: dict[str, float] = {}
    for filling in FILLINGS:
        dirty = []
        for m, item in enumerate(clean):
            gone_B = ~present_BM[:, m]
            vector_BD, tokens_BTD, mask_BT = (t.clone() for t in (item.vector_BD, item.tokens_BTD, item.mask_BT))
            vector_BD[gone_B], tokens_BTD[gone_B] = filling, filling
            mask_BT[gone_B] = ~mask_BT[gone_B]
            dirty.append(Encoded(vector_BD, tokens_BTD, mask_BT))
        after = tensors_of(fusion(dirty, present_BM))
        for name, tensor in before.items():
            if not torch.equal(tensor, after[name]):
                touched.setdefault(name, filling)
    for name, filling in touched.items():
        yield (
            f"{name} changes when a missing modality holds {filling} (one bit is too much): take what is there with "
            "plait.fusion.present_vectors or torch.where, not by multiplying with 0, and mask tokens by present_BM too"
        )


def _gradients(build: Build, count: int) -> Iterator[str]:
    """Gradients reach what is there, and nothing else."""
    fusion, present_BM = build(), contract_patterns(count)
    encoded = contract_inputs(count, len(present_BM))
    for m, item in enumerate(encoded):
        item.vector_BD[~present_BM[:, m]] = float("nan")
        item.tokens_BTD[~present_BM[:, m]] = float("nan")
        item.vector_BD.requires_grad_()
        item.tokens_BTD.requires_grad_()
    (fusion(encoded, present_BM).fused_BD @ torch.linspace(-1.0, 1.3, WIDTH)).pow(2).sum().backward()
    for name, parameter in fusion.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0):
            finite = parameter.grad is None or bool(torch.isfinite(parameter.grad).all())
            yield f"no gradient reaches the parameter {name}" if finite else f"the gradient of {name} is not finite"
        elif not bool(torch.isfinite(parameter.grad).all()):
            yield f"the gradient of {name} is not finite when a missing modality holds NaN"
    for m, item in enumerate(encoded):
        grads = [t.grad.reshape(len(present_BM), -1) for t in (item.vector_BD, item.tokens_BTD) if t.grad is not None]
        reached_B = sum((g.abs().sum(1) for g in grads), torch.zeros(len(present_BM)))
        deaf_B = present_BM[:, m] & ~(reached_B > 0)
        if bool(deaf_B.any()):
            why = _why(deaf_B, present_BM)
            yield f"modality {m} is there in rows where no gradient reaches it: it does not count{why}"
        if not bool((reached_B[~present_BM[:, m]] == 0).all()):
            yield f"a gradient reaches modality {m} in rows where it is missing"


def _why(deaf_B: Tensor, present_BM: Tensor) -> str:
    """Why a modality that is there does not count, where the rows tell it."""
    if bool((deaf_B & present_BM.all(1)).any()):
        return ""
    return (
        ". It counts where everything is there and not where another is missing: a product with a zero in the place "
        "of what is missing is zero. Put 1 or a learned vector there, or add 1 to each factor"
    )


def _rows(build: Build, count: int) -> Iterator[str]:
    """Rows do not see each other."""
    fusion, present_BM = build(torch.float64), contract_patterns(count)
    encoded = contract_inputs(count, len(present_BM), dtype=torch.float64)
    whole_BD = fusion(encoded, present_BM).fused_BD
    for rows in (torch.arange(len(present_BM)).flip(0), torch.tensor([len(present_BM) // 2])):
        part = [Encoded(e.vector_BD[rows], e.tokens_BTD[rows], e.mask_BT[rows]) for e in encoded]  # type: ignore[index]
        if not torch.allclose(fusion(part, present_BM[rows]).fused_BD, whole_BD[rows], rtol=1e-9, atol=1e-10):
            yield "a row is answered otherwise in another batch: rows must not see each other in evaluation mode"
            return


def _padding(build: Build, count: int) -> Iterator[str]:
    """Padded tokens change nothing."""
    fusion, present_BM = build(torch.float64), contract_patterns(count)
    encoded = contract_inputs(count, len(present_BM), dtype=torch.float64)
    padded = []
    for e in encoded:
        assert e.tokens_BTD is not None and e.mask_BT is not None
        junk = torch.full((len(present_BM), 5, e.tokens_BTD.shape[2]), 1e6, dtype=torch.float64)
        tokens_BTD = torch.cat([torch.where(e.mask_BT[..., None], e.tokens_BTD, -1e6), junk], dim=1)
        mask_BT = torch.cat([e.mask_BT, torch.zeros(len(present_BM), 5, dtype=torch.bool)], dim=1)
        padded.append(Encoded(e.vector_BD, tokens_BTD, mask_BT))
    before, after = fusion(encoded, present_BM).fused_BD, fusion(padded, present_BM).fused_BD
    if not torch.allclose(before, after, rtol=0, atol=1e-10):
        yield "tokens whose mask is False change the answer"


def _weights(build: Build, count: int) -> Iterator[str]:
    """Weights are shares of what is there."""
    fusion, present_BM = build(torch.float64), contract_patterns(count)
    weights_BM = fusion(contract_inputs(count, len(present_BM), dtype=torch.float64), present_BM).weights_BM
    if weights_BM is None:
        return
    if weights_BM.shape != present_BM.shape:
        yield f"weights_BM has shape {list(weights_BM.shape)}; expected [rows, modalities] {list(present_BM.shape)}"
        return
    if bool((weights_BM[~present_BM] != 0).any()):
        yield "weights_BM of a missing modality is not 0"
    sums_B = weights_BM.sum(1)[present_BM.any(1)]
    if not torch.allclose(sums_B, torch.ones_like(sums_B), atol=1e-6):
        yield "weights_BM does not sum to 1 over what is there; give shares, or None where the method has none"


def _additive(build: Build, count: int) -> Iterator[str]:
    """A sum of terms."""
    fusion = build(torch.float64)
    if fusion.interaction != "additive" or fusion.is_late or count < 2:
        return
    x, y = (contract_inputs(count, 6, seed=seed, dtype=torch.float64) for seed in (0, 1))
    present_BM = torch.ones(6, count, dtype=torch.bool)
    both = fusion(x, present_BM).fused_BD + fusion(y, present_BM).fused_BD
    crossed = fusion([x[0], *y[1:]], present_BM).fused_BD + fusion([y[0], *x[1:]], present_BM).fused_BD
    apart = float((both - crossed).detach().abs().max())
    if apart > ADDITIVE_WITHIN * max(1.0, float(both.detach().abs().max())):
        yield (
            "interaction is 'additive', and the fused vector is no sum of one term a modality (exchanging one modality "
            f"between two rows changes their sum by {apart:.2g}); say 'multiplicative', 'attention' or 'nonlinear'"
        )


def _rebuilt(build: Build, count: int) -> Iterator[str]:
    """Parameters and buffers are all that it needs."""
    fusion, present_BM = build(), contract_patterns(count)
    again = build()
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(fusion.state_dict())
    encoded = contract_inputs(count, len(present_BM))
    if not torch.equal(fusion(encoded, present_BM).fused_BD, again(encoded, present_BM).fused_BD):
        yield "with its saved state it answers otherwise: what it needs must be a parameter or a persistent buffer"
    if not torch.equal(fusion(encoded, present_BM).fused_BD, fusion(encoded, present_BM).fused_BD):
        yield "it answers the same rows differently each time in evaluation mode"


def _alone(build: Build, count: int) -> Iterator[str]:
    """One modality is enough."""
    fused_BD = build(num_modalities=1)(contract_inputs(1, 2), torch.ones(2, 1, dtype=torch.bool)).fused_BD
    if list(fused_BD.shape) != [2, WIDTH]:
        yield f"with one modality fused_BD has shape {list(fused_BD.shape)}; expected [2, {WIDTH}]"


CHECKS = (_built, _shapes, _missing, _gradients, _rows, _padding, _weights, _additive, _rebuilt, _alone)
ROOTS = (_built, _shapes, _missing)  # what fails in these fails again in others


def _titled(check: Callable[[Build, int], Iterator[str]]) -> str:
    """What a check looks at, as part of a sentence."""
    said = str(check.__doc__).rstrip(".")
    return said[0].lower() + said[1:]


def tensors_of(output: FusionOutput) -> dict[str, Tensor]:
    """What a missing modality must leave alone, by name."""
    found = {"fused_BD": output.fused_BD, "weights_BM": output.weights_BM, "confidence_BM": output.confidence_BM}
    found |= {f"attention of modality {m}": attention for m, attention in enumerate(output.attention or [])}
    return {name: tensor for name, tensor in found.items() if tensor is not None}
