"""A fitted model as one ONNX graph and the code that reads its rows, in a folder that needs neither Plait nor PyTorch.

``graph`` joins encoders, networks, members of an ensemble and calibration to one module, from what processors make of
rows to probabilities; ``onnx_file`` writes it, ``parity`` compares its answers with the model's own, ``int8``
quantises it, ``folder`` puts the reader beside it and swaps the whole in. Nothing here trains.
"""

from __future__ import annotations
