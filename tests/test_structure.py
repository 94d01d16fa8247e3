"""What holds of the whole tree: who imports whom, what is imported when, how files end lines."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Run

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tensor_guess"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
# What costs seconds and half a gigabyte to import.
TENSORFLOW = {"tensorflow", "keras", "tf_keras", "tensorflow_hub"}
# Those that do a whole job: imported only by the command that does it.
JOBS = {"training", "guessing", "sorting", "inspection", "exporting", "sharing"}


def imports(module: str, *, at_top: bool = False) -> set[str]:
    """What the module imports: ours by their bare names, others by their first name.

    at_top: only what is imported as soon as the module is.
    """
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    nodes = tree.body if at_top else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} has a relative import"
            inside = node.module == "tensor_guess"
            found |= (
                {f"{node.module}.{each.name}" for each in node.names} if inside else {node.module}
            )
    ours = {each.split(".")[1] for each in found if each.startswith("tensor_guess.")}
    return ours | {each.partition(".")[0] for each in found if not each.startswith("tensor_guess")}


def order() -> list[str]:
    """The modules as the table in docs/design.md lists them, row by row."""
    rows = (ROOT / "docs" / "design.md").read_text("utf-8").partition("| module |")[2]
    table = rows.partition("\n\n")[0].splitlines()[2:]
    return [name for row in table for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_every_module_is_in_the_table_and_imports_only_those_above_it() -> None:
    listed = order()
    assert sorted(listed) == MODULES
    for place, module in enumerate(listed):
        below = imports(module) & set(listed[place:])
        assert not below, f"{module} imports {below}, which docs/design.md lists below it"


def loaded_with(modules: set[str]) -> set[str]:
    """These modules and all of ours that are imported at once where they are."""
    found, new = set[str](), set(modules)
    while new:
        found |= new
        new = {each for module in new for each in imports(module, at_top=True)} & set(MODULES)
        new -= found
    return found


def test_tensorflow_is_imported_only_by_what_freezes_networks() -> None:
    heavy = {module for module in MODULES if imports(module) & TENSORFLOW}
    assert "keras_backbones" in {each for each in MODULES if loaded_with({each}) & heavy}
    assert not loaded_with({"cli", *JOBS}) & heavy


def test_the_command_line_imports_its_jobs_only_where_they_are_done() -> None:
    commands = {"cli", "graph_commands"}
    assert set[str]().union(*map(imports, commands)) > JOBS
    assert not loaded_with(commands) & JOBS
    for module in loaded_with(commands):
        assert not imports(module, at_top=True) & {"numpy", "openvino", "tensorboard", "PIL"}


def test_every_module_has_its_tests() -> None:
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    assert [module for module in MODULES if module not in tests] == []


def imported(said: str) -> set[str]:
    """The packages that `-X importtime` saw being imported."""
    lines = [line for line in said.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


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


@pytest.mark.parametrize("arguments", [("--help",), ("guess", "/nowhere", "x.jpg"), ("guess",)])
def test_help_and_wrong_usage_load_next_to_nothing(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, flags=("-X", "importtime"))
    assert done.returncode in (0, 2)
    seen = imported(done.stderr)
    assert "click" in seen
    if arguments[-1] != "x.jpg":
        assert not seen & {"numpy", "openvino", "tensorboard", "google"}
    assert not seen & TENSORFLOW


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
    assert {module for module in MODULES if imports(module) & dangerous} == {"torch_weights"}
    for module in MODULES:
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))):
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
    here = {path.stem for path in (ROOT / "tests").glob("*.py")} | {"tensor_guess"}
    here |= {path.stem for folder in ("tools", "bench") for path in (ROOT / folder).glob("*.py")}
    for path in (ROOT / "tests").glob("*.py"):
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
