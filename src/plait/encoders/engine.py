"""OpenVINO in place of PyTorch for the forward of a frozen encoder on a CPU, held to PyTorch before it is used.

In: an encoder in evaluation mode and the tensors of its processor. Out: the same ``Encoded``. The network is traced in
memory, converted by OpenVINO's own PyTorch front end and compiled in float32, once a process; nothing is written and
nothing is sent (OpenVINO's ``convert_model``, which reports its use, is not called). What was compiled first answers
three made-up batches of other sizes and the first real one; an answer beyond ``TOLERANCE`` or ``COSINE`` of PyTorch's
refuses the engine for this encoder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders import int8
from plait.encoders.base import Encoded, Encoder

TOLERANCE = 1e-4  # length of the difference over the length of PyTorch's vector, or of all real tokens of an item
COSINE = 0.99999
LOWER_TOLERANCE, LOWER_COSINE = 0.2, 0.98  # of fewer bits: these find a broken network, not a loss of accuracy
PRODUCTS = ("float32", "bfloat16", "int8")
HINTS = {"bfloat16": "bf16"}  # OpenVINO's name of what its kernels multiply in; elsewhere float32
MOST_COMPILED = 4  # each holds its weights once more
PROVEN_IMAGES = ("timm", "torchvision", "hf-image")
PROVEN_TEXTS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "mpnet",
    "electra",
    "albert",
    "modernbert",
    "deberta-v2",
)
NO_BFLOAT16 = "this processor has no products of bfloat16 (AVX-512 BF16 or AMX)"
NOT_HERE = 'the package openvino is not installed; type pip install "plait[openvino]"'
Compiled = Any

logger = logging.getLogger(__name__)
compiled_networks: OrderedDict[tuple[Any, ...], Compiled] = OrderedDict()
_refused: dict[tuple[str, bool, str], str] = {}
_said: set[str] = set()
_lock = threading.RLock()
_core: tuple[int, Any] | None = None  # process and OpenVINO's core


class EngineError(RuntimeError):
    """An engine cannot be used for an encoder; the message says why."""


class OpenVinoForward:
    """An encoder's forward by OpenVINO.

    Args:
        encoder: In evaluation mode, on the CPU.
        with_tokens: Whether tokens and mask are wanted beside the vector.
        products: What its matrices are multiplied in, one of ``PRODUCTS``: "bfloat16" where the processor does so,
            "int8" by `plait.encoders.int8`, both held to ``LOWER_TOLERANCE``.
    """

    def __init__(self, encoder: Encoder, with_tokens: bool, products: str = "float32") -> None:
        self.encoder, self.with_tokens, self.products = encoder, with_tokens, products
        self.own: dict[tuple[Any, ...], Compiled] = {}

    def __call__(self, inputs: dict[str, Tensor]) -> Encoded:
        """Encode a batch.

        Args:
            inputs: The processor's tensors [B, ...].

        Raises:
            EngineError: The network cannot be converted, or does not answer as PyTorch does.
        """
        kind = _kind_of(inputs)
        with _lock:
            if kind not in self.own:
                key = (self.encoder.fingerprint, self.with_tokens, self.products, torch.get_num_threads(), kind)
                if key not in compiled_networks:
                    made = self._opened(inputs)
                    self._compare(_infer(made, inputs, self.with_tokens), self._by_torch(inputs), "the first batch")
                    compiled_networks[key] = made
                    while len(compiled_networks) > MOST_COMPILED:
                        compiled_networks.popitem(last=False)
                compiled_networks.move_to_end(key)
                self.own[kind] = compiled_networks[key]
            try:
                return _infer(self.own[kind], inputs, self.with_tokens)
            except RuntimeError as error:
                raise self._refuse(f"a batch could not be encoded: {_last_line(error)}") from error

    def _opened(self, inputs: dict[str, Tensor]) -> Compiled:
        try:
            made = _convert(self.encoder, inputs, self.with_tokens, self.products)
        except Exception as error:  # the tracer and the converter may raise anything
            inner = error.__cause__ or error.__context__ or error  # the tracer's own words are a page of advice
            raise self._refuse(f"it cannot be converted: {_last_line(inner)}") from error
        for name, variant in made_up(inputs):
            try:
                expected = self._by_torch(variant)
            except Exception:  # PyTorch itself takes no such batch (a clip too short, say): nothing to hold to
                continue
            try:
                answer = _infer(made, variant, self.with_tokens)
            except RuntimeError as error:
                raise self._refuse(f"{name}: {_last_line(error)}") from error
            self._compare(answer, expected, name)
        return made

    def _by_torch(self, inputs: dict[str, Tensor]) -> Encoded:
        with torch.inference_mode():
            return self.encoder(**inputs)  # type: ignore[no-any-return]

    def _compare(self, answer: Encoded, expected: Encoded, what: str) -> None:
        bounds = (TOLERANCE, COSINE) if self.products == "float32" else (LOWER_TOLERANCE, LOWER_COSINE)
        problem = difference(answer, expected, self.with_tokens, *bounds)
        if problem is not None:
            raise self._refuse(f"{what}: {problem}")

    def _refuse(self, reason: str) -> EngineError:
        _refused[self.encoder.fingerprint, self.with_tokens, self.products] = reason
        return EngineError(reason)


def is_installed() -> bool:
    """Whether OpenVINO is there; it is not imported."""
    return find_spec("openvino") is not None


def is_proven(encoder: nn.Module) -> bool:
    """Whether networks of this family are tested under OpenVINO, so that it may be chosen unasked.

    The comparison with PyTorch catches other answers; a converted network that ends the process it cannot catch.
    """
    description = getattr(encoder, "description", {})
    if description.get("type") == "hf-text":
        return description["hf"]["model_type"] in PROVEN_TEXTS and "pad" not in description
    return description.get("type") in PROVEN_IMAGES


def refusal(encoder: Encoder, with_tokens: bool, products: str = "float32") -> str | None:
    """Why OpenVINO cannot work here, or for this encoder as this process has found; None: nothing is known against it.

    Args:
        encoder: The encoder.
        with_tokens: Whether its tokens are wanted.
        products: What its matrices are to be multiplied in, one of ``PRODUCTS``.
    """
    if not is_installed():
        return NOT_HERE
    if _core is not None and _core[0] != os.getpid():
        return "this process was forked from one in which OpenVINO has worked"
    if products == "bfloat16" and not multiplies_bfloat16():
        return NO_BFLOAT16
    return _refused.get((encoder.fingerprint, with_tokens, products))


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself (AVX-512 BF16, AMX); OpenVINO would take float32 elsewhere."""
    return "BF16" in _core_here().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def say_once(encoder: Encoder, reason: str) -> None:
    """Note that PyTorch encodes in place of OpenVINO, once an encoder and reason."""
    name = getattr(encoder, "reference", type(encoder).__name__)
    message = f"{name} is encoded by PyTorch, not by OpenVINO: {reason}"
    if message not in _said:
        _said.add(message)
        logger.warning("%s", message)


def forget() -> None:
    """Give back what was compiled, and forget what was refused and said."""
    compiled_networks.clear()
    _refused.clear()
    _said.clear()


def difference(
    answer: Encoded, expected: Encoded, with_tokens: bool, tolerance: float = TOLERANCE, least_cosine: float = COSINE
) -> str | None:
    """What of an answer is beyond the tolerance, in words; None: nothing is.

    Args:
        answer: By OpenVINO.
        expected: By PyTorch.
        with_tokens: Whether tokens and mask are compared too.
        tolerance: Most length of a difference, over the length of PyTorch's.
        least_cosine: Least cosine with PyTorch's.
    """
    parts = [("vectors", answer.vector_BD, expected.vector_BD)]
    if with_tokens and expected.tokens_BTD is not None:
        assert answer.tokens_BTD is not None and answer.mask_BT is not None and expected.mask_BT is not None
        if not torch.equal(answer.mask_BT.bool(), expected.mask_BT.bool()):
            return "other tokens are real"
        real_BT1 = expected.mask_BT.bool()[..., None]
        parts.append(("tokens", answer.tokens_BTD * real_BT1, expected.tokens_BTD * real_BT1))
    for name, got, wanted in parts:
        if got.shape != wanted.shape:
            return f"{name} of shape {list(got.shape)} where PyTorch gives {list(wanted.shape)}"
        got_BF, wanted_BF = got.double().flatten(1), wanted.double().flatten(1)
        if not wanted_BF.isfinite().all():  # refused elsewhere, whoever encodes it
            continue
        length_B = wanted_BF.norm(dim=1)
        off = float(((got_BF - wanted_BF).norm(dim=1) / length_B.clamp(min=1e-6)).max())
        angle_B = nn.functional.cosine_similarity(got_BF, wanted_BF, dim=1)
        cosine = float(torch.where(length_B > 1e-6, angle_B, 1.0).min())
        if not (off <= tolerance and cosine >= least_cosine):
            return f"{name} differ by {off:.1e} of their length (cosine {cosine:.6f}); {tolerance:.0e} is allowed"
    return None


def made_up(inputs: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Batches of one item, of three, and of three of half the length: the same values for the same inputs.

    Args:
        inputs: A real batch [B, ...], whose sizes, range of values and token ids they take.
    """
    for count, share in ((1, 1), (3, 1), (3, 2)):
        dice = torch.Generator().manual_seed(count)
        made = {}
        for name, tensor in inputs.items():
            shape = [count, *tensor.shape[1:]]
            if _is_growing(tensor):
                shape[1] = max(1, shape[1] // share)
            if _is_mask(name, tensor):
                lengths = (torch.arange(count) + 1) * shape[1] // count
                made[name] = (torch.arange(shape[1]) < lengths.clamp(min=1)[:, None]).to(tensor.dtype)
            elif tensor.is_floating_point():
                spread = float(tensor.std(correction=0))
                made[name] = (torch.randn(shape, generator=dice) * spread + tensor.mean()).to(tensor.dtype)
            else:
                flat = tensor.flatten()
                made[name] = flat[torch.randint(len(flat), shape, generator=dice)]
        yield f"a made-up batch of {count}{' of half the length' if share > 1 else ''}", made


class _Flat(nn.Module):
    """An encoder of tensors in a row, as the tracer asks for them."""

    def __init__(self, encoder: Encoder, names: list[str], with_tokens: bool) -> None:
        super().__init__()
        self.encoder, self.names, self.with_tokens = encoder, names, with_tokens

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        encoded = self.encoder(**dict(zip(self.names, tensors, strict=True)))
        if not self.with_tokens:
            return (encoded.vector_BD,)
        if encoded.tokens_BTD is None or encoded.mask_BT is None:
            raise EngineError("it gives no tokens with a mask")
        return encoded.vector_BD, encoded.tokens_BTD, encoded.mask_BT


def _convert(encoder: Encoder, inputs: dict[str, Tensor], with_tokens: bool, products: str) -> Compiled:
    """Trace, convert and compile; takes seconds."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    flat = _Flat(encoder, list(inputs), with_tokens).eval()
    example = tuple(tensor[[0, -1]].clone() for tensor in inputs.values())  # two items: one could be taken for a scale
    with _quiet(), _without_cache(encoder), torch.no_grad():
        front = FrontEndManager().load_by_framework("pytorch")
        kwargs = {"check_trace": False}  # the comparison with PyTorch is the check, and tracing twice the time
        traced = TorchScriptPythonDecoder(flat, example_input=example, trace_kwargs=kwargs)  # outlives the conversion
        network = front.convert(front.load(traced))
    if len(network.inputs) != len(example):
        raise EngineError(f"the trace reads {len(network.inputs)} of {len(example)} inputs")
    network.reshape({
        place: openvino.PartialShape([-1, *([-1] if _is_growing(t) else []), *t.shape[1 + _is_growing(t) :]])
        for place, t in enumerate(example)
    })  # fmt: skip
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS.get(products, "f32"), "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several processes would sit on the same cores
    }  # fmt: skip
    if products == "int8":
        if int8.quantise_network(network) == 0:
            raise EngineError("it has no large matrices that eight bits could take the place of")
        settings |= int8.SETTINGS
    return _core_here().compile_model(network, "CPU", settings)


def _core_here() -> Any:
    global _core
    import openvino

    if _core is None:
        _core = (os.getpid(), openvino.Core())
    if _core[0] != os.getpid():
        raise EngineError("this process was forked from one in which OpenVINO has worked")
    return _core[1]


def _infer(compiled: Compiled, inputs: dict[str, Tensor], with_tokens: bool) -> Encoded:
    arrays = [np.ascontiguousarray(tensor.detach().numpy()) for tensor in inputs.values()]
    found = [torch.from_numpy(value) for value in compiled(arrays, share_inputs=True, share_outputs=False).values()]
    return Encoded(found[0], found[1], found[2]) if with_tokens else Encoded(found[0], None, None)


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip()[:200] if lines else type(error).__name__


def _is_mask(name: str, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and (tensor.dtype == torch.bool or "mask" in name)


def _is_growing(tensor: Tensor) -> bool:
    """Whether the second side is a length: of tokens, frames or samples; pictures keep their sides."""
    return 2 <= tensor.ndim <= 3


def _kind_of(inputs: dict[str, Tensor]) -> tuple[Any, ...]:
    """What one compiled network takes: names, types and the sides that stay."""
    return tuple((n, str(t.dtype), t.ndim, tuple(t.shape[1 + _is_growing(t) :])) for n, t in inputs.items())


@contextlib.contextmanager
def _without_cache(encoder: Encoder) -> Iterator[None]:
    """Without the cache of a model that could generate: nothing reads it here, and no trace of it can be converted."""
    config = getattr(getattr(encoder, "model", None), "config", None)
    if not getattr(config, "use_cache", False):
        yield
        return
    config.use_cache = False
    try:
        yield
    finally:
        config.use_cache = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of tracing: constants and branches, which the comparison with PyTorch judges."""
    loggers = [logging.getLogger(name) for name in ("transformers", "openvino", "torch.jit")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
