"""Learn what is familiar, and from which novelty on a picture is like nothing in training."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.errors import counted
from tensor_guess.evaluation import unknown
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.own import Head
from tensor_guess.images.dataset import Split
from tensor_guess.system import progress

# Below this number, 95 % of a category is all but one picture or all.
_FEW = 20

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def learned(
    record: Record,
    examples: Examples,
    bottlenecks: Floats,
    head: Head,
    judged: tuple[Indices, Floats],
) -> tuple[Record, NDArray[np.uint8]]:
    """Return the record with the threshold, and what the graph keeps of the training pictures.

    95 % of the known pictures are below the threshold. `judged`: training pictures, and their
    logits [R, M, K] by heads that did not see them; if none were judged, there are so many pictures
    that the validation split tells. `head` is the final one.
    """
    own, truth = examples.of(Split.TRAINING), np.array(examples.truth, np.intp)
    trained_on = np.concatenate(own)
    familiar = unknown.familiar(bottlenecks[trained_on], truth[trained_on], len(own))
    rows, logits = judged
    held_out = np.concatenate(examples.of(Split.VALIDATION))
    if len(rows):
        scores = softmax(logits).mean(axis=0)
        found = unknown.of_training(bottlenecks[rows], truth[rows], scores)
    elif len(held_out):
        asked = bottlenecks[held_out]
        scores = softmax(head.logits(asked))
        found = unknown.novelty(*familiar.cosines(asked), scores)
    else:
        asked = bottlenecks[trained_on]
        scores = softmax(head.logits(asked))
        found = unknown.of_training(asked, truth[trained_on], scores)
    least = min(map(len, own))
    if least < _FEW:
        progress.warn(
            "the threshold for --unknown is rough: a category has only "
            f"{counted(least, 'training picture')} (from {_FEW} on it is better)"
        )
    return replace(record, unknown=unknown.threshold(found)), familiar.packed()
