"""How the program runs in a container: arguments, limits, fetching, signals, exit codes."""

import os
import pty
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from made.launcher import GID, UID, Launcher, classifier
from tensor_guess.config import DEFAULT_BACKBONES, HOST, PORT


def test_guess_is_run_with_exactly_this(docker: Launcher) -> None:
    classifier(docker.here / "tf files")
    (docker.here / "photos").mkdir()
    (docker.here / "photos" / "a b.jpg").touch()
    here = docker.here
    done = docker("tf files", "photos/a b.jpg", "--json", script="guess.sh")
    assert done.run[:4] == ["docker", "run", "--rm", "--name"]
    assert done.run[4].startswith("tensor-guess-")
    groups = [x for g in os.getgroups() if g != GID for x in ("--group-add", str(g))]
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    flags = (
        "--read-only --cap-drop ALL --security-opt no-new-privileges "
        "--security-opt label=disable --init --pids-limit 256 --network none --memory 2g"
    )
    expected = [
        *flags.split(),
        *("--user", f"{UID}:{GID}", *groups),
        *("--mount", f'type=bind,"source={here}/tf files","target={here}/tf files",readonly'),
        *("--mount", f'type=bind,"source={here}/photos","target={here}/photos",readonly'),
        *("--mount", f'type=bind,"source={cache}","target={cache}",readonly'),
        *("--tmpfs", "/tmp", "--env", "HOME=/tmp", "--env", "TMPDIR=/tmp"),
        *("--workdir", str(here), "--env", f"TENSOR_GUESS_UMASK={_umask():04o}"),
        *("--env", f"TENSOR_GUESS_CACHE={cache}"),
        *("--env", f"TENSOR_GUESS_SEEN_1={here}/tf files/"),
        *("--env", f"TENSOR_GUESS_SEEN_2={here}/photos/a b.jpg"),
        *("stand-in", "guess", "tf files", "photos/a b.jpg", "--json"),
    ]
    assert _sorted_groups(done.run[5:]) == _sorted_groups(expected)


def _sorted_groups(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments without the groups, and the groups: `id -G` has an order of its own."""
    groups, rest, i = [], [], 0
    while i < len(arguments):
        if arguments[i] == "--group-add":
            groups.append(arguments[i + 1])
            i += 1
        else:
            rest.append(arguments[i])
        i += 1
    return rest, sorted(groups)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_export_sees_the_pictures_and_writes_beside_its_name(docker: Launcher) -> None:
    tf, out, photos = classifier(docker.here / "tf"), docker.here / "out", docker.here / "photos"
    out.mkdir()
    (photos / "elsa").mkdir(parents=True)
    (photos / "elsa" / "x.jpg").touch()
    shutil.rmtree(tf / "data")
    (tf / "data").symlink_to(photos)
    done = docker("export", "tf", "out/model", "--format", "openvino")
    modes = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert modes == {str(tf): "ro", str(out): "rw", str(photos): "ro"}
    assert not (out / "model").exists()
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["8g"])
    done = docker("export", "tf/retrained_graph.pb", "out/m", "--format=onnx", "--pictures=photos")
    assert done.mounts[str(photos)] == "ro"


def test_strangers_graphs_are_looked_at_without_network(docker: Launcher) -> None:
    tf, out = classifier(docker.here / "tf"), docker.here / "out"
    out.mkdir()
    done = docker("inspect", "tf")
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["2g"])
    done = docker("share", "tf", "out/x.zip", "--licence", "CC-BY-4.0")
    modes = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert modes == {str(tf): "ro", str(out): "rw"}
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["2g"])
    for size, memory in ((100_000_000, "2g"), (560_000_000, "4g")):
        with (out / "x.zip").open("wb") as file:
            file.truncate(size)
        done = docker("verify", "out/x.zip")
        assert done.mounts[str(out)] == "ro"
        assert (done.options("--network"), done.options("--memory")) == (["none"], [memory])


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ((), f"{HOST}:{PORT}:{PORT}"),
        (("--port", "80"), f"{HOST}:80:80"),
        (("--port=9000", "--host=0.0.0.0"), "0.0.0.0:9000:9000"),
        (("--host", "localhost"), f"127.0.0.1:{PORT}:{PORT}"),
        (("--host", "::1"), f"[::1]:{PORT}:{PORT}"),
    ],
)
def test_a_server_has_its_port_and_no_other_network(
    docker: Launcher, options: tuple[str, ...], published: str
) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "secrets").mkdir()
    (docker.here / "secrets/token").touch()
    asked = ("tf", *options, "--token_file", "secrets/token", "--allowed-host", "nas")
    done = docker(*asked, script="serve.sh")
    assert done.passed == ["serve", *asked]
    assert done.options("--publish") == [published]
    assert "TENSOR_GUESS_PUBLISHED=1" in done.options("--env")
    assert (done.options("--network"), done.options("--memory")) == ([], ["2g"])
    own = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert own == {str(tf): "ro", str(docker.here / "secrets"): "ro"}


@pytest.mark.parametrize(
    "options",
    [("--help",), ("--port", "x"), ("--port", "1,2"), ("--host", "nas.home"), ("--port",),
     ("--host", "$(x)"), ("--port", "123456")],
)  # fmt: skip
def test_a_server_that_will_be_refused_has_no_network(
    docker: Launcher, options: tuple[str, ...]
) -> None:
    classifier(docker.here / "tf")
    done = docker("serve", "tf", *options)
    assert (done.options("--publish"), done.options("--network")) == ([], ["none"])


def test_a_large_graph_gets_more_memory(docker: Launcher) -> None:
    graph = classifier(docker.here / "tf") / "retrained_graph.pb"
    (docker.here / "x.jpg").touch()
    for size, memory in ((100_000_000, "2g"), (560_000_000, "4g")):
        with graph.open("wb") as file:
            file.truncate(size)
        for given in ("tf", "tf/retrained_graph.pb"):
            assert docker("guess", given, "x.jpg").options("--memory") == [memory]


@pytest.mark.parametrize(
    ("info", "has", "has_not"),
    [
        ("answer=20.10 [name=seccomp name=rootless]", [], ["--user", "--group-add", "--userns"]),
        ("answer=28.0 [name=seccomp name=userns]", ["--userns host", "--user"], []),
    ],
)
def test_the_user_is_the_same_one_in_docker(
    docker: Launcher, info: str, has: list[str], has_not: list[str]
) -> None:
    docker.does("docker-info", f"echo '{info}'; exit")
    run = docker("train", classifier(docker.here / "tf")).run
    for each in has:
        assert each in " ".join(run)
    for each in has_not:
        assert each not in run


@pytest.mark.parametrize(
    ("info", "has", "has_not"),
    [
        ("answer=false v1 crun [memory pids]", ["--user", "--memory"], ["--userns"]),
        (
            "answer=true v2 crun [memory pids]",
            ["--userns keep-id", "--group-add keep-groups", "--memory 2g", "--pids-limit"],
            [],
        ),
        (
            "answer=true v2 runc [cpu]",
            ["--userns keep-id"],
            ["--group-add", "--memory", "--pids-limit"],
        ),
        ("answer=true v1 runc [memory pids]", ["keep-id"], ["--memory", "--pids-limit"]),
    ],
)
def test_the_user_and_the_limits_in_podman(
    docker: Launcher, info: str, has: list[str], has_not: list[str]
) -> None:
    docker.install("podman")
    docker.does("podman-info", f"echo '{info}'; exit")
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "podman"
    (docker.here / "p.jpg").touch()
    run = docker("guess", classifier(docker.here / "tf"), "p.jpg").run
    assert run[0] == "podman"
    assert "--read-only-tmpfs=false" in run
    for each in has:
        assert each in " ".join(run)
    for each in has_not:
        assert each not in run


def test_podman_gets_init_where_there_is_one(docker: Launcher) -> None:
    docker.install("podman")
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "podman"
    installed = any(
        Path(p).exists() for p in ("/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit")
    )
    assert ("--init" in docker("--help").run) is installed
    docker.install("catatonit")
    assert "--init" in docker("--help").run


def test_the_users_own_tmp_takes_the_place_of_the_scratch_folder(
    docker: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tf = classifier(docker.here / "tf")
    done = docker("train", tf, "--output_graph=/tmp/output_graph.pb")
    assert done.mounts["/tmp"] == "rw"
    assert done.options("--tmpfs") == ["/run/tensor-guess"]
    assert "TMPDIR=/run/tensor-guess" in done.options("--env")


def test_each_writable_folder_has_a_nonce_for_the_program_and_loses_it(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    docker.does("docker-run", f"find '{docker.folder}' -name '.tensor-guess-*.tmp'; exit")
    done = docker("train", tf)
    told = [each.partition("=")[2] for each in done.options("--env") if "_SEEN_" in each]
    assert len(done.out.split()) == 2
    assert set(done.out.split()) < set(told)
    assert list(docker.folder.rglob(".tensor-guess-*.tmp")) == []


def test_a_name_that_is_no_text_is_refused(docker: Launcher) -> None:
    process = subprocess.run(
        [docker.clone / "guess.sh", "tf", b"caf\xe9.jpg"],
        env=docker.environ, cwd=docker.here, capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert b"not valid UTF-8" in process.stderr
    (docker.here / os.fsdecode(b"caf\xe9")).mkdir()
    docker.here /= os.fsdecode(b"caf\xe9")
    assert docker("guess", "tf", "x.jpg").runs == []


def test_fetch_gets_the_cache_and_the_network(docker: Launcher) -> None:
    done = docker("fetch", "inception_v3")
    assert done.mounts == {str(docker.folder / "home/.cache/tensor-guess"): "rw"}
    assert "--network" not in done.run


@pytest.mark.parametrize(
    ("options", "name"), [([], DEFAULT_BACKBONES[0]), (["--backbone", "resnet50"], "resnet50")]
)
def test_what_the_builtin_classifier_needs_is_fetched_by_a_run_of_its_own(
    docker: Launcher, options: list[str], name: str
) -> None:
    (docker.here / "x.jpg").touch()
    cache = docker.folder / "home/.cache/tensor-guess"
    fetch, guess = (
        call for call in docker("guess", "imagenet", "x.jpg", *options).calls if call[1] == "run"
    )
    assert fetch[-4:] == ["stand-in", "fetch", "--", name]
    assert "--network" not in fetch
    # It sees the cache and nothing else.
    assert [each for each in fetch if each.startswith("type=bind")] == [
        f'type=bind,"source={cache}","target={cache}"'
    ]
    assert guess[guess.index("--network") + 1] == "none"
    (cache / "backbones").mkdir()
    (cache / "backbones" / f"{name}-1-0123.pb").touch()
    assert docker("guess", "imagenet", "x.jpg", *options).run[-len(options) - 2 :]


@pytest.mark.parametrize("given", ["modules/mine", "https://tfhub.dev/x/1"])
def test_a_module_is_frozen_by_a_run_that_sees_no_pictures(docker: Launcher, given: str) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "modules" / "mine").mkdir(parents=True)
    fetch, train = docker("train", tf, f"--tfhub_module={given}").runs
    assert fetch.passed == ["fetch", "--", given]
    assert train.passed[-1] == f"--tfhub_module={given}"
    module = {f"{docker.here}/modules/mine": "ro"} if given == "modules/mine" else {}
    assert fetch.mounts == module | {f"{docker.folder}/home/.cache/tensor-guess": "rw"}


def test_where_a_module_cannot_be_had_nothing_is_trained(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    docker.does("docker-run", "exit 1")
    done = docker("train", tf, "--tfhub_module", "https://tfhub.dev/x/1")
    assert (done.code, len(done.runs)) == (1, 1)


PIN = "a" * 64


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (("guess", "ADDRESS", "x.jpg"), "https://h/films.zip"),
        (("guess", "--graph=ADDRESS", "x.jpg"), "https://h/films?id=7&b=c d"),
        (("classify-dir", "ADDRESS", "src", "dest"), f"http://h/films.pb#sha256={PIN}"),
        (("train", "tf", "--from", "ADDRESS"), "https://h/films.zip?v=1"),
    ],
)
def test_a_classifier_at_an_address_is_fetched_by_a_run_that_sees_nothing_else(
    docker: Launcher, command: tuple[str, ...], address: str
) -> None:
    classifier(docker.here / "tf")
    (docker.here / "x.jpg").touch()
    (docker.here / "src").mkdir()
    given = [each.replace("ADDRESS", address) for each in command]
    fetch, job = docker(*given).runs
    cache = docker.folder / "home/.cache/tensor-guess"
    assert fetch.passed == ["fetch-classifier", "--", address]
    assert fetch.mounts == {str(cache): "rw"}
    assert not fetch.options("--network")
    assert job.passed == given
    # What is kept is not fetched again, unless it is another than is wanted.
    key = sha256(address.partition("#")[0].encode()).hexdigest()[:32]
    kept = cache / "classifiers" / key
    kept.mkdir(parents=True)
    (kept / f"{'b' * 64}.zip").touch()
    assert len(docker(*given).runs) == (2 if PIN in address else 1)
    (kept / f"{PIN}.zip").touch()
    assert len(docker(*given).runs) == 1


def test_where_a_classifier_cannot_be_fetched_or_may_not_be_nothing_is_guessed(
    docker: Launcher,
) -> None:
    docker.does("docker-run", "exit 1")
    done = docker("guess", "https://h/x.zip", "x.jpg")
    assert (done.code, len(done.runs)) == (1, 1)
    assert docker("guess", "https://h/x.zip", "x.jpg", "--offline").run


def test_a_large_classifier_at_an_address_gets_the_memory_that_it_needs(docker: Launcher) -> None:
    key = sha256(b"https://h/x.zip").hexdigest()[:32]
    kept = docker.folder / "home/.cache/tensor-guess/classifiers" / key
    kept.mkdir(parents=True)
    with (kept / f"{PIN}.zip").open("wb") as file:
        file.truncate(300_000_000)
    assert docker("guess", "https://h/x.zip", "x.jpg").options("--memory") == ["4g"]


def test_images_by_url_are_fetched_by_a_run_that_sees_no_classifier(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "x.jpg").touch()
    urls = ["https://example.com/a.jpg?b=c d", "http://example.com/e.png"]
    fetch, guess = docker("guess", "tf", urls[0], "x.jpg", urls[1]).runs
    (folder,) = [each for each, mode in fetch.mounts.items() if "cache" not in each]
    assert fetch.passed == ["fetch-images", "--", folder, *urls]
    assert fetch.mounts[folder] == "rw"
    assert not fetch.options("--network")
    assert guess.passed == ["guess", "tf", urls[0], "x.jpg", urls[1]]
    assert guess.options("--network") == ["none"]
    assert guess.mounts[folder] == "ro"
    assert f"TENSOR_GUESS_FETCHED={folder}" in guess.options("--env")
    assert Path(folder) != docker.here
    assert not Path(folder).exists()


def test_where_no_temporary_folder_can_be_made_nothing_is_lost(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "photo.jpg").touch()
    docker.environ["TMPDIR"] = str(docker.folder / "not there")
    done = docker("guess", "tf", "https://example.com/a.jpg")
    assert (done.code, done.runs) == (1, [])
    assert f"could not create a folder for pictures in {docker.folder}/not there" in done.err
    assert (docker.here / "photo.jpg").exists()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 125, 126, 130, 132, 137, 143])
def test_the_exit_code_is_handed_on_and_explained(docker: Launcher, code: int) -> None:
    docker.does("docker-run", f"echo result; echo message >&2; exit {code}")
    done = docker("--help")
    assert done.code == code
    assert done.out == "result\n"
    explained = {
        125: "could not run the container",
        132: "another kind of machine",
        137: "out of memory",
    }
    said = done.err.removeprefix("message\n")
    assert (explained[code] in said) if code in explained else said == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to_group", [False, True])
def test_a_signal_reaches_the_container_once(
    docker: Launcher, number: signal.Signals, to_group: bool
) -> None:
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    # The program ends when `docker kill` reaches it.
    docker.does("docker-run", f"echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}")
    docker.does("docker-kill", f"echo {128 + number} >'{ended}'; exit")
    process = docker.start("--help", start_new_session=True)
    begun.read_text()
    (os.killpg if to_group else os.kill)(process.pid, number)
    done = docker.finish(process)
    assert done.code == 128 + number
    killed = [call for call in done.calls if call[1] == "kill"]
    assert killed == [["docker", "kill", "--signal", number.name[3:], done.run[4]]]


def test_a_signal_before_the_container_is_there_is_not_lost(docker: Launcher) -> None:
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    docker.does("docker-run", f"echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}")
    tries = docker.folder / "tries"
    docker.does(
        "docker-kill",
        f"echo x >>'{tries}'; (($(wc -l <'{tries}') < 3)) && exit 1; echo 130 >'{ended}'; exit",
    )
    process = docker.start("--help")
    begun.read_text()
    process.send_signal(signal.SIGINT)
    assert docker.finish(process).code == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "arguments", ["guess tf https://example.com/a.jpg", "guess imagenet x.jpg"]
)
def test_a_signal_while_something_is_fetched_ends_it_all(
    docker: Launcher, number: signal.Signals, arguments: str
) -> None:
    classifier(docker.here / "tf")
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    docker.does(
        "docker-run",
        f"[[ $* != *fetch* ]] && exit; echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}",
    )
    docker.does("docker-kill", f"echo {128 + number} >'{ended}'; exit")
    process = docker.start(*arguments.split(), start_new_session=True)
    begun.read_text()
    # As a terminal does it, for Ctrl-C; as `kill` does it.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    done = docker.finish(process)
    assert done.code == 128 + number
    assert len(done.runs) == 1
    assert [call[3] for call in done.calls if call[1] == "kill"] == [number.name[3:]]


@pytest.mark.parametrize(("piped", "tty"), [(None, True), ("stdin", False), ("stdout", False),
                                            ("stderr", False)])  # fmt: skip
def test_a_terminal_is_given_only_where_all_three_are_one(
    docker: Launcher, piped: str | None, tty: bool
) -> None:
    main, other = pty.openpty()
    streams = {name: other for name in ("stdin", "stdout", "stderr") if name != piped}
    with open(os.devnull, "r+") as null:
        streams |= {piped: null.fileno()} if piped else {}
        subprocess.run(
            [docker.clone / "tensor-guess", "--help"],
            env=docker.environ, cwd=docker.here, timeout=60, check=True,
            **streams,  # type: ignore[call-overload]
        )  # fmt: skip
    os.close(main)
    os.close(other)
    (run,) = [call for call in docker.calls() if call[1] == "run"]
    assert ("--tty" in run) is tty
    assert ("--interactive" in run) is tty


@pytest.mark.parametrize(
    ("arguments", "network"),
    [
        (("classify-dir", "tf", "in", "out"), ["none"]),
        (("classify-dir", "tf", "in", "out", "--workers", "2"), ["none"]),
        (("classify-dir", "tf", "in", "out", "--scheduler", "tcp://h:1"), ["host"]),
        (("train", "tf"), []),
        (("train", "tf", "--scheduler=tls://h:1", "--tls", "certificates"), ["host"]),
        (("evaluate", "tf", "in"), ["none"]),
        (("evaluate", "tf", "in", "--scheduler=tcp://h:1"), ["host"]),
        (("worker", "tcp://h:1", "in", "out"), ["host"]),
    ],
)
def test_what_works_for_a_scheduler_has_the_hosts_network(
    docker: Launcher, arguments: tuple[str, ...], network: list[str]
) -> None:
    classifier(docker.here / "tf")
    for name in ("in", "out", "certificates"):
        (docker.here / name).mkdir()
    done = docker(*arguments)
    assert done.options("--network") == network
    if "--workers" in arguments:  # each of them needs as much as one run
        assert not done.options("--memory")
    if arguments[0] == "evaluate":  # workers read the network there
        assert done.mounts[f"{docker.here}/tf"] == ("ro" if network == ["none"] else "rw")
    if arguments[0] == "worker":
        modes = {done.mounts[f"{docker.here}/{name}"] for name in ("in", "out")}
        assert modes == {"rw"}
        assert f"{docker.here}/tf" not in done.mounts
    if "--tls" in arguments:
        assert done.mounts[f"{docker.here}/certificates"] == "ro"


@pytest.mark.parametrize(
    ("arguments", "mounted", "network"),
    [
        (("classify-dir", "tf", "s3://bucket/in", "out"), {"out": "rw"}, []),
        (("classify-dir", "tf", "in", "s3://bucket/out"), {"in": "ro"}, []),
        (("classify-dir", "tf", "s3://bucket/in", "s3://bucket/out", "--dry-run"), {}, []),
        (
            ("classify-dir", "tf", "s3://b/in", "s3://b/out", "--scheduler", "tcp://h:1"),
            {},
            ["host"],
        ),
        (("train", "tf", "--image_dir=s3://bucket/data"), {}, []),
        (("worker", "tcp://h:1", "in", "s3://bucket/out"), {"in": "rw"}, ["host"]),
        (("classify-dir", "tf", "gs://bucket/in", "s3-out"), {"s3-out": "rw"}, ["none"]),
    ],
)
def test_a_url_is_no_folder_of_the_host_and_who_asks_is_passed_by_name_only(
    docker: Launcher, arguments: tuple[str, ...], mounted: dict[str, str], network: list[str]
) -> None:
    classifier(docker.here / "tf")
    (docker.here / "in").mkdir()
    names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"}
    docker.environ |= dict.fromkeys(names, "secret")
    done = docker(*arguments)
    assert done.options("--network") == network
    assert done.run[-len(arguments) :] == [*arguments]
    own = {f"{docker.here}/{name}": mode for name, mode in mounted.items()}
    here = {path: mode for path, mode in done.mounts.items() if f"{docker.here}/" in path}
    assert {path: mode for path, mode in here.items() if f"{docker.here}/tf" not in path} == own
    is_s3 = "gs://" not in str(arguments)
    assert {each for each in done.options("--env") if each in names} == (names if is_s3 else set())
    assert "secret" not in str(done.calls)
    assert not [path for path in docker.here.iterdir() if ":" in path.name]


@pytest.mark.parametrize("url", ["s3://me:secret@b/x", "s3://secret@b", "s3://b/x?secret"])
def test_a_url_with_a_secret_starts_no_container(docker: Launcher, url: str) -> None:
    classifier(docker.here / "tf")
    done = docker("classify-dir", "tf", url, "out", "--verbose")
    assert done.code == 2
    assert "a URL with a user, a password or a query is not taken" in done.err
    assert "secret" not in done.err + str(done.calls)


def test_nobody_else_sees_who_asks_a_store(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    docker.environ["AWS_SECRET_ACCESS_KEY"] = "secret"
    assert "AWS_SECRET_ACCESS_KEY" not in docker("train", "tf").run
