"""What a name says: an address, a module or a graph; or that it can be none."""

from pathlib import Path

import pytest

from made.place import Run
from tensor_guess.backbones import handles
from tensor_guess.errors import WrongUsage


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inception_v3", None),
        ("https://tfhub.dev/google/small/1?key=secret", "url"),
        ("graph.pb", "graph"),
        ("module.tar.gz", "module"),
        ("module", "module"),
        ("run", "graph"),
    ],
)
def test_a_name_is_of_the_catalogue_or_a_handle(
    name: str, kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "module.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type = tarfile.FIFOTYPE if content is None else tarfile.SYMTYPE
                info.linkname = content or ""
                tar.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said) as raised:
        handles.freeze(str(archive))
    assert len(str(raised.value).splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/absolute").exists()


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_damaged_archives(modules: Path, tmp_path: Path, cut: int) -> None:
    archive = tmp_path / "module.tar.gz"
    _pack(modules / "tf2", archive)
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"is no \.tar\.gz of a module, or is damaged"):
        handles.freeze(str(archive))


@pytest.mark.slow
def test_the_program_refuses_a_bomb(tmp_path: Path, call: Run) -> None:
    """Its first header says that it has a name of 3 GB."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000_000)))
    done = call("fetch", bomb)
    assert done.returncode == 1
    said = f"tensor-guess: {bomb} is refused: its headers say more of its files than any need\n"
    assert done.stderr == said


def test_failures_of_a_download_are_said(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "page").write_text("<html>not a module</html>")
    for path, said in (("missing", "404"), ("page", r"is no \.tar\.gz of a module")):
        with pytest.raises(UserError, match=said):
            handles.freeze(f"{address}/{path}")
    with pytest.raises(UserError, match="--offline was given"):
        loading.load(f"{address}/page", offline=True)
    assert not list((cache / "downloads").iterdir())


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no such file or folder"):
        loading.load(str(tmp_path / "module"))
    with pytest.raises(UserError, match=r"has no saved_model\.pb"):
        handles.freeze(str(tmp_path))


@pytest.mark.parametrize("name", ["frozen_graph.pb", "quantized_graph.pb"])
def test_the_classics_frozen_backbones(shared: Path, name: str) -> None:
    _, graph, scaling = handles.read(str(shared / "graphs/mobilenet_v1_0.25_224" / name), None)
    check(graph, name)
    assert scaling == Scaling(224, 127.5, 127.5)
    assert shapes.check(cut(graph, scaling, BOTTLENECK))[BOTTLENECK] == (1, 256)


def test_another_bottleneck_can_be_named(shared: Path) -> None:
    path = str(shared / "graphs/mobilenet_v1_0.25_224/frozen_graph.pb")
    _, graph, scaling = handles.read(path, "MobilenetV1/Predictions/Reshape:0")
    assert shapes.check(cut(graph, scaling, BOTTLENECK))[BOTTLENECK] == (1, 1001)
    with pytest.raises(UserError, match="has no tensor nothing"):
        handles.read(path, "nothing")
    with pytest.raises(UserError, match="is no vector for each image"):
        handles.read(path, "MobilenetV1/MobilenetV1/Conv2d_0/Relu6")
    with pytest.raises(UserError, match="input is what the graph is fed, no bottleneck"):
        handles.read(path, "input")


@pytest.mark.tensorflow
def test_a_frozen_backbone_computes_what_tensorflow_does(shared: Path) -> None:
    import tensorflow as tf

    path = shared / "graphs/mobilenet_v1_0.25_224/quantized_graph.pb"
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    _, graph, scaling = handles.read(str(path), None)
    network = Network(graph, scaling, BOTTLENECK, "float32", few=True)
    ((_, found),) = network.run([(None, image)])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(path.read_bytes()), name="")
        fed = {"input:0": (image[None] - np.float32(127.5)) / np.float32(127.5)}
        expected = session.run("MobilenetV1/Logits/AvgPool_1a/AvgPool:0", fed).ravel()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_graphs_are_refused_in_words(shared: Path) -> None:
    for path in (
        "graph.pb",
        "module.tar.gz",
        "module/saved_model.pb",
        "run/output_graph.pb",
    ):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch()
    assert handles.is_handle(name) == (kind is not None)
    assert handles.is_local(name) == (kind in ("graph", "module"))
    assert handles.is_graph(name) == (kind == "graph")
    assert handles.recorded(name) == name.removesuffix("?key=secret")


def test_a_path_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(WrongUsage, match="there is no backbone no/such: no such file or folder"):
        handles.check_handle("no/such")


@pytest.mark.parametrize(
    ("handle", "size"),
    [
        ("https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/4", 224),
        ("https://tfhub.dev/google/imagenet/mobilenet_v1_025_128/feature_vector/5", 128),
        ("https://tfhub.dev/google/imagenet/inception_v3/feature_vector/3", 299),
        ("https://tfhub.dev/tensorflow/efficientnet/lite2/feature-vector/2", 224),
        ("https://tfhub.dev/google/imagenet/nasnet_large/feature_vector/5", 224),
    ],
)
def test_the_size_that_a_handle_says(handle: str, size: int) -> None:
    assert handles.size_of(handle) == size


@pytest.mark.parametrize("name", ["--x://y", "https://me:secret@host/module", "https://[/x"])
def test_an_address_that_cannot_be_is_said_before_any_work(call: Run, name: str) -> None:
    done = call("fetch", "--", "efficientnet_lite0", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be downloaded: give an address like https://host/file" in done.stderr
    assert "secret" not in done.stderr
