"""The program as it is called: what it prints where, and its exit codes."""

import json
import os
import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from made.place import ROOT, Run
from made.terminal import on_terminal
from tensor_guess import __version__
from tensor_guess.commands.main import GROUPS, cli

PHOTO = ROOT / "test_data/photo01.jpg"
OTHER = ROOT / "test_data/photo02.png"


def test_a_guess_prints_every_label_best_first(trained: Path, run: Run) -> None:
    done = run("guess", trained, PHOTO)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"dark knight \(score = 0\.\d{5}\)\nsnow queen \(score = 0\.\d{5}\)\n", done.stdout
    )


def test_several_guesses_are_blocks(trained: Path, call: Run) -> None:
    one, other = (call("guess", trained, path).stdout for path in (PHOTO, OTHER))
    both = call("guess", trained, PHOTO, OTHER).stdout
    assert both == f"{PHOTO}:\n{one}\n{OTHER}:\n{other}\n"


def test_json_is_an_object_a_line(trained: Path, call: Run) -> None:
    lines = call("guess", trained, PHOTO, OTHER, "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [each["image"] for each in found] == [str(PHOTO), str(OTHER)]
    assert [each["category"] for each in found] == ["dark_knight", "snow_queen"]
    for each in found:
        assert each.keys() == {"image", "label", "category", "score", "scores"}
        assert each["scores"][each["label"]] == each["score"]


def test_exit_codes_of_guesses(trained: Path, tmp_path: Path, run: Run) -> None:
    missing = tmp_path / "missing.jpg"
    some = run("guess", trained, PHOTO, missing)
    assert some.returncode == 3
    assert some.stderr == f"left out {missing}: no such file or directory\n"
    assert str(PHOTO) in some.stdout
    none = run("guess", trained, missing)
    assert (none.returncode, none.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train",), "Missing argument 'TF_FILES'"),
        (("train", "x", "--how_many_trainin_steps", "3"), "Did you mean '--how-many-training-ste"),
        (("train", "x", "--steps", "0"), "Invalid value for '--steps'"),
        (("train", "x", "--learning_rate", "fast"), "Invalid value for '--learning-rate'"),
        (("train", "x", "--testing_percentage=60", "--validation_percentage=40"), "too little"),
        (("guess", "x"), "Missing argument 'IMAGE...'"),
        (("classify-dir", "x", "y"), "Missing argument 'DEST'"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("gues",), "Did you mean 'guess'?"),
        (("guess", "x", "y.jpg", "--tpo", "3"), "Did you mean '--top'?"),
        (
            ("guess", "x", "y.jpg", "--quiet", "--verbose"),
            "--quiet and --verbose do not go together",
        ),
        (("guess", "/no/such/folder", "x.jpg"), "no such file or folder"),
    ],
)
def test_wrong_usage_is_2_and_said_before_any_work(
    call: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_every_flag_of_retrain_is_accepted(trained: Path, run: Run) -> None:
    """The flags, by their names in TensorFlow's retrain.py, all generations."""
    flags = """
        image_dir output_graph output_labels intermediate_output_graphs_dir
        intermediate_store_frequency summaries_dir how_many_training_steps learning_rate
        testing_percentage validation_percentage eval_step_interval train_batch_size
        test_batch_size validation_batch_size print_misclassified_test_images model_dir
        bottleneck_dir final_tensor_name flip_left_right random_crop random_scale
        random_brightness architecture tfhub_module saved_model_dir checkpoint_path
        logging_verbosity
    """.split()
    known = {name for option in cli.commands["train"].params for name in option.opts}
    assert {f"--{flag.replace('_', '-')}" for flag in flags} <= known
    documented = (ROOT / "docs/flags.md").read_text()
    assert [flag for flag in flags if f"`--{flag}`" not in documented] == []


def test_every_option_is_in_the_help_and_in_the_docs(call: Run) -> None:
    documented = (ROOT / "docs/flags.md").read_text()
    for name, command in cli.commands.items():
        said = call(name, "--help").stdout
        for option in command.params:
            if option.opts[0].startswith("--") and not getattr(option, "hidden", False):
                assert option.opts[0] in said
                assert option.opts[0].replace("-", "_")[2:] in documented.replace("-", "_")


def test_the_help_has_every_command_in_one_group(call: Run) -> None:
    sections = call("--help").stdout.split("\n\n")[3:]
    names = [re.findall(r"^  ([a-z-]+) ", each, re.M) for each in sections]
    found = dict(zip((each.partition(":")[0] for each in sections), names, strict=True))
    assert found == {title: [each.name for each in group] for title, group in GROUPS.items()}
    assert sorted(each for group in names for each in group) == sorted(
        name for name, each in cli.commands.items() if not each.hidden
    )


def test_the_version_is_printed_with_and_without_the_launcher(call: Run) -> None:
    assert call("--version").stdout == f"tensor-guess {__version__}\n"
    env = {"PATH": os.environ["PATH"], "TENSOR_GUESS_LAUNCHER": "no such launcher"}
    launched = [str(ROOT / "tensor-guess"), "--version"]
    said = subprocess.run(launched, env=env, capture_output=True, text=True, check=True)
    assert said.stdout == f"tensor-guess {__version__}\n"


def test_a_quiet_guess_says_results_and_what_was_left_out(
    trained: Path, tmp_path: Path, call: Run
) -> None:
    missing = tmp_path / "missing.jpg"
    usual = call("guess", trained, PHOTO, missing, "--only", "dark knight")
    quiet = call("guess", trained, PHOTO, missing, "--only", "dark knight", "--quiet")
    left_out = f"left out {missing}: no such file or directory\n"
    assert usual.stderr == f"scores are shared among 1 of 2 labels (--only)\n{left_out}"
    assert (quiet.stdout, quiet.stderr) == (usual.stdout, left_out)
    # It is not so for the next one.
    assert call("guess", trained, PHOTO, missing, "--only", "dark knight") != quiet


def test_a_verbose_guess_says_what_by_what_and_how_long_it_took(trained: Path, run: Run) -> None:
    done, usual = (run("guess", trained, PHOTO, *more) for more in (["--verbose"], []))
    assert done.stdout == usual.stdout
    first, cache, classifier, network, last = done.stderr.splitlines()
    digest = sha256((trained / "retrained_graph.pb").read_bytes()).hexdigest()
    assert first.startswith(f"tensor-guess {__version__}, Python 3.")
    assert Path(cache.removeprefix("cache: ")).is_dir()
    assert classifier.startswith(f"classifier: SHA-256 {digest}, 2 labels, on efficientnet_lite0, ")
    assert "network" in network
    assert re.fullmatch(r"took \d+\.\d\d s from the start", last)


def test_verbose_says_what_an_error_was_caused_by(trained: Path, tmp_path: Path, call: Run) -> None:
    (tmp_path / "labels.txt").write_bytes(b"caf\xe9\n")
    given = "guess", trained, PHOTO, "--labels", tmp_path / "labels.txt"
    usual, verbose = (call(*given, *more).stderr.splitlines() for more in ([], ["--verbose"]))
    assert len(usual) == 1
    assert verbose[-1] == usual[0]
    assert verbose[-2].startswith("caused by UnicodeDecodeError: 'utf-8' codec can't decode byte")


@pytest.mark.slow
def test_only_a_terminal_gets_colours(trained: Path, cache: Path) -> None:
    command = [sys.executable, "-I", "-X", "utf8", ROOT / "src"]
    environ = {"TENSOR_GUESS_CACHE": str(cache)}
    printed, drawn = on_terminal([*command, "guess", trained, PHOTO, "x.jpg"], environ, codes=(3,))
    assert "\x1b" not in printed
    assert drawn == "\x1b[33mleft out x.jpg: no such file or directory\x1b[0m\r\n"
    for more, bold in ({}, True), ({"NO_COLOR": "1"}, False):
        shown = on_terminal([*command, "--help"], {**environ, **more}, stdout=True)[1]
        assert ("\x1b[1mTeach\x1b[0m:" in shown) == bold
        assert "Teach" in shown
        best = on_terminal([*command, "guess", trained, PHOTO], {**environ, **more}, stdout=True)[1]
        assert ("\x1b[32m\x1b[1mdark knight" in best) == bold


@pytest.mark.parametrize("name", cli.commands)
def test_a_process_ends_as_a_call_of_it_does(run: Run, call: Run, name: str) -> None:
    for arguments, code in (((name, "--help"), 0), ((name, "--no-such-option"), 2)):
        done, called = run(*arguments), call(*arguments)
        assert done.returncode == called.returncode == code
        assert (done.stdout, done.stderr) == (called.stdout, called.stderr)


def test_where_the_cache_is_not_trusted_only_what_needs_it_ends(
    trained: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "not using the backbones in /tmp/x: it is theirs"
    monkeypatch.setenv("TENSOR_GUESS_DISTRUST", reason)
    for needs in (("backbones",), ("guess", "imagenet", PHOTO), ("fetch", "efficientnet_lite0")):
        done = call(*needs)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"tensor-guess: {reason}\n")
    assert call("guess", trained, PHOTO).returncode == 0


@pytest.mark.slow
def test_what_libraries_make_of_ctrl_c_is_130_and_no_traceback() -> None:
    """Imports in C end with an ImportError if they are interrupted."""
    code = """
import os, signal, sys
from tensor_guess.commands import main
def train(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization failed")
main.cli.main = train
main.program()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.slow
def test_what_does_not_end_by_itself_is_ended() -> None:
    code = """
import os, signal, threading
from tensor_guess.commands import main
def train(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        threading.Event().wait()  # for a decoder that hangs
main.cli.main = train
main.program()
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    said = "tensor-guess: stopped in the midst of work; run it again to go on\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)
    assert time.monotonic() - start < 4  # with its start
