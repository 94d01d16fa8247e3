"""Real things for every test: the sample pictures, a backbone's cache, a trained classifier."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef

import stub
from made import without_tensorflow
from made.graphs import head_for, record_for
from made.place import ROOT, SHARED, Run, called, program
from made.sites import served
from tensor_guess.backbones import loading
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import load
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.share import share

# By the clock, an example takes longer when other tests run beside it; bounds of time are for tests
# that measure the processor's time.
settings.register_profile("beside others", deadline=None)
settings.load_profile("beside others")

# What can be left out by -m; a test may be several.
MARKS = ("container", "long", "slow", "tensorflow")
LEFT_OUT: Counter[str] = Counter()


def pytest_configure(config: pytest.Config) -> None:
    """Prove, if the tests of TensorFlow are left out, that the others do without it."""
    if "not tensorflow" not in config.option.markexpr:
        return
    if hasattr(config, "workerinput"):
        without_tensorflow.hide_from_worker()
    else:
        without_tensorflow.hide()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those for which the modules are made."""
    for item in items:
        if "modules" in getattr(item, "fixturenames", ()):
            item.add_marker("tensorflow")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember how many tests each of the marks leaves out."""
    LEFT_OUT.update(mark for item in items for mark in MARKS if item.get_closest_marker(mark))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run."""
    for mark, count in LEFT_OUT.items():
        terminalreporter.write_line(f"left out, marked {mark}: {count}")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of backbones that the whole session shares."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(cache))


@pytest.fixture(scope="session")
def tiny() -> Backbone:
    """A backbone of one small convolution: 16 x 16 pixels -> 12 numbers, at once."""
    return stub.backbone()


@pytest.fixture(scope="session")
def lite0(cache: Path) -> Backbone:
    """The real EfficientNet-Lite0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENSOR_GUESS_CACHE", str(cache))
        return loading.load("efficientnet_lite0")


@pytest.fixture(scope="session")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's folder, trained once on the sample pictures; not to be written to."""
    folder = tmp_path_factory.mktemp("trained") / "tf_files"
    shutil.copytree(ROOT / "tf_files" / "data", folder / "data")
    done = program(cache)("train", folder, "--backbone", "efficientnet_lite0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def ours(tiny: Backbone) -> GraphDef:
    """A classifier's graph on the tiny backbone; not to be changed."""
    return with_head(tiny.graph, head_for(12), record_for(tiny))


@pytest.fixture(scope="session")
def small(ours: GraphDef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that computes at once; not to be changed."""
    path = tmp_path_factory.mktemp("small") / "small.pb"
    path.write_bytes(serialise(ours))
    return path


@pytest.fixture
def classifier(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained classifier's folder, for a test to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "classifier"))


@pytest.fixture(scope="session")
def shared_zip(ours: GraphDef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier's zip; not to be written to."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "x.pb").write_bytes(serialise(ours))
    share(folder / "x.pb", folder / "x.zip", Author("telling films apart", "CC-BY-4.0"))
    return folder / "x.zip"


@pytest.fixture(scope="session")
def exported(
    cache: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The trained classifier in a format, exported by the program once; not to be changed."""
    found: dict[str, Path] = {}

    def export(form: str) -> Path:
        if form not in found:
            path = tmp_path_factory.mktemp("exported") / f"model.{form}"
            done = program(cache)("export", trained, path, "--format", form)
            said = rf"{re.escape(str(path))}: 20 pictures, worst difference 0\.0000\d{{3}}\n"
            assert done.returncode == 0, done.stderr
            assert "passed over" in done.stderr or not done.stderr
            assert re.fullmatch(said, done.stdout)
            found[form] = path
        return found[form]

    return export


@pytest.fixture(scope="session")
def pixels_and_scores(trained: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network takes for three photos [3, S, S, 3], and what a guess says of them [3, K]."""
    paths = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo07.gif")]
    known = load(trained)
    fed = [pixels(encoded.read(path), known.record.scaling) for path in paths]
    said = [each for each in guess(trained, paths) if isinstance(each, Guess)]
    scores = [[each.scores[label] for label in known.record.labels] for each in said]
    return np.stack(fed).astype(np.float32), np.array(scores, np.float32)


@pytest.fixture(scope="session")
def vader_elsa(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's folder, trained once on the article's own pictures."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real pictures are not here")
    folder = tmp_path_factory.mktemp("vader_elsa")
    (folder / "data").symlink_to(SHARED / "vader_elsa/train")
    done = program(cache)("train", folder, "--backbone", "efficientnet_lite0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(cache: Path) -> Run:
    """The program, run as the launcher runs it: run("guess", folder, photo)."""
    return program(cache)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Run:
    """The same in this process, for what does not depend on its being a process of its own."""
    return called(capfd)


@pytest.fixture
def shared() -> Path:
    """The folder of real pictures and graphs; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real pictures and graphs are not here")
    return SHARED


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small hub modules, of the kinds in made/modules.py."""
    folder = tmp_path_factory.mktemp("modules")
    subprocess.run(
        [sys.executable, ROOT / "tests/made/modules.py", folder], capture_output=True, check=True
    )
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a server on this machine shows it."""
    folder = tmp_path / "site"
    folder.mkdir()
    with served(folder, SimpleHTTPRequestHandler) as address:
        yield folder, address
