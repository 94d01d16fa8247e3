"""Write the list, and its page in docs/, of what TensorFlow 1.15 knows of the allowed ops.

Usage: tools/list_tf1_ops.py WHEEL      of TensorFlow 1.15, which is only read and never run
"""

import ast
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.op_def_pb2 import OpDef, OpList
from tensorboard.compat.proto.types_pb2 import DataType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tensor_guess.graphs.allowed import ALLOWED_OPS  # noqa: E402  # needs the path

PAGE = ROOT / "docs" / "tf1_ops.md"
LIST = ROOT / "src" / "tensor_guess" / "graphs" / "tf1_ops.txt"
# TensorFlow 1's Python wrappers of its ops; each file ends with the definitions of its ops.
_WRAPPERS = "tensorflow_core/python/ops/gen_"
_REGISTER = "_InitOpDefLibrary"
_HEADING = """\
# What TensorFlow 1.15 knows

Every op that a graph may have, with its attributes. A classifier's graph has no others, and none
that is at its default (docs/frozen_graph.md). From the op definitions in the wheel of TensorFlow
1.15.5 (Linux, Python 3.7); written by `tools/list_tf1_ops.py`.

| op | attribute | type | default |
|---|---|---|---|
"""


def definitions(wheel: Path) -> Iterator[OpDef]:
    """Yield every op that the wheel's Python wrappers define."""
    with zipfile.ZipFile(wheel) as files:
        for name in sorted(files.namelist()):
            if not name.startswith(_WRAPPERS):
                continue
            for node in ast.walk(ast.parse(files.read(name))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == _REGISTER:
                    yield from OpList.FromString(ast.literal_eval(node.args[0])).op


def lines(op: OpDef) -> Iterator[str]:
    """Yield a line for each attribute: op, attribute, type, and the default if any (JSON)."""
    for attribute in op.attr:
        words = [op.name, attribute.name, attribute.type]
        if attribute.HasField("default_value"):
            words.append(_text(attribute.default_value))
        yield " ".join(words)
    if not op.attr:
        yield str(op.name)


def _text(value: AttrValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "type":
        return json.dumps(DataType.Name(value.type))
    if kind == "shape":
        assert value.shape.unknown_rank
        return json.dumps("any")
    if kind == "s":
        return json.dumps(value.s.decode())
    if kind == "list":
        return json.dumps(list(value.list.i))
    if kind == "f":
        return f"{value.f:.7g}"  # as many digits as a float32 has
    return json.dumps(value.b if kind == "b" else value.i)


def page(rows: Sequence[str]) -> str:
    """Return the page in docs/ that shows these lines."""
    cells = ((row.split(maxsplit=3) + [""] * 3)[:4] for row in rows)
    return _HEADING + "".join(f"| {' | '.join(row)} |\n".replace("  |", " |") for row in cells)


def main(wheel: Path) -> None:
    """Write the list and the page, or exit and name the ops that the wheel does not define."""
    known = {op.name: op for op in definitions(wheel)}
    missing = sorted(ALLOWED_OPS - set(known))
    if missing:
        sys.exit(f"{wheel} does not define {', '.join(missing)}")
    rows = [line for name in sorted(ALLOWED_OPS) for line in lines(known[name])]
    LIST.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    PAGE.write_text(page(rows), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
