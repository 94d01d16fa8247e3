"""A task has nothing of ours in it but names and JSON, so any scheduler can pass it on."""

import json
import operator
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.errors import UserError
from tensor_guess.spreading import looking, tasks
from tensor_guess.spreading.shared import shared
from tensor_guess.spreading.tasks import Failed, Task


def test_it_is_done_by_name(tiny: Backbone, tmp_path: Path) -> None:
    with shared(tmp_path, Extractor(tiny).recipe(), []) as job:
        call, (resolve, name), said = Task("rows", looking.look, job).plain([tmp_path / "x\udcff"])
        assert (call, resolve) == (operator.call, pkgutil.resolve_name)
        assert json.loads(said)["paths"] == [f"{tmp_path}/x\udcff"]
        (found,) = call(resolve(name), said)
        assert "no such file" in found
        assert tasks.do(said) == [found]


def test_a_scheduler_that_has_nothing_of_ours_can_read_it(tiny: Backbone, tmp_path: Path) -> None:
    with shared(tmp_path, Extractor(tiny).recipe(), []) as job:
        data = pickle.dumps(Task("rows", looking.look, job).plain([Path("x.jpg")]))
    script = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer)))"
    python = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(python, input=data, capture_output=True, check=False)
    assert done.stdout == b"3\n", done.stderr


def test_an_error_travels_as_words(tiny: Backbone, tmp_path: Path) -> None:
    """One that Dask cannot read would be lost, and its task waited for without end."""
    with shared(tmp_path, Extractor(tiny).recipe(), []) as job:
        *_, said = Task("rows", looking.look, job).plain([])
    failed = tasks.do(said)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error(), UserError)
    assert "does not see" in str(failed.error())
    broken = tasks.do(b"{}")
    assert isinstance(broken.error(), RuntimeError)
    assert "KeyError: 'work'" in broken.said
    assert pickle.loads(pickle.dumps(failed)) == failed
