"""FlexMatch's thresholds: those of classes that are learned less well so far are lower.

    sigma_c = number of unlabelled rows whose last sure answer (confidence p or more) was class c
    beta_c = sigma_c / max(max_c sigma_c, rows without a sure answer)        T_c = M(beta_c) p        M(b) = b / (2 - b)

Reference: Zhang, Wang, Hou, Wu, Wang, Okumura and Shinozaki 2021 (FlexMatch), equations 5 to 8, and the warm-up of
section 3.2.
"""

from __future__ import annotations

import numpy as np

NONE_YET = -1


def flexible_thresholds(last_U: np.ndarray, num_classes: int, threshold: float) -> np.ndarray:
    """Thresholds by class [C], in [0, ``threshold``].

    Args:
        last_U: The class of each unlabelled row's last sure answer, ``NONE_YET`` where there was none.
        num_classes: C.
        threshold: p, that of a class learned best.

    Example:
        >>> last = np.array([0, 0, 0, 0, 1, 1])
        >>> flexible_thresholds(last, 3, 0.9).round(3).tolist()
        [0.9, 0.3, 0.0]
    """
    counts_C = np.bincount(last_U[last_U >= 0], minlength=num_classes)
    most = max(int(counts_C.max(initial=0)), int((last_U == NONE_YET).sum()), 1)
    return mapped(counts_C / most) * threshold


def mapped(beta_C: np.ndarray) -> np.ndarray:
    """How well each class is learned, beta in [0, 1], to the share of the threshold that is asked: b / (2 - b).

    Example:
        >>> mapped(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [0.0, 0.3333, 1.0]
    """
    found: np.ndarray = beta_C / (2.0 - beta_C)
    return found
