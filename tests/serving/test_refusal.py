"""What a refusal says in its headers."""

from tensor_guess.serving.refusal import Refused


def test_it_says_when_to_come_again_and_whether_to_go() -> None:
    assert Refused(400, "no").headers == {}
    assert Refused(429, "no", again=3).headers == {"retry-after": "3"}
    said = Refused(408, "no", again=1, close=True)
    assert said.headers == {"retry-after": "1", "connection": "close"}
    assert (said.code, said.reason, str(said)) == (408, "no", "no")
