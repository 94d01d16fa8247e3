"""Measure how often two categories side by side in one picture are recognised.

    python bench/both.py DATA [--backbone NAME] [--seeds N]

DATA/vader_elsa, flowers_5 and two_faces_cropped have pictures. Each seed divides a set into five
folds, and pastes fifty pairs, one of each of two categories at the same height, from pictures of
the fold that was held out; the single pictures are those of the same fold.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.backbones import loading
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.config import FINAL_TENSOR, FLOAT32, Training
from tensor_guess.errors import Unreadable
from tensor_guess.evaluation.both import LEAST, both
from tensor_guess.evaluation.folds import folds
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.own import Head, with_head
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.training import head as heads

SETS = ("vader_elsa", "flowers_5", "two_faces_cropped")
PAIRS, HEIGHT = 50, 400
LIMITS = (0.6, 0.7, 0.8, 0.9)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--seeds", type=int, default=5)
    said = parser.parse_args()
    inside, size = network(said.backbone)
    print(f"called both, at least {LIMITS} sure (the program: {LEAST})")
    for name in SETS:
        paths = [path for path in sorted((said.data / name).rglob("*")) if path.is_file()]
        measure(name, paths, inside, size, said.seeds)


def network(backbone_name: str) -> tuple[Inside, int]:
    """Return the backbone's network with a head that is not used, and its input's size."""
    backbone = loading.load(backbone_name)
    width = Extractor(backbone).length
    head = Head(np.zeros((width, 1), np.float32), np.zeros(1, np.float32))
    how = backbone.scaling, backbone.name, backbone.sha256, FLOAT32, FINAL_TENSOR
    record = Record(("x",), ("x",), *how)
    graph = with_head(backbone.graph, head, record)
    return Inside(Classifier(graph, record, lambda: ""), few=False), backbone.scaling.size


def measure(name: str, paths: list[Path], inside: Inside, size: int, seeds: int) -> None:
    """Print one set's row: shares of pairs and of single pictures called both."""
    scaling = inside.network.scaling
    looked = encoded.ahead(
        lambda path: pixels(encoded.read(path), scaling), paths, weigh=encoded.size_of
    )
    pairs = ((path, image) for path, image in looked if not isinstance(image, Unreadable))
    maps, bottlenecks, kept = [], [], []
    for path, seen in inside.run(pairs):
        assert seen.map is not None
        kept.append(path)
        maps.append(seen.map.astype(np.float16))
        bottlenecks.append(seen.bottleneck)
    rows, truth = (
        np.stack(bottlenecks),
        np.unique(list(map(category, kept)), return_inverse=True)[1],
    )
    shares = np.zeros((2, len(LIMITS)))
    counts = np.zeros(2, int)
    for seed in range(seeds):
        own = folds(truth, np.arange(len(truth)), 1, seed)[0] == 0
        head = trained(rows[~own], truth[~own])
        held_out = np.flatnonzero(own)
        single = [maps[i].astype(np.float32) for i in held_out]
        drawn = list(draw(truth, held_out, seed))
        pasted = ((pair, paste([kept[i] for i in pair], size)) for pair in drawn)
        double = [np.asarray(seen.map) for _, seen in inside.run(pasted)]
        for which, group in enumerate((double, single)):
            counts[which] += len(group)
            logits = [each @ head.weights + head.biases for each in group]
            shares[which] += [
                sum(both(each, limit) is not None for each in logits) for limit in LIMITS
            ]
    for what, share, count in zip(("pairs", "single pictures"), shares, counts, strict=True):
        said = "".join(f"{100 * each / count:8.1f} %" for each in share)
        print(f"{name:20}{what:17}{said}  (N={count}, {seeds} seeds)", flush=True)


def trained(rows: np.ndarray, truth: np.ndarray) -> Head:
    """Return a head for these rows."""
    parts = [np.flatnonzero(truth == k) for k in range(truth.max() + 1)]
    none = [np.empty(0, np.intp) for _ in parts]
    return heads.train(rows, parts, none, Training(eval_step_interval=4000), lambda *_: None)


def draw(truth: np.ndarray, held_out: np.ndarray, seed: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of held-out pictures of two categories."""
    random = np.random.default_rng(seed)
    for _ in range(PAIRS):
        one, other = random.permutation(np.unique(truth[held_out]))[:2]
        yield tuple(random.choice(held_out[truth[held_out] == k]) for k in (one, other))


def paste(paths: list[Path], size: int) -> np.ndarray:
    """Return the two pictures side by side at the same height, as the network is fed."""
    images = []
    for path in paths:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        images.append(image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT)))
    whole = Image.new("RGB", (sum(image.width for image in images), HEIGHT))
    whole.paste(images[0], (0, 0))
    whole.paste(images[1], (images[0].width, 0))
    return np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR))


def category(path: Path) -> str:
    """Return the category: the folder's name, or the beginning of the name in vader_elsa/test."""
    if path.parts[-3:-1] == ("vader_elsa", "test"):
        return "darth_vader" if path.name.startswith("s") else "elsa"
    return path.parent.name


if __name__ == "__main__":
    main()
