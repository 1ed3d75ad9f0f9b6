"""The same network with fusion and head as they begin: an explanation that survives this tells nothing of the model.

Adebayo et al. 2018, "Sanity checks for saliency maps": explanations of a re-initialised model must decorrelate.
"""

from __future__ import annotations

import copy

import torch

from plait.model import PlaitModel


def with_new_head(model: PlaitModel, seed: int) -> PlaitModel:
    """A network that takes encoded modalities as this one does, its fusion and head drawn anew.

    Args:
        model: The network; its encoders are not copied, so features must come encoded.
        seed: Of the drawing; the state of torch's own generator is left as it was.
    """
    config = copy.deepcopy(model.config)
    for modality in config.modalities:
        modality["encoder"] = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = PlaitModel(config)
    made.scalers, made.words = model.scalers, model.words
    made.to(next(model.parameters()).device)
    made.train(False)
    return made
