"""What spoke for a label is bright; the rest is dark, whatever the colours."""

import numpy as np

from tensor_guess.evaluation.maps import evidence, overlay


def test_evidence_is_what_the_labels_weights_differ_in() -> None:
    features = np.zeros((2, 2, 2), np.float32)
    features[0, 0] = [4, 0]
    features[1, 1] = [0, 1]
    weights = np.array([[1, 0], [0, 2]], np.float32)
    found = evidence(features, weights)
    assert found[..., 0].tolist() == [[1, 0], [0, 0]]
    assert found[..., 1].tolist() == [[0, 0], [0, 0.5]]
    np.testing.assert_allclose(evidence(features, weights + 7), found, atol=1e-6)


def test_no_evidence_is_no_error() -> None:
    assert not evidence(np.zeros((1, 1, 2), np.float32), np.ones((2, 3), np.float32)).any()


def test_full_evidence_leaves_the_picture_and_none_darkens_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    assert (overlay(image, np.ones((2, 3), np.float32)) == image).all()
    dark = overlay(image, np.zeros((7, 7), np.float32))
    assert (dark == dark[..., :1]).all()
    assert dark.max() < 70


def test_evidence_on_one_side_is_bright_there() -> None:
    image = np.full((4, 40, 3), 200, np.uint8)
    row = overlay(image, np.array([[1, 0]], np.float32))[0, :, 0].astype(int)
    assert (row[0], row[-1]) == (200, 50)
    assert (np.diff(row) <= 0).all()
