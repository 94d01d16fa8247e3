"""Bound the memory that a GraphDef would take, from its bytes, before a parser builds it.

An empty message is two bytes but takes a hundred in memory: 20 MB of them take 2 GB. Most of a
sound graph is the values of its constants, which take no more memory than bytes. The format is
protobuf's (protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Callable

from tensor_guess.errors import UserError
from tensor_guess.graphs.allowed import MAX_CONSTANT

# The most nodes that a graph may have.
MAX_NODES = 20_000
# Bytes besides the values of constants; so few cannot take too much memory. EfficientNetV2-L has
# 0.4 MB.
_MAX_PLAIN = 1_500_000
# Fields, if there are more bytes than that: a TF Hub module has up to 6 MB of long names.
_MAX_FIELDS = 300_000
# Fields of the graph, and of those of its nodes that are longer than a window.
_MAX_LARGE = 200_000
_WINDOW = 4096

Fetch = Callable[[int, int], bytes]  # (position, length) -> that many bytes, or fewer at the end

# message -> its fields that are messages or lists of strings (graph.proto, node_def.proto,
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
# Fields of a tensor: bytes, and lists of numbers of a fixed width.
_CONTENT = {4, 5, 6}
_LIBRARY = 2


class _Damaged(Exception):
    """The bytes are not a message."""


class _TooMuch(Exception):
    """There are more fields than are allowed."""


def check(fetch: Fetch, size: int, name: str) -> None:
    """Raise UserError if `size` bytes are not a GraphDef, or would take far more memory parsed.

    `fetch` returns them piece by piece; those of large constants are not read. `name` is for the
    message.
    """
    try:
        plain = _Walk(fetch, name, _MAX_LARGE, deep=False).walk(size)
        if plain > _MAX_PLAIN:
            _Walk(fetch, name, _MAX_FIELDS, deep=True).walk(size)
    except _Damaged as error:
        raise damaged(name) from error
    except _TooMuch as error:
        raise UserError(
            f"{name} is refused: apart from its weights, it is larger than any network needs; "
            "get it again"
        ) from error


def damaged(name: str) -> UserError:
    """Return the error to raise if the bytes of `name` are not a GraphDef."""
    return UserError(f"{name} is not a frozen graph, or is damaged; get it again or train again")


class _Walk:
    """A walk over the fields of a graph, entering short messages only if `deep`."""

    def __init__(self, fetch: Fetch, name: str, fields: int, *, deep: bool) -> None:
        self._fetch, self._name, self._left, self._deep = fetch, name, fields, deep
        self._start, self._window = 0, b""
        self._plain = self._nodes = 0

    def walk(self, size: int) -> int:
        """Return how many bytes are no constants' values. Raise _Damaged, _TooMuch or UserError."""
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
            raise UserError(f"{self._name} has too many nodes; at most {MAX_NODES} are allowed")
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
