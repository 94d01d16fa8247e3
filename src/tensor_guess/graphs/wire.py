"""How much a GraphDef's bytes would become, told from the wire before a parser makes it.

Two bytes are an empty message, which takes a hundred in memory: 20 MB of such take 2 GB. What
weighs in a sound graph, the values of its constants, stays as large as it is. The format is
protobuf's (protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Callable

from tensor_guess.errors import UserError
from tensor_guess.graphs.allowed import MAX_CONSTANT

# How many nodes a graph may have.
MAX_NODES = 20_000
# Bytes besides the values of constants: so few cannot become too much. EfficientNetV2-L has 0.4 MB.
_MAX_PLAIN = 1_500_000
# Fields, if there are more bytes: a TF Hub module has up to 6 MB, of long names.
_MAX_FIELDS = 300_000
# Fields of the graph, and of its nodes that are longer than a window.
_MAX_LARGE = 200_000
_WINDOW = 4096

Fetch = Callable[[int, int], bytes]  # (position, length) -> so many bytes, or fewer at the end

# message -> its fields that are messages, or strings of a list (graph.proto, node_def.proto,
# attr_value.proto, tensor.proto, tensor_shape.proto, function.proto)
_MESSAGES: dict[str, dict[int, str]] = {
    "graph": {1: "node", 2: "library", 4: "leaf"},
    "node": {5: "entry", 6: "leaf"},
    "entry": {2: "value"},
    "value": {1: "list", 7: "shape", 8: "tensor", 10: "function"},
    "list": {7: "shape", 8: "tensor", 9: "function"},
    "tensor": {2: "shape", 14: "leaf", 15: "leaf"},
    "shape": {2: "leaf"},
    "function": {2: "entry"},
}
# Of a tensor: bytes, and lists of numbers of a fixed width.
_CONTENT = {4, 5, 6}
_LIBRARY = 2


class _Damaged(Exception):
    """The bytes are no message."""


class _TooMuch(Exception):
    """There is more than was looked for."""


def check(fetch: Fetch, size: int, name: str) -> None:
    """Raise UserError if `size` bytes are no GraphDef, or parsing them would take much more memory.

    `fetch` gives them, piece by piece: those of large constants are not looked at. `name` is for
    the message.
    """
    try:
        plain = _Walk(fetch, name, _MAX_LARGE, deep=False).walk(size)
        if plain > _MAX_PLAIN:
            _Walk(fetch, name, _MAX_FIELDS, deep=True).walk(size)
    except _Damaged as error:
        raise damaged(name) from error
    except _TooMuch as error:
        raise UserError(
            f"{name} is refused: besides its weights it has more than any network needs; "
            "get it again"
        ) from error


def damaged(name: str) -> UserError:
    """What is raised if the bytes of `name` are no GraphDef."""
    return UserError(f"{name} is not a frozen graph, or is damaged; get it again or train again")


class _Walk:
    """Looks at the fields of a graph, those of short messages only if it goes `deep`."""

    def __init__(self, fetch: Fetch, name: str, fields: int, *, deep: bool) -> None:
        self._fetch, self._name, self._left, self._deep = fetch, name, fields, deep
        self._start, self._window = 0, b""
        self._plain = self._nodes = 0

    def walk(self, size: int) -> int:
        """The bytes that are no values of constants. Raises _Damaged, _TooMuch or UserError."""
        self._message("graph", 0, size)
        return self._plain

    def _message(self, kind: str, at: int, end: int) -> None:
        parts = _MESSAGES.get(kind, {})
        while at < end:
            before = at
            tag, at = self._varint(at)
            number, wire = tag >> 3, tag & 7
            if wire == 2:
                length, at = self._varint(at)
            elif wire == 0:
                _, after = self._varint(at)
                length = after - at
            else:
                length = {1: 8, 5: 4}.get(wire, -1)
            if number == 0 or length < 0 or at + length > end:
                raise _Damaged
            self._left -= 1
            if self._left < 0:
                raise _TooMuch
            self._plain += at - before
            if kind == "graph":
                self._count(number, length)
            if number in parts and wire == 2 and (self._deep or length > _WINDOW):
                self._message(parts[number], at, at + length)
            elif kind != "tensor" or number not in _CONTENT:
                self._plain += length
            elif length > MAX_CONSTANT:
                limit = MAX_CONSTANT // 1_000_000
                raise UserError(f"{self._name} is refused: a constant has more than {limit} MB")
            at += length

    def _count(self, number: int, length: int) -> None:
        self._nodes += number == 1
        if self._nodes > MAX_NODES:
            raise UserError(f"{self._name} has more nodes than are read (at most {MAX_NODES})")
        if number == _LIBRARY and length > _WINDOW:
            raise UserError(
                f"{self._name} has library functions, which a frozen graph does not need"
            )

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while shift < 70:
            place = at - self._start
            if not 0 <= place < len(self._window):
                self._start, self._window, place = at, self._fetch(at, _WINDOW), 0
                if not self._window:
                    raise _Damaged
            byte = self._window[place]
            at += 1
            if byte < 0x80:
                return value | byte << shift, at
            value |= (byte & 0x7F) << shift
            shift += 7
        raise _Damaged
