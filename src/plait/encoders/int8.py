"""Eight bits for the large matrices of a network that OpenVINO runs: weights at once, activations as they come.

In: a converted network in float32. Out: the same network, in which every matrix that is multiplied with is int8 with a
float scale for each output, symmetric and round-to-nearest, as in Dettmers et al. 2022 (LLM.int8(), section 2). What
is looked up (embeddings), added or normalised stays float32. Nothing is calibrated, so that the result depends on the
weights alone and not on the items of a table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GROUP = 64  # so many neighbouring activations share a scale that is found as they come
SMALLEST = 1024  # numbers in a matrix, below which there is nothing to gain
SETTINGS = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP}


def quantise(matrix_OI: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to eight bits.

    Args:
        matrix_OI: Weights, finite floats.
        axis: The side along which numbers share a scale: that of the inputs.

    Returns:
        Whole numbers of int8 in [-127, 127] and scales with 1 on that side; their product is within half a scale of
        the matrix.
    """
    largest = np.abs(matrix_OI).max(axis=axis, keepdims=True)
    scale = (np.where(largest > 0, largest, 1.0) / 127).astype(np.float32)
    return np.clip(np.rint(matrix_OI / scale), -127, 127).astype(np.int8), scale


def quantise_network(network: Any) -> int:
    """Replace the float32 matrices of a network's products by int8 ones, in place.

    Args:
        network: An ``openvino.Model``.

    Returns:
        How many matrices are int8 now.
    """
    import openvino
    from openvino import opset13

    done = 0
    for node in network.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weight = node.input_value(1).get_node()
        if weight.get_type_name() != "Constant" or weight.get_element_type() != openvino.Type.f32:
            continue
        matrix = weight.data
        if matrix.ndim != 2 or matrix.size < SMALLEST or not np.isfinite(matrix).all():
            continue
        whole, scale = quantise(matrix, 1 if node.get_attributes()["transpose_b"] else 0)
        rounded = opset13.multiply(opset13.convert(opset13.constant(whole), "f32"), opset13.constant(scale))
        node.input(1).replace_source_output(rounded.output(0))
        done += 1
    return done
