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
    assert handles._size_of(handle) == size


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (lambda folder: os.mkfifo(folder / "x"), "x is a link or device"),
    "a pipe deeper": (lambda folder: os.mkfifo(folder / "variables/x"), "x is a link or device"),
    "endless": (lambda folder: (folder / "x").symlink_to("/dev/zero"), "x is a link or device"),
    "itself": (lambda folder: (folder / "x").symlink_to(folder), "x is a link or device"),
    "a loop": (lambda folder: (folder / "x").symlink_to("x"), "x is a link or device"),
    "a private file": (lambda folder: (folder / "x").symlink_to("/etc/passwd"), "cp -rL"),
    "the graph": (lambda folder: _swap(folder / "saved_model.pb"), "is a link or device"),
    "too many": (lambda folder: _fill(folder), "more files or bytes than a module"),
    "too large": (lambda folder: os.truncate(folder / "variables/large", 2**40), "or bytes than"),
    "no module": (lambda folder: _empty(folder), r"is no module: it has no saved_model\.pb"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_a_strangers_folder_is_bounded(modules: Path, tmp_path: Path, call: Run, kind: str) -> None:
    spoil, said = BAD_FOLDERS[kind]
    folder = Path(shutil.copytree(modules / "tf2", tmp_path / "module"))
    (folder / "variables/large").touch()
    spoil(folder)
    done = call("fetch", folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tensor-guess: {folder} is ")
    assert re.search(said, line)


@pytest.mark.parametrize("name", ["module.tar.gz", "module"])
def test_a_handle_that_is_no_regular_file_does_not_hang(
    tmp_path: Path, run: Run, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, "/dev/zero"):
        done = run("fetch", path)
        assert done.returncode == 1
        assert done.stderr == f"tensor-guess: could not read {path}: is not a regular file\n"


def test_an_archive_of_a_terabyte_is_refused_unread(tmp_path: Path, call: Run) -> None:
    with (tmp_path / "a.tar.gz").open("wb") as file:
        file.truncate(2**40)
    done = call("fetch", tmp_path / "a.tar.gz")
    assert done.returncode == 1
    assert done.stderr.endswith("a.tar.gz: is larger than 2000 MB\n")


def test_a_module_is_frozen_once_and_known_by_its_content(modules: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(modules / "tf2", tmp_path / "copy"))
    assert handles.key_of(str(copy)) == handles.key_of(str(modules / "tf2"))
    first = loading.load(str(copy))
    (copy / "saved_model.pb").write_bytes((modules / "writes/saved_model.pb").read_bytes())
    assert handles.key_of(str(copy)) != handles.key_of(str(modules / "tf2"))
    assert loading.load(str(modules / "tf2")).sha256 == first.sha256


def test_a_classifier_of_a_module_needs_the_module_no_more(
    modules: Path, tmp_path: Path, call: Run
) -> None:
    module = Path(shutil.copytree(modules / "tf2", tmp_path / "module"))
    tf_files = tmp_path / "tf_files"
    shutil.copytree(ROOT / "tf_files/data", tf_files / "data")
    done = call("train", tf_files, "--tfhub_module", module, "--steps", 20)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(module)
    again = call("train", tf_files, "--steps", 20)
    assert again.returncode == 0, again.stderr
    assert "0 computed, 80 from the cache" in again.stderr
    assert call("guess", tf_files, ROOT / "test_data/photo01.jpg").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("flavour", INPUTS)
def test_a_graph_is_all_one_needs_to_go_on_with_new_categories(
    flavour: str, tmp_path: Path, call: Run
) -> None:
    (tmp_path / "theirs").mkdir()
    graph = tmp_path / "theirs/output_graph.pb"
    graph.write_bytes(serialise(made(flavour)))
    found = []
    for name, start in (("one", graph), ("other", graph.parent)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").symlink_to(ROOT / "tf_files/data")
        done = call("train", tmp_path / name, "--from", start, "--steps", 50)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / name / "model.json").read_text()))
    assert found[0]["backbone_sha256"] == found[1]["backbone_sha256"]
    assert found[0]["backbone"] == "output_graph.pb"
    assert found[0]["labels"] == ["dark knight", "snow queen"]
    # From what came of it, its folder or its graph, it goes on with the same backbone.
    again = call("train", tmp_path / "one", "--from", tmp_path / "other", "--steps", 20)
    assert "0 computed, 80 from the cache" in again.stderr
    kept = json.loads((tmp_path / "one/model.json").read_text())
    assert kept["backbone_sha256"] == found[0]["backbone_sha256"]


def test_the_program_trains_on_a_module_by_url(
    site: tuple[Path, str], modules: Path, tmp_path: Path, run: Run
) -> None:
    _pack(modules / "tf2", site[0] / "module.tar.gz")
    tf_files = tmp_path / "tf_files"
    shutil.copytree(ROOT / "tf_files/data", tf_files / "data")
    handle = f"{site[1]}/module.tar.gz?key=secret"
    done = run("train", tf_files, "--tfhub_module", handle, "--steps", 20)
    assert done.returncode == 0, done.stderr
    told = json.loads((tf_files / "model.json").read_text())
    assert told["backbone"] == f"{site[1]}/module.tar.gz"
    assert b"secret" not in (tf_files / "retrained_graph.pb").read_bytes()
    (site[0] / "module.tar.gz").unlink()
    again = run("train", tf_files, "--tfhub_module", handle, "--steps", 20, "--offline")
    assert "0 computed, 80 from the cache" in again.stderr
    missing = run("train", tf_files, "--tfhub_module", f"{site[1]}/other.tar.gz")
    assert missing.returncode == 1
    assert len(missing.stderr.splitlines()) == 1
    assert "404" in missing.stderr


def _below(pid: int) -> list[int]:
    """The processes that the process started, and those that they did."""
    try:
        own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [below for child in map(int, own) for below in (child, *_below(child))]


def _command(pid: int) -> str:
    """What the process was started as; "" where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _swap(path: Path) -> None:
    path.rename(path.with_name("y"))
    path.symlink_to("y")


def _empty(folder: Path) -> None:
    for path in folder.glob("*.pb"):
        path.unlink()


def _fill(folder: Path) -> None:
    for number in range(2_000):
        (folder / "assets" / str(number)).touch()


@pytest.mark.parametrize("name", ["--x://y", "https://me:secret@host/module", "https://[/x"])
def test_an_address_that_cannot_be_is_said_before_any_work(call: Run, name: str) -> None:
    done = call("fetch", "--", "efficientnet_lite0", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be downloaded: give an address like https://host/file" in done.stderr
    assert "secret" not in done.stderr
