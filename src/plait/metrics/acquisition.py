"""How much a label of a row would teach, from what a model answers: uncertainty, and disagreement of several answers.

Pure functions of probabilities of classes [N, C] that sum to one, or of independent labels [N, C] each in [0, 1]; the
larger the value, the more is in doubt. Entropies are in nats.
"""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-12  # of a probability, in a logarithm


def least_confidence(probability_NC: np.ndarray) -> np.ndarray:
    """One minus the probability of the answer [N], in [0, 1 - 1/C].

    Reference: Lewis and Gale, SIGIR 1994.

    Example:
        >>> least_confidence(np.array([[0.5, 0.3, 0.2]])).round(3).tolist()
        [0.5]
    """
    return np.asarray(1.0 - probability_NC.max(axis=1))


def margin(probability_NC: np.ndarray) -> np.ndarray:
    """One minus the lead of the likeliest class over the second [N], in [0, 1]; 1 where the two are equally likely.

    Reference: Scheffer, Decomain and Wrobel, IDA 2001.

    Example:
        >>> margin(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]])).round(3).tolist()
        [0.8, 1.0]
    """
    if probability_NC.shape[1] < 2:
        return np.zeros(len(probability_NC))
    ordered_NC = np.sort(probability_NC, axis=1)
    return np.asarray(1.0 - (ordered_NC[:, -1] - ordered_NC[:, -2]))


def entropy(probability_NC: np.ndarray) -> np.ndarray:
    """Shannon entropy of each row [N], in [0, log C].

    Example:
        >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4).tolist()
        [0.6931, 0.0]
    """
    p_NC = np.clip(probability_NC, SMALLEST, 1.0)
    return np.asarray(np.abs(-(p_NC * np.log(p_NC)).sum(axis=-1)))


def as_pairs(probability_NC: np.ndarray) -> np.ndarray:
    """Independent labels as classes of two each, no and yes [N, C, 2], so that the other functions take them."""
    return np.stack([1.0 - probability_NC, probability_NC], axis=-1)


def jensen_shannon(probability_KNC: np.ndarray, weight_KN: np.ndarray) -> np.ndarray:
    """Generalised Jensen-Shannon divergence of K answers to each row [N]: entropy of their mean minus mean entropy.

    With the members of an ensemble as answers it is BALD, the information that a label gives about which is right.

    Args:
        probability_KNC: Answers [K, N, C].
        weight_KN: Weight of each answer to each row, 0 or more; a row without any weight gets 0.

    Reference: Lin, IEEE Transactions on Information Theory 1991; Houlsby et al., 2011 (BALD).

    Example:
        >>> two = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> jensen_shannon(two, np.ones((2, 1))).round(4).tolist()
        [0.6931]
    """
    total_N = weight_KN.sum(axis=0)
    share_KN = weight_KN / np.where(total_N > 0, total_N, 1.0)
    mean_NC = (share_KN[..., None] * probability_KNC).sum(axis=0)
    within_N = (share_KN * entropy(probability_KNC)).sum(axis=0)
    return np.where(total_N > 0, np.maximum(entropy(mean_NC) - within_N, 0.0), 0.0)


def pairwise_jensen_shannon(probability_MNC: np.ndarray, there_NM: np.ndarray) -> np.ndarray:
    """Mean Jensen-Shannon divergence over all pairs of answers that a row has [N], in [0, log 2]; 0 without a pair.

    Args:
        probability_MNC: Answers, such as those of each modality alone [M, N, C]; what is not there is not read.
        there_NM: Which of them a row has.

    Example:
        >>> three = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.5, 0.5]]])
        >>> pairwise_jensen_shannon(three, np.array([[True, True, False]])).round(4).tolist()
        [0.6931]
    """
    total_N, pairs_N = np.zeros(len(there_NM)), np.zeros(len(there_NM))
    for a in range(len(probability_MNC)):
        for b in range(a + 1, len(probability_MNC)):
            both_N = there_NM[:, a] & there_NM[:, b]
            pair = np.stack([probability_MNC[a], probability_MNC[b]])
            total_N[both_N] += jensen_shannon(pair[:, both_N], np.ones((2, int(both_N.sum()))))
            pairs_N += both_N
    return np.asarray(total_N / np.maximum(pairs_N, 1))


def weighted_deviation(value_KN: np.ndarray, weight_KN: np.ndarray) -> np.ndarray:
    """Standard deviation of K numbers answered to each row [N], in their unit; 0 where fewer than two have a weight.

    The variance of members of an ensemble is what remains to be learned (query by committee for numbers).

    Reference: Krogh and Vedelsby, NIPS 1994.

    Example:
        >>> weighted_deviation(np.array([[1.0], [3.0]]), np.ones((2, 1))).tolist()
        [1.0]
    """
    total_N = weight_KN.sum(axis=0)
    share_KN = weight_KN / np.where(total_N > 0, total_N, 1.0)
    filled_KN = np.where(weight_KN > 0, value_KN, 0.0)
    mean_N = (share_KN * filled_KN).sum(axis=0)
    return np.asarray(np.sqrt((share_KN * (filled_KN - mean_N) ** 2).sum(axis=0)))
