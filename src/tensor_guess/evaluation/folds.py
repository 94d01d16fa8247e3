"""Split pictures into folds: each is judged by a head that saw neither it nor a near copy."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

FOLDS = 5


def folds(truth: Indices, groups: Indices, repeats: int, seed: int) -> Indices:
    """Return [R, N]: the fold of each picture, in each of R independent splits into FOLDS folds.

    truth [N]: the number of its category; each is spread evenly over the folds (stratified).
    groups [N]: near copies of each other share a number, and a fold.
    """
    random = np.random.default_rng(seed)
    found = np.empty((repeats, len(truth)), np.intp)
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    for repeat in range(repeats):
        counts = np.zeros((int(truth.max(initial=-1)) + 1, FOLDS), np.intp)
        sizes = np.zeros(FOLDS, np.intp)
        order = list(members.values())
        random.shuffle(order)
        # Large groups first: small ones even out what they leave. The sort keeps the shuffle.
        for group in sorted(order, key=len, reverse=True):
            own = Counter(truth[group].tolist())
            load = np.sum([counts[k] * n for k, n in own.items()], axis=0)
            fold = int(np.lexsort((sizes, load))[0])
            found[repeat, group] = fold
            sizes[fold] += len(group)
            for k, n in own.items():
                counts[k, fold] += n
    return found
