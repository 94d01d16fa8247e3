"""Whether an engine answers, and when the image is built."""

import os
import re
import time

import pytest

from made.launcher import Done, Launcher

DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run"
OFF = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("said", "cure"),
    [(DENIED, "sudo usermod -aG docker"), (OFF, "sudo systemctl start docker")],
)
def test_a_docker_that_does_not_answer_is_said_with_the_cure(
    docker: Launcher, said: str, cure: str
) -> None:
    # As Docker 20 does: `info` with a format does not say why.
    docker.does("docker-info", "echo 'answer= []'; exit 0")
    docker.does("docker-version", f"echo; echo '{said}' >&2; exit 1")
    done = docker("--help")
    assert done.calls[-1][0] == "python"
    assert cure in done.err
    assert done.err.endswith("; continuing without it\n")
    assert done.err.count("\n") == 1


@pytest.mark.slow
def test_an_engine_that_hangs_is_given_10_seconds(docker: Launcher) -> None:
    docker.install("podman")
    begun, waiting = time.monotonic(), []
    for name in ("docker", "podman"):
        docker.does(f"{name}-info", "exec sleep 60")
        docker.environ["TENSOR_GUESS_LAUNCHER"] = name
        waiting.append(docker.start("--help"))
    ended = [docker.finish(process) for process in waiting]
    assert [done.code for done in ended] == [125, 125]
    for name, done in zip(("Docker", "Podman"), ended, strict=True):
        assert f"{name} is installed but does not answer within 10 seconds" in done.err
    assert 9 < time.monotonic() - begun < 20
    assert sorted(call[:2] for call in docker.calls()) == [["docker", "info"], ["podman", "info"]]


def test_podman_under_the_name_of_docker_is_no_docker(docker: Launcher) -> None:
    docker.install("podman")
    docker.does("docker-info", "echo 'Error: template' >&2; exit 125")
    docker.does("docker-version", "exit 125")
    docker.does("docker---version", "echo podman version 4.3.1; exit")
    done = docker("--help")
    assert done.run[0] == "podman"
    assert done.err == ""


def built(done: Done) -> bool:
    """Whether the image was built."""
    return any(call[1] == "build" for call in done.calls)


@pytest.fixture
def builder(own: Launcher) -> Launcher:
    """A launcher whose docker keeps the label of the last build, as a real one would."""
    own.install("docker")
    label = own.folder / "label"
    own.does("docker-build", f"echo Step 1; printf '%s\\n' \"$@\" >'{label}'; exit")
    own.does("docker-image", f"[[ $2 == inspect ]] && sed -n 's/^tensor-guess.inputs=//p' "
                                  f"'{label}' 2>/dev/null; exit")  # fmt: skip
    return own


def test_the_image_is_built_once_and_that_is_said_before(builder: Launcher) -> None:
    done = builder("--help")
    assert built(done)
    assert done.out == ""
    assert "about 500 MB to download" in done.err
    assert done.err.index("building the image") < done.err.index("Step 1")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert build[-1] == str(builder.clone)
    tag = build[build.index("--tag") + 1]
    assert done.calls[-1][-2:] == [tag, "--help"]
    again = builder("--help")
    assert not built(again)
    assert again.err == ""


def test_nothing_is_said_of_the_build_where_that_is_not_wanted(builder: Launcher) -> None:
    (builder.here / "x.zip").touch()
    done = builder("verify", "x.zip", "--quiet")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert "--quiet" in build
    assert "building" not in done.err


@pytest.mark.parametrize("name", ["Dockerfile", "requirements.lock", "src/tensor_guess/errors.py",
                                  "src/tensor_guess/new.py", ".dockerignore"])  # fmt: skip
def test_the_image_is_built_again_when_an_input_changes(builder: Launcher, name: str) -> None:
    builder("--help")
    with open(builder.clone / name, "a") as file:
        file.write("\n# changed\n")
    assert built(builder("--help"))


def test_what_is_no_input_does_not_build_it_again(builder: Launcher) -> None:
    builder("--help")
    for name in ("src/tensor_guess/__pycache__/errors.pyc", "src/tensor_guess/.errors.py.swp",
                 "src/tensor_guess/errors.py~", "README.md", "tf_files/x.jpg"):  # fmt: skip
        (builder.clone / name).parent.mkdir(exist_ok=True)
        (builder.clone / name).write_text("junk")
    os.utime(builder.clone / "Dockerfile")
    assert not built(builder("--help"))


INSPECT = """
[[ $2 == inspect ]] || exit 0
name=${!#}
[[ -f "${STAND_IN}/${name##*:}.label" ]] || exit 1
cat "${STAND_IN}/${name##*:}.label"; exit
"""


def registry(own: Launcher, label: str = "") -> None:
    """A docker that can pull the image of this version; by default it has its right label."""
    own.environ["TENSOR_GUESS_REGISTRY"] = "registry.example:5000/us"
    own.does("docker-image", INSPECT)
    own.does("docker-tag", 'cat "${STAND_IN}/${2##*:}.label" >"${STAND_IN}/${3##*:}.label"; exit')
    own.does(
        "docker-pull",
        f"name=${{2##*:}}; label='{label}'\n"
        'printf "%s\\n" "${label:-${name%-faces}}" >"${STAND_IN}/${name}.label"; exit',
    )


def test_an_image_that_the_registry_has_is_pulled_once_and_not_built(builder: Launcher) -> None:
    registry(builder)
    done = builder("--help")
    assert not built(done)
    assert done.run
    (pull,) = [call for call in done.calls if call[1] == "pull"]
    name = pull[2]
    assert re.fullmatch(r"registry\.example:5000/us/tensor-guess:[0-9a-f]{64}", name)
    (tag,) = [call for call in done.calls if call[1] == "tag"]
    digest = name.rpartition(":")[2]
    assert tag[2:] == [name, f"tensor-guess:{digest[:16]}"]
    assert not [call for call in builder("--help").calls if call[1] in ("pull", "build")]


def test_a_release_names_its_registry_in_the_clone(builder: Launcher) -> None:
    registry(builder)
    del builder.environ["TENSOR_GUESS_REGISTRY"]
    (builder.clone / "registry.txt").write_text("ghcr.io/somebody\n")
    (pull,) = [call for call in builder("--help").calls if call[1] == "pull"]
    assert pull[2].startswith("ghcr.io/somebody/tensor-guess:")


@pytest.mark.parametrize(
    ("label", "pull", "said"),
    [
        ("0123", None, "was built from something else; it is not used"),
        ("", "echo 'manifest unknown' >&2; exit 1", "could not be pulled"),
    ],
)
def test_what_the_registry_does_not_have_is_built(
    builder: Launcher, label: str, pull: str | None, said: str
) -> None:
    registry(builder, label)
    if pull:
        builder.does("docker-pull", pull)
    done = builder("--help")
    assert built(done)
    assert said in done.err
    assert done.err.index(said) < done.err.index("building the image")
    assert done.run


def test_a_registry_that_cannot_be_one_is_wrong_usage(builder: Launcher) -> None:
    builder.environ["TENSOR_GUESS_REGISTRY"] = "--privileged x"
    done = builder("--help")
    assert (done.code, built(done)) == (2, False)
    assert "is no registry such as ghcr.io/somebody" in done.err


def test_a_failed_build_is_125_and_no_fallback(builder: Launcher) -> None:
    builder.does("docker-build", "echo 'no space left' >&2; exit 1")
    done = builder("--help")
    assert done.code == 125
    assert "no space left" in done.err
    assert "could not build the image" in done.err
    assert [call[0] for call in done.calls if call[0] == "python"] == []
    assert [call for call in done.calls if call[1] == "run"] == []


def test_proxies_reach_the_build_and_the_run_by_name_only(builder: Launcher) -> None:
    builder.environ["https_proxy"] = "http://user:secret@proxy:3128"
    done = builder("--help")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert build[build.index("--build-arg") + 1] == "https_proxy"
    assert "secret" not in str(done.calls)
    assert "https_proxy" in done.calls[-1]


def test_the_images_that_this_clone_built_before_are_removed(builder: Launcher) -> None:
    builder.does("docker-image", "[[ $2 == ls ]] && echo tensor-guess:0123 && echo other:1; exit")
    done = builder("--help")
    assert [call[3:] for call in done.calls if call[1:3] == ["image", "rm"]] == [
        ["tensor-guess:0123"]
    ]


def test_an_image_of_the_users_own_is_not_built(docker: Launcher) -> None:
    done = docker("--help")
    assert not built(done)
    assert done.run[-2:] == ["stand-in", "--help"]


@pytest.mark.parametrize(
    ("option", "sets"),
    [(("--face",), "-faces"), (("--workers", "2"), "-many"),
     (("--face", "--scheduler=tcp://h:1"), "-faces-many")],
)  # fmt: skip
def test_what_needs_optional_packages_gets_an_image_of_its_own(
    builder: Launcher, option: tuple[str, ...], sets: str
) -> None:
    """And the images of both kinds stay."""
    builder.does("docker-image", '[[ $2 == ls ]] && echo "$4" >>"${STAND_IN}/labels"; exit 1')
    tags, labels, arguments = [], [], []
    for options in ((), option):
        done = builder("classify-dir", "imagenet", "in", "out", "--offline", *options)
        (build,) = [call for call in done.calls if call[1] == "build"]
        tags.append(build[build.index("--tag") + 1])
        labels.append(build[-2])
        arguments.append("".join(f"-{each[:-2].lower()}" for each in build if each[-2:] == "=1"))
        assert done.run[done.run.index("classify-dir") - 1] == tags[-1]
        assert ("more to download" in done.err) == bool(options)
    assert tags[1] == f"{tags[0]}{sets}"
    assert arguments == ["", sets]
    removed = (builder.folder / "stand-in" / "labels").read_text().splitlines()
    assert len(set(removed)) == 2


def test_an_image_for_stores_has_what_they_need(builder: Launcher) -> None:
    done = builder("classify-dir", "imagenet", "s3://bucket/in", "out", "--offline", "--workers=2")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert build[build.index("--tag") + 1].endswith("-many-stores")
    assert "STORES=1" in build
    assert "s3fs for object stores" in done.err
