"""An address that makes no sense, and certificates that are none, are refused before any work."""

from pathlib import Path

import pytest

from made.certificates import certificates
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.spreading.machines import Machines


@pytest.mark.parametrize(
    "address",
    ["", "host:8786", "http://host:8786", "tcp://host", "tcp://host:99999", "tcp://:8786",
     "tcp://a b:1", "tcp://host:1/x", "inproc://host:1", "tls://host:\n1"],
)  # fmt: skip
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    machines = Machines(address)
    with pytest.raises(WrongUsage, match="is no address of a scheduler such as tcp://host:8786"):
        machines.security()


@pytest.mark.parametrize(
    ("address", "near", "closed"),
    [("tcp://127.0.0.1:1", True, False), ("tls://localhost:8786", True, True),
     ("tcp://[::1]:1", True, False), ("tcp://10.0.0.1:1", False, False),
     ("tls://node-1.example:65535", False, True), ("tcp://127.evil.example:1", False, False)],
)  # fmt: skip
def test_it_is_known_who_can_reach_it(address: str, near: bool, closed: bool) -> None:
    assert (Machines(address).is_loopback, Machines(address).is_encrypted) == (near, closed)


def test_certificates_are_for_tls_only(tmp_path: Path) -> None:
    Machines("tcp://host:1").check()
    with pytest.raises(WrongUsage, match="--tls is for a scheduler whose address begins with tls"):
        Machines("tcp://host:1", tls=tmp_path).check()
    with pytest.raises(UserError, match=r"needs certificates; name the folder with ca\.pem"):
        Machines("tls://host:1").check()


def test_a_folder_without_them_or_with_something_else_is_named(tmp_path: Path) -> None:
    machines = Machines("tls://host:1", tls=tmp_path)
    with pytest.raises(UserError, match=r"ca\.pem is missing; --tls names a folder with ca\.pem"):
        machines.check()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    with pytest.raises(UserError, match="the certificates for tls://host:1 cannot be used"):
        machines.check()


def test_those_of_one_authority_are_taken(tmp_path: Path) -> None:
    certificates(tmp_path)
    found = Machines("tls://host:1", tls=tmp_path).security()
    assert found
    assert found.require_encryption
