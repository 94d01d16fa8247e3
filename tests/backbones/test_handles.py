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
        ("http://192.168.0.128:320/nasnet_large/feature_vector/5", 224),
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
