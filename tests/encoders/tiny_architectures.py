"""Tiny random models of many architectures, each one line: its configuration, tokenizer and processor file.

In: a name. Out: a folder as its authors would publish it, without any download. A new architecture joins ``TEXTS``,
``IMAGES``, ``SOUNDS`` or ``PAIRS`` by one line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fixtures.lazy import lazy

hf = lazy("transformers")
VOCABULARY = 300
SPECIALS = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "t5": ["<pad>", "</s>", "<unk>"], "gpt": ["<|end|>"], "clip": ["<|start|>", "<|end|>"],
    "llama": ["<unk>", "<s>", "</s>"],
}  # fmt: skip
FRAMES = {
    "bert": "[CLS] $A [SEP]", "roberta": "<s> $A </s>", "t5": "$A </s>", "gpt": "$A", "clip": "<|start|> $A <|end|>",
    "llama": "<s> $A",
}  # fmt: skip
NAMED = {
    "bert": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"},
    "roberta": {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "t5": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}, "gpt": {"eos_token": "<|end|>"},
    "clip": {"pad_token": "<|end|>", "bos_token": "<|start|>", "eos_token": "<|end|>"},
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
}  # fmt: skip
CORPUS = ["two brown dogs run over the green grass", "a man in a blue shirt sits on a red bench", "rain, wind. snow!"]
LENGTH = 24
BODY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
WORDS = {"vocab_size": VOCABULARY, "max_position_embeddings": LENGTH, **BODY}
OFFSET = {**WORDS, "max_position_embeddings": LENGTH + 2, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DEEP = {**WORDS, "num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": 0}
PATCHES = {"image_size": 32, "patch_size": 8, **BODY}
DINO = {key: value for key, value in PATCHES.items() if key != "intermediate_size"}
MAPS = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
SMALL_NET = {"image_size": 64, "width_coefficient": 0.2, "depth_coefficient": 0.2, "hidden_dim": 256}
OPT = {"vocab_size": VOCABULARY, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
       "max_position_embeddings": LENGTH, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}  # fmt: skip
SPEAKER = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
           "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": VOCABULARY,
           "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}  # fmt: skip
WAVES = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2,
         "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, **BODY}  # fmt: skip
HALF = {"image_mean": [0.5] * 3, "image_std": [0.4, 0.5, 0.6], "do_resize": True, "do_normalize": True}
SQUASH = {**HALF, "size": {"height": 32, "width": 32}, "resample": 2}
CUT = {**HALF, "size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
BY_SHARE = {**HALF, "size": {"shortest_edge": 64}, "crop_pct": 0.875, "resample": 3}
WAVE_FILE = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000, "do_normalize": True}
CLAP_FILE = {"feature_extractor_type": "ClapFeatureExtractor", "feature_size": 64, "sampling_rate": 48_000,
             "truncation": "rand_trunc", "padding": "repeatpad", "hop_length": 480, "max_length_s": 10}  # fmt: skip
CLAP_SOUND = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1], "projection_dim": 24,
              "num_attention_heads": [2, 2, 2, 2], "spec_size": 256, "num_mel_bins": 64}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """One line of the tables below.

    Attributes:
        config: Class of its configuration in ``transformers``.
        settings: What the configuration is built with.
        vectors: For each kind, how the authors make one vector: "mean", "first" or "pooled".
        tokenizer: Style of its tokenizer, a key of ``SPECIALS``.
        file: Its processor file.
        pads: Whether its authors pad every text to the most tokens.
    """

    config: str
    settings: dict[str, Any]
    vectors: dict[str, str]
    tokenizer: str | None = None
    file: dict[str, Any] | None = None
    pads: bool = False

    def save(self, folder: Path) -> Path:
        """Write the model, tokenizer and processor file."""
        torch.manual_seed(1)
        model = hf.AutoModel.from_config(getattr(hf, self.config)(**self.settings)).eval()
        with torch.no_grad():  # strong enough that every pixel and every token moves the output
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, (weight.numel() / len(weight)) ** -0.5)
        model.save_pretrained(folder)
        if self.tokenizer is not None:
            byte_pairs(self.tokenizer).save_pretrained(folder)
        if self.file is not None:
            (folder / "preprocessor_config.json").write_text(json.dumps(self.file))
        return folder


def byte_pairs(style: str) -> Any:
    """A tokenizer of byte pairs, learned from a few sentences, that frames texts as the style does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS[style], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(CORPUS, trainer)
    marks = [(name, core.token_to_id(name)) for name in SPECIALS[style]]
    core.post_processor = processors.TemplateProcessing(single=FRAMES[style], special_tokens=marks)
    made = hf.PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=LENGTH, **NAMED[style])
    if made.pad_token_id is None:
        made.pad_token = made.eos_token
    return made


def _text(config: str, style: str, **settings: Any) -> Architecture:
    return Architecture(config, settings, {"text": "mean"}, style)


def _image(config: str, vector: str, file: dict[str, Any], processor: str | None, **settings: Any) -> Architecture:
    named = {"image_processor_type": processor} if processor else {}
    return Architecture(config, settings, {"image": vector}, file={**file, **named})


def _sound(config: str, vector: str, file: dict[str, Any] | None = None, **settings: Any) -> Architecture:
    return Architecture(config, settings, {"audio": vector}, file=file)


def _pair(
    config: str, style: str, processor: str, text: dict[str, Any], vision: dict[str, Any], *, first: bool = False,
    pads: bool = False, file: dict[str, Any] = SQUASH, **settings: Any,
) -> Architecture:  # fmt: skip
    vectors = {"text": "first" if first else "pooled", "image": "pooled"}
    file = {**file, "image_processor_type": processor}
    return Architecture(config, {"text_config": text, "vision_config": vision, **settings}, vectors, style, file, pads)


T5_SETTINGS = {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
SIGLIP_TEXT = {**WORDS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "projection_size": 32}
GPT = {"vocab_size": VOCABULARY, "n_positions": LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 2, "bos_token_id": 0,
       "eos_token_id": 0}  # fmt: skip
DISTIL = {"vocab_size": VOCABULARY, "max_position_embeddings": LENGTH, "dim": 32, "n_layers": 2, "n_heads": 2,
          "hidden_dim": 48}  # fmt: skip
BART = {**SPEAKER, "max_position_embeddings": LENGTH, "pad_token_id": 1, "bos_token_id": 0}
MODERN = {**WORDS, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
CLIP_TEXT = {**WORDS, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
BLIP_TEXT = {**WORDS, "encoder_hidden_size": 32, "pad_token_id": 0, "bos_token_id": 2, "sep_token_id": 3}
CLAP_TEXT = {**OFFSET, "projection_dim": 24}
NAFLEX = {"patch_size": 8, "max_num_patches": 16, "image_processor_type": "Siglip2ImageProcessor"}

TEXTS = {
    "bert": _text("BertConfig", "bert", **WORDS),
    "roberta": _text("RobertaConfig", "roberta", **OFFSET),
    "distilbert": _text("DistilBertConfig", "bert", **DISTIL),
    "modernbert": _text("ModernBertConfig", "bert", **MODERN),
    "electra": _text("ElectraConfig", "bert", embedding_size=16, **WORDS),
    "albert": _text("AlbertConfig", "bert", embedding_size=16, **WORDS),
    "deberta": _text("DebertaV2Config", "bert", pos_att_type="p2c|c2p", relative_attention=True, **WORDS),
    "mpnet": _text("MPNetConfig", "roberta", **OFFSET),
    "gpt2": _text("GPT2Config", "gpt", **GPT),
    "opt": _text("OPTConfig", "roberta", word_embed_proj_dim=32, **OPT),
    "opt-projected": _text("OPTConfig", "roberta", word_embed_proj_dim=16, do_layer_norm_before=False, **OPT),
    "llama": _text("LlamaConfig", "llama", **DEEP),
    "qwen2": _text("Qwen2Config", "gpt", **DEEP),
    "qwen3": _text("Qwen3Config", "gpt", head_dim=16, **DEEP),
    "gemma2": _text("Gemma2Config", "llama", head_dim=16, pad_token_id=0, **DEEP),
    "t5": _text("T5Config", "t5", feed_forward_proj="gated-gelu", **T5_SETTINGS),
    "bart": _text("BartConfig", "roberta", **BART),
    "xlnet": _text("XLNetConfig", "bert", vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=2, d_inner=48),
}
IMAGES = {
    "vit": _image("ViTConfig", "first", SQUASH, "ViTImageProcessor", **PATCHES),
    "vit-unnormalised": _image(
        "ViTConfig", "first", {**SQUASH, "do_normalize": False}, "ViTImageProcessor", **PATCHES
    ),
    "deit": _image("DeiTConfig", "first", CUT, "DeiTImageProcessor", **PATCHES),
    "dinov2": _image("Dinov2Config", "first", CUT, "BitImageProcessor", **DINO),
    "dinov2-registers": _image("Dinov2WithRegistersConfig", "first", CUT, "BitImageProcessor", **DINO),
    "dinov3": _image("DINOv3ViTConfig", "first", SQUASH, "DINOv3ViTImageProcessor", num_register_tokens=4, **PATCHES),
    "beit": _image("BeitConfig", "pooled", SQUASH, "BeitImageProcessor", **PATCHES),
    "swin": _image("SwinConfig", "pooled", {**SQUASH, "size": {"height": 64, "width": 64}}, "ViTImageProcessor",
                   image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4),
    "convnext": _image("ConvNextConfig", "pooled", BY_SHARE, "ConvNextImageProcessor", **MAPS),
    "convnextv2": _image("ConvNextV2Config", "pooled", BY_SHARE, "ConvNextImageProcessor", **MAPS),
    "resnet": _image("ResNetConfig", "pooled", BY_SHARE, None, embedding_size=8, layer_type="basic", **MAPS),
    "regnet": _image("RegNetConfig", "pooled", BY_SHARE, None, embedding_size=8, groups_width=8, **MAPS),
    "efficientnet": _image("EfficientNetConfig", "pooled", {**SQUASH, "include_top": True},
                           "EfficientNetImageProcessor", **SMALL_NET),
    "mobilenetv2": _image("MobileNetV2Config", "pooled", CUT, "MobileNetV2ImageProcessor", depth_multiplier=0.35),
    "mobilevit": _image("MobileViTConfig", "pooled", {**CUT, "do_normalize": False, "do_flip_channel_order": True},
                        "MobileViTImageProcessor", image_size=32, hidden_sizes=[16, 24, 32],
                        neck_hidden_sizes=[8, 8, 12, 16, 20, 24, 40]),
    "pvt": _image("PvtV2Config", "mean", SQUASH, "PvtImageProcessor", image_size=32, num_attention_heads=[1, 1, 2, 2],
                  **MAPS),
}  # fmt: skip
SOUNDS = {
    "whisper": _sound("WhisperConfig", "mean", {"feature_extractor_type": "WhisperFeatureExtractor",
                                                "chunk_length": 1, "feature_size": 80},
                      num_mel_bins=80, max_source_positions=50, **SPEAKER),
    "whisper-128": _sound("WhisperConfig", "mean", {"feature_extractor_type": "WhisperFeatureExtractor",
                                                    "chunk_length": 1, "feature_size": 128},
                          num_mel_bins=128, max_source_positions=50, **SPEAKER),
    "wav2vec2": _sound("Wav2Vec2Config", "mean", WAVE_FILE, **WAVES),
    "hubert": _sound("HubertConfig", "mean", {**WAVE_FILE, "do_normalize": False}, **WAVES),
    "ast": _sound("ASTConfig", "pooled", {"feature_extractor_type": "ASTFeatureExtractor", "max_length": 100,
                                          "num_mel_bins": 64}, max_length=100, num_mel_bins=64, **BODY),
}  # fmt: skip
PAIRS = {
    "clip": _pair("CLIPConfig", "clip", "CLIPImageProcessor", CLIP_TEXT, PATCHES, file=CUT, projection_dim=24),
    "siglip": _pair("SiglipConfig", "t5", "SiglipImageProcessor", SIGLIP_TEXT, PATCHES, pads=True),
    "siglip2": _pair("Siglip2Config", "t5", "Siglip2ImageProcessor", SIGLIP_TEXT,
                     {"num_patches": 16, "patch_size": 8, **BODY}, pads=True, file={**HALF, **NAFLEX}),
    "blip": _pair("BlipConfig", "bert", "BlipImageProcessor", BLIP_TEXT, PATCHES, projection_dim=24,
                  image_text_hidden_size=24),
    "align": _pair("AlignConfig", "bert", "EfficientNetImageProcessor", WORDS, SMALL_NET, projection_dim=256),
    "chinese-clip": _pair("ChineseCLIPConfig", "bert", "ChineseCLIPImageProcessor", WORDS, PATCHES, first=True,
                          file={**SQUASH, "do_center_crop": False}, projection_dim=24),
    "metaclip2": _pair("MetaClip2Config", "clip", "CLIPImageProcessor", CLIP_TEXT, PATCHES, file=CUT,
                       projection_dim=24),
    "altclip": _pair("AltCLIPConfig", "roberta", "CLIPImageProcessor", {**OFFSET, "project_dim": 32}, PATCHES, file=CUT,
                     projection_dim=24),
    "groupvit": _pair("GroupViTConfig", "clip", "CLIPImageProcessor", CLIP_TEXT,
                      {**PATCHES, "depths": [1, 1, 1], "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 4]},
                      file=CUT, projection_dim=24, projection_intermediate_dim=16),
    "clap": Architecture("ClapConfig", {"text_config": CLAP_TEXT, "audio_config": CLAP_SOUND, "projection_dim": 24},
                         {"text": "pooled", "audio": "pooled"}, "roberta", CLAP_FILE),
}  # fmt: skip
ARCHITECTURES = {**TEXTS, **IMAGES, **SOUNDS, **PAIRS}
CASES = [("hf", name, kind) for name, one in ARCHITECTURES.items() for kind in one.vectors]
CASES += [("two-tower", name, kind) for name, one in PAIRS.items() for kind in one.vectors]
