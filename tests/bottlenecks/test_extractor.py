"""An extractor: what its rows are kept under, how long they are, and what computes them."""

import numpy as np

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import BF16, FITS, FLOAT32
from tensor_guess.images.scaling import Scaling


def test_another_network_size_or_precision_has_rows_of_its_own(tiny: Backbone) -> None:
    others = [
        Backbone("other name", tiny.scaling, "0" * 64, tiny.graph),
        Backbone("tiny", Scaling(17, 127.5, 127.5), tiny.sha256, tiny.graph),
        Backbone("tiny", Scaling(16, 127, 127.5), tiny.sha256, tiny.graph),
    ]
    names = [Extractor(tiny).fingerprint, Extractor(tiny, BF16).fingerprint]
    names += [Extractor(each).fingerprint for each in others]
    assert len(set(names)) == 5
    renamed = Backbone("renamed", tiny.scaling, tiny.sha256, tiny.graph)
    assert Extractor(renamed, BF16).fingerprint in names


def test_a_bottleneck_is_as_long_as_the_network_gives_it(tiny: Backbone, lite0: Backbone) -> None:
    assert (Extractor(tiny).length, Extractor(lite0).length) == (12, 1280)


def test_each_fit_has_rows_of_its_own(tiny: Backbone) -> None:
    names = {Extractor(tiny.fitted(fit)).fingerprint for fit in FITS}
    assert len(names) == len(FITS)
    assert Extractor(tiny).fingerprint in names


def test_a_fingerprint_is_a_folders_name_and_stays(tiny: Backbone) -> None:
    # Caches of earlier runs are under it.
    known = Backbone("any", Scaling(16, 127.5, 127.5), "0" * 64, tiny.graph)
    assert Extractor(known).fingerprint == "e1f85abe3d9b87e4f81ef2525a03648e"


def test_the_network_gives_bottlenecks_of_that_length(tiny: Backbone) -> None:
    extractor = Extractor(tiny, FLOAT32)
    pixels = np.zeros((16, 16, 3), np.uint8)
    ((item, row),) = extractor.network().run([("a", pixels)])
    assert (item, row.shape) == ("a", (extractor.length,))


def test_a_classic_extractor_is_another_of_the_same_network(tiny: Backbone) -> None:
    extractor = Extractor(tiny, BF16)
    classic = extractor.classic()
    assert (classic.backbone.scaling.classic, tiny.scaling.classic) == (True, False)
    assert (classic.precision, classic.backbone.graph) == (BF16, tiny.graph)
    assert classic.fingerprint != extractor.fingerprint
    assert classic.classic() == classic
