"""Why a request gets no guess."""


class Refused(Exception):
    """A request that is not answered: HTTP's code, and one sentence.

    `again`: after how many seconds it may be worth asking again. `close`: whether the client is
    not to be heard any more.
    """

    def __init__(self, code: int, reason: str, *, again: int = 0, close: bool = False) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason
        self.again, self.close = again, close

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that the answer has for this."""
        again = {"retry-after": str(self.again)} if self.again else {}
        return again | ({"connection": "close"} if self.close else {})


class Left(Exception):
    """The client has gone: nobody waits for an answer."""
