"""What holds of the whole tree: who imports whom, what is imported when, how files end lines."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import draw_house
from draw_house import imports
from made.place import ROOT, Run
from made.without_tensorflow import TENSORFLOW

MODULES = draw_house.modules()
# Those that do a whole job: imported only by the command that does it.
JOBS = {
    "faces.collect",
    "training.doctor",
    "training.train",
    "guessing.evaluate",
    "explaining.explain",
    "guessing.guess",
    "grouping.group",
    "sorting.learn",
    "sorting.sort",
    "sorting.undo",
    "tagging.tag",
    "tagging.untag",
    "guessing.inspect",
    "explaining.study",
    "exporting.export",
    "sharing.merge",
    "sharing.share",
    "serving.serve",
}


def test_a_folder_imports_only_from_those_above_it() -> None:
    order = draw_house.folders()
    assert sorted(order) == sorted({name.partition(".")[0] for name in MODULES if "." in name})
    below = {
        (importing, imported)
        for importing, imported in draw_house.arrows()
        if order.index(imported) > order.index(importing)
    }
    assert not below


def test_what_all_import_imports_none_of_them() -> None:
    alone = {name for name in MODULES if "." not in name}
    assert alone == {"config", "errors"}
    for name in alone:
        assert imports(MODULES[name]) & MODULES.keys() <= alone


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(path) & MODULES.keys() for name, path in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) == MODULES.keys()


def test_every_folder_says_what_comes_in_and_what_goes_out() -> None:
    for folder in draw_house.folders():
        tree = ast.parse((draw_house.PACKAGE / folder / "__init__.py").read_text("utf-8"))
        said = ast.get_docstring(tree) or ""
        assert ("In: " in said, "Out: " in said) == (True, True), folder
        assert len(tree.body) == 1, folder
        assert sum(name.startswith(f"{folder}.") for name in MODULES) <= 13, folder


def test_the_picture_of_the_house_is_up_to_date() -> None:
    assert draw_house.PICTURE.read_text("utf-8") == draw_house.drawing(), "tools/draw_house.py"


def loaded_with(modules: set[str]) -> set[str]:
    """These modules and all of ours that are imported at once where they are."""
    found, new = set[str](), set(modules)
    while new:
        found |= new
        new = {each for name in new for each in imports(MODULES[name], at_top=True)}
        new = (new & MODULES.keys()) - found
    return found


def test_tensorflow_is_imported_only_by_what_freezes_and_exports() -> None:
    heavy = {name for name, path in MODULES.items() if imports(path) & TENSORFLOW}
    assert {name.partition(".")[0] for name in heavy} == {"backbones", "exporting", "finetuning"}
    assert "backbones.keras_networks" in {name for name in MODULES if loaded_with({name}) & heavy}
    assert not loaded_with({"commands.main", *JOBS}) & heavy


def test_the_command_line_imports_its_jobs_only_where_they_are_done() -> None:
    commands = {name for name in MODULES if name.startswith("commands.")}
    assert set[str]().union(*(imports(MODULES[name]) for name in commands)) > JOBS
    assert not loaded_with(commands) & JOBS
    for name in loaded_with(commands):
        heavy = {"numpy", "openvino", "tensorboard", "PIL"}
        assert not imports(MODULES[name], at_top=True) & heavy


def test_every_module_has_its_tests() -> None:
    without = {
        name
        for name, path in MODULES.items()
        if not (ROOT / "tests" / name.replace(".", "/")).with_name(f"test_{path.stem}.py").exists()
    }
    assert without == set()


def test_every_file_of_the_launcher_has_its_tests() -> None:
    files = {path.stem for path in ROOT.glob("src/launcher/*.bash")}
    assert files == {path.stem[5:] for path in ROOT.glob("tests/launcher/test_*.py")}


def imported(said: str) -> set[str]:
    """The packages that `-X importtime` saw being imported."""
    lines = [line for line in said.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("job", ["guess", "classify-dir", "train"])
def test_no_job_imports_tensorflow(run: Run, trained: Path, tmp_path: Path, job: str) -> None:
    photos = ROOT / "test_data"
    arguments = {
        "guess": (trained, photos / "photo01.jpg"),
        "classify-dir": (trained, photos, tmp_path / "sorted"),
        # With the summaries, whose library can use TensorFlow too.
        "train": (tmp_path / "tf", "--image-dir", ROOT / "tf_files" / "data", "--steps", "2",
                  "--backbone", "efficientnet_lite0", "--summaries-dir", tmp_path / "logs"),
    }[job]  # fmt: skip
    (tmp_path / "tf").mkdir()
    done = run(job, *arguments, flags=("-X", "importtime"))
    assert done.returncode == 0, done.stderr[-2000:]
    seen = imported(done.stderr)
    assert {"tensor_guess", "openvino", "numpy"} < seen
    assert not seen & TENSORFLOW
    assert "openvino.tools.ovc.convert" not in done.stderr  # half of what OpenVINO takes
    assert "openvino.opset1.ops" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("train", "--help"),
        ("guess",),
        ("guess", "--top-secret"),
        ("guess", "/nowhere", "x.jpg"),
    ],
)
def test_help_and_wrong_usage_load_next_to_nothing(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, flags=("-X", "importtime"))
    assert done.returncode in (0, 2)
    seen = imported(done.stderr)
    assert "click" in seen
    if arguments[-1] != "x.jpg":
        assert not seen & {"numpy", "openvino", "tensorboard", "google", "PIL"}
    assert not seen & TENSORFLOW


def test_a_guess_of_a_graph_seen_before_loads_nothing_that_reads_graphs(
    run: Run, trained: Path
) -> None:
    arguments = ("guess", trained, ROOT / "test_data" / "photo01.jpg")
    assert run(*arguments).returncode == 0
    done = run(*arguments, flags=("-X", "importtime"))
    assert done.returncode == 0
    assert not imported(done.stderr) & {"tensorboard", "google", "http", "ssl", "multiprocessing"}


def test_where_its_tests_are_left_out_there_is_no_tensorflow(pytestconfig: pytest.Config) -> None:
    """So what is not marked does without it, here and in any process."""
    there = "not tensorflow" not in pytestconfig.option.markexpr
    ask = "from importlib.util import find_spec; print(bool(find_spec('tensorflow')))"
    for flags in ([], ["-I"]):
        command = [sys.executable, *flags, "-c", ask]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{there}\n"
    assert bool(find_spec("tensorflow")) == there


def test_nothing_is_pickled_and_only_weight_files_are_read_as_pickles() -> None:
    dangerous = {
        "pickle",
        "_pickle",
        "cPickle",
        "marshal",
        "shelve",
        "dill",
        "joblib",
        "cloudpickle",
    }
    using = {name for name, path in MODULES.items() if imports(path) & dangerous}
    assert using == {"backbones.torch_weights"}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                allowed = {each.arg: each.value for each in node.keywords}.get("allow_pickle")
                if node.func.attr in {"load", "save"} and ast.unparse(node.func.value) == "np":
                    assert isinstance(allowed, ast.Constant), (module, node.lineno)
                    assert allowed.value is False, (module, node.lineno)
            # Pickles are written nowhere, and read only by the class that knows what may be in one.
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
                assert node.attr in {"Unpickler", "UnpicklingError"}, (module, node.lineno)


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git clone")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_text_files_have_unix_line_ends_and_are_utf_8() -> None:
    texts = 0
    for path in committed():
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" in data or path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp", ".gif"}:
            continue
        texts += 1
        assert b"\r" not in data, path
        assert not data or data.endswith(b"\n"), path
        data.decode("utf-8")
    assert texts > 40


def test_scripts_can_be_run_and_the_others_cannot() -> None:
    for path in committed():
        if path.is_file():
            script = path.read_bytes()[:2] == b"#!"
            assert bool(path.stat().st_mode & 0o111) == script, path


def test_the_tests_themselves_import_only_what_is_locked() -> None:
    names = set()
    for line in (ROOT / "requirements-dev.lock").read_text().splitlines():
        if "==" in line:
            names.add(line.partition("==")[0].lower().replace("-", "_"))
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if "==" in line:
            names.add(line.partition("==")[0].lower().replace("-", "_"))
    distributions = {
        "PIL": "pillow", "sklearn": "scikit_learn", "google": "protobuf", "yaml": "pyyaml",
        "tensorflow": "tensorflow_cpu",
    }  # fmt: skip
    here = {"tensor_guess", "made", "containers"}
    here |= {path.stem for folder in ("tools", "bench") for path in (ROOT / folder).glob("*.py")}
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = (
                [each.name for each in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module in modules:
                first = module.partition(".")[0]
                if first in sys.stdlib_module_names or first in here:
                    continue
                assert distributions.get(first, first).lower() in names, (path.name, module)
