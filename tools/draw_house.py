"""Draw docs/house.svg: the package's folders, and which imports which, from the code itself.

Usage: tools/draw_house.py
"""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tensor_guess"
PICTURE = ROOT / "docs" / "house.svg"

Arrows = Counter[tuple[str, str]]

_WIDTH, _ROW, _LEFT, _BOX, _TOP = 720, 44, 60, 150, 20


@cache
def modules() -> dict[str, Path]:
    """Return each module by its name inside the package: `graphs.own`, `config`."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in paths
        if path.name != "__init__.py"
    }


@cache
def imports(path: Path, *, at_top: bool = False) -> set[str]:
    """Return what a module imports: ours by name inside the package, others by their first name.

    `at_top`: only what is imported as soon as the module is.
    """
    tree, known = ast.parse(path.read_text("utf-8")), modules()
    found = set()
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            first, _, rest = (node.module or "").partition(".")
            if first != "tensor_guess":
                found.add(first)
                continue
            for each in node.names:
                inside = f"{rest}.{each.name}".lstrip(".")
                found |= {name for name in (rest, inside) if name in known}
    return found


def folders() -> list[str]:
    """Return the folders in the order of the table in docs/design.md, which is the data flow."""
    table = (ROOT / "docs" / "design.md").read_text("utf-8").partition("| folder |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return [row.split("`")[1].rstrip("/") for row in rows]


def arrows() -> Arrows:
    """Return how many imports lead from one folder's modules to another's."""
    found = Arrows()
    for name, path in modules().items():
        folder = name.partition(".")[0]
        for other in imports(path):
            if other in modules() and "." in name and "." in other:
                found[folder, other.partition(".")[0]] += 1
    return Arrows({pair: count for pair, count in found.items() if pair[0] != pair[1]})


def drawing() -> str:
    """Return the SVG: a box for each folder, and an arc from each folder to each it imports."""
    names, counts = folders(), Counter(name.partition(".")[0] for name in modules())
    height = 2 * _TOP + _ROW * len(names)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="14">',
        "<title>The folders of tensor_guess; an arc leads up to each that is imported</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for (importing, imported), count in sorted(arrows().items()):
        start, end = names.index(importing), names.index(imported)
        y1, y2 = (_TOP + _ROW * at + _ROW // 2 for at in (start, end))
        reach = _LEFT + _BOX + 40 * abs(start - end)
        out.append(
            f'<path d="M{_LEFT + _BOX} {y1} C{reach} {y1} {reach} {y2} {_LEFT + _BOX} {y2}" '
            f'fill="none" stroke="#4573b3" stroke-opacity=".45" '
            f'stroke-width="{1 + count / 8:.2f}"/>'
        )
    for at, name in enumerate(names):
        y = _TOP + _ROW * at
        out += [
            f'<rect x="{_LEFT}" y="{y + 6}" width="{_BOX}" height="{_ROW - 12}" rx="6" '
            'fill="#eef3fa" stroke="#4573b3"/>',
            f'<text x="{_LEFT + 12}" y="{y + _ROW // 2 + 5}" fill="#16202c">{name}/</text>',
            f'<text x="{_LEFT - 10}" y="{y + _ROW // 2 + 5}" fill="#6b7785" text-anchor="end">'
            f"{counts[name]}</text>",
        ]
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(drawing(), "utf-8")
