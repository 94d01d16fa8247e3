"""ONNX Runtime Web: from the registry that this machine uses, by its digest, once."""

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from made.place import Run
from made.web import fetched
from tensor_guess.errors import UserError
from tensor_guess.exporting import onnxruntime_web
from tensor_guess.exporting.onnxruntime_web import VERSION, load

NAME = f"onnxruntime-web-{VERSION}.tgz"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package is kept, in a cache of the test's own."""
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/npm" / NAME


@pytest.fixture
def package(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a registry on this machine, with another script inside."""
    folder, address = site
    path = folder / "onnxruntime-web/-" / NAME
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (
            (
                "package/dist/ort.wasm.bundle.min.mjs",
                b"var a=1,b=2;export{a as One,b as Two};\n//#",
            ),
            ("package/dist/ort-wasm-simd-threaded.wasm", b"\0asm"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    monkeypatch.setenv("npm_config_registry", f"{address}/")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(onnxruntime_web, "_SHA256", digest)
    return path


def test_it_is_fetched_once_and_gives_its_script_and_program(
    package: Path, kept: Path, call: Run
) -> None:
    done = call("fetch", "onnxruntime-web")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert (done.returncode, done.stdout) == (0, f"onnxruntime-web {digest}\n")
    assert f"downloading {NAME} from 127.0.0.1" in done.stderr
    package.unlink()
    assert call("fetch", "onnxruntime-web").stderr == ""
    found = load()
    assert found.script == "var a=1,b=2;globalThis.onnxruntime={One:a,Two:b};"
    assert found.program == b"\0asm"
    assert [each.name for each in kept.parent.iterdir()] == [NAME]


def test_a_damaged_copy_is_fetched_again(package: Path, kept: Path) -> None:
    load()
    kept.write_bytes(kept.read_bytes()[:-5])
    assert load().program == b"\0asm"
    assert kept.read_bytes() == package.read_bytes()


def test_another_file_is_not_kept(package: Path, kept: Path, call: Run) -> None:
    package.write_bytes(b"a login page")
    done = call("fetch", "onnxruntime-web")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not the file that was expected" in done.stderr
    assert not kept.exists()


def test_offline_is_a_sentence(kept: Path, monkeypatch: pytest.MonkeyPatch, call: Run) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    done = call("fetch", "onnxruntime-web")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"could not download http://127.0.0.1:9/onnxruntime-web/-/{NAME}: " in done.stderr
    assert "check the internet connection" in done.stderr
    assert not kept.exists()


def test_the_registry_is_the_one_that_npm_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="install npm, or set npm_config_registry"):
        load()
    npm = tmp_path / "npm"
    npm.write_text(
        '#!/bin/sh\ntest "$*" = "config get registry" && echo https://mirror.example/npm/\n'
    )
    npm.chmod(0o755)
    assert onnxruntime_web._registry() == "https://mirror.example/npm/"
    npm.write_text("#!/bin/sh\necho undefined\n")
    with pytest.raises(UserError, match="npm is not here to say where"):
        load()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://other.example/")
    assert onnxruntime_web._registry() == "https://other.example/"


def test_the_real_one_has_what_a_page_needs(tmp_path: Path) -> None:
    fetched(tmp_path / "cache")
    found = load()
    assert found.program.startswith(b"\0asm")
    assert re.search(r"globalThis\.onnxruntime=\{InferenceSession:\w+,.*env:\w+", found.script)
    assert "export{" not in found.script
