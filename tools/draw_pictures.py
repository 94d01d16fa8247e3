"""Draw the sample pictures: two folders to learn from, and a dozen pictures to sort.

The script draws the same bytes every time: everything random comes from a generator that is seeded
with the name of the picture.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from PIL import Image

from draw_figures import Pose, knight, queen
from draw_pen import Colour, Look, Pen
from draw_scenes import SCENES, Size, shadowed, snowfall

ROOT = Path(__file__).resolve().parent.parent
DETAIL = 3  # pictures are drawn this much larger, so that shrinking them smooths every edge
SIZES = ((240, 180), (180, 240), (200, 200), (256, 176), (176, 256), (220, 196), (164, 216))
FRAMES = (0.8, 1.55, 0.62, 2.3, 0.78, 1.15, 0.46)  # a figure's height / its picture's height
FIGURES = {"dark_knight": knight, "snow_queen": queen}
AMBIGUOUS = {("dark_knight", 17), ("dark_knight", 33), ("snow_queen", 12), ("snow_queen", 28)}
TRAINING = 40
KINDS = {6: "png", 11: "webp", 20: "cmyk", 25: "png", 30: "webp", 35: "turned", 38: "grey"}
# What each picture to sort shows, its scene, the height of its figure, and how it is stored.
TO_SORT = {
    "photo01.jpg": ("dark_knight", 4, 0.78, "jpeg"),
    "photo02.png": ("snow_queen", None, 0.86, "png"),
    "photo03.webp": ("dark_knight", 3, 1.15, "webp"),
    "photo04.avif": ("snow_queen", 5, 0.8, "avif"),
    "photo05.jpg": ("snow_queen", 4, 1.55, "cmyk"),
    "photo06.jpg": ("dark_knight", 6, 0.8, "turned"),
    "photo07.gif": ("dark_knight", 2, 2.3, "gif"),
    "photo08.jpg": ("snow_queen", 6, 1.15, "grey"),
    "photo09.jpg": ("dark_knight", 5, 0.7, "png"),
    "photo10.jpeg": ("disguised", 2, 0.84, "jpeg"),
    "photo11.jpg": ("halves", 6, 0.8, "jpeg"),
    "photo12.JPG": ("both", 1, 0.74, "jpeg"),
}
# For each category, the colours of body, cloak and light, and of skin and hair if they show.
# fmt: off
WARDROBE: dict[str, list[list[Colour]]] = {
    "dark_knight": [
        [(44, 47, 60), (36, 36, 42), (52, 42, 62), (34, 50, 60), (58, 50, 48)],
        [(92, 24, 40), (52, 40, 104), (24, 66, 66), (34, 34, 44), (98, 58, 30), (30, 48, 96)],
        [(110, 255, 170), (196, 130, 255), (255, 190, 80), (90, 225, 255), (200, 250, 90)],
    ],
    "snow_queen": [
        [(140, 196, 242), (176, 212, 248), (112, 170, 228), (206, 228, 250), (134, 208, 226),
         (190, 186, 240)],
        [(226, 236, 250), (170, 200, 240), (120, 160, 220), (196, 204, 244)],
        [(170, 225, 255)],
        [(252, 222, 200), (240, 202, 174), (212, 164, 132), (255, 230, 214)],
        [(246, 214, 122), (252, 228, 154), (236, 194, 100), (255, 236, 176)],
    ],
}
# fmt: on
EDGES: dict[str, Colour] = {"dark_knight": (232, 240, 255), "snow_queen": (88, 112, 170)}


@dataclass(frozen=True)
class Role:
    """A figure's role in a picture: its height and place, as fractions of the picture's size.

    An odd one wears the other figure's colours and is seen from behind.
    """

    category: str
    frame: float
    x: float = 0.5
    odd: bool = False


def random_look(category: str, rng: Random) -> Look:
    """Return random colours for a figure, from those of its category."""
    return Look(*(rng.choice(colours) for colours in WARDROBE[category]))


def swapped(category: str, look: Look) -> Look:
    """Return the figure's look in the colours of the other one."""
    if category == "dark_knight":
        return replace(look, body=(150, 164, 188), cloak=(206, 222, 244), light=(170, 225, 255))
    return replace(look, body=(44, 48, 78), cloak=(30, 32, 54))


def random_pose(rng: Random, frame: float, back: bool = False) -> Pose:
    """Return a random pose; in a close view the arms are up, so hands and sword stay in sight."""
    low, high = (95, 135) if frame > 1.3 else (20, 135)
    arms = (15 + 90 * rng.random(), low + (high - low) * rng.random())
    bend, turn, wind = 15 + 45 * rng.random(), 2 * rng.random() - 1, 0.24 * rng.random() - 0.12
    return Pose(arms, bend, turn, wind, blade=150 + 50 * rng.random(), back=back)


def placed_pen(size: Size, role: Role, rng: Random) -> Pen:
    """Return a pen for a figure that stands on the ground or, if too tall for that, is cut off."""
    (wide, high), frame, x = size, role.frame, role.x
    pen = Pen(size, (wide * x, high * 0.95), frame * high)
    if frame > 1:
        pen.scale = frame * min(wide, high)
        pen.anchor, pen.place = (0, -0.8), (wide * x, high * (0.5 if frame > 2 else 0.46))
    elif frame < 0.7:
        pen.place = (wide * x, high * 0.9)
    pen.tilt = 0.24 * (rng.random() - 0.5)
    pen.mirror = rng.choice((-1, 1))
    return pen


def with_figure(picture: Image.Image, role: Role, rng: Random) -> Image.Image:
    """Return the picture with one figure in it, and its shadow on the ground."""
    look = random_look(role.category, rng)
    pose = random_pose(rng, role.frame, back=role.odd)
    if role.odd:
        look = swapped(role.category, look)
    pen = placed_pen(picture.size, role, rng)
    FIGURES[role.category](pen, look, pose, rng)
    picture = shadowed(picture, *pen.at((0, 0)), pen.scale * 0.3)
    return pen.stamp(picture, look, EDGES[role.category])


def grained(picture: Image.Image, rng: Random, share: float) -> Image.Image:
    """Return the picture with some noise, like a photo in poor light."""
    grain = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    return Image.blend(picture, grain.convert("RGB"), share)


def training_picture(category: str, number: int, rng: Random) -> Image.Image:
    """Return a picture to learn from; its number decides scene and frame in both categories."""
    size, odd = rng.choice(SIZES), (category, number) in AMBIGUOUS
    large = (size[0] * DETAIL, size[1] * DETAIL)
    scene = SCENES[2] if odd else SCENES[number % len(SCENES)]
    frame = 0.8 if odd else FRAMES[(number // len(SCENES) + number) % len(FRAMES)]
    x = 0.5 if frame > 1 else 0.38 + 0.24 * rng.random()
    picture = scene(large, rng).convert("RGBA")
    if category == "snow_queen" or number % 4 == 0:
        picture = snowfall(picture, rng, 14 if category == "snow_queen" else 4)
    picture = with_figure(picture, Role(category, frame, x, odd), rng)
    return picture.resize(size, Image.Resampling.LANCZOS).convert("RGB")


def picture_to_sort(kind: str, scene: int | None, frame: float, rng: Random) -> Image.Image:
    """Return a picture to sort, of a category or ambiguous; without a scene it is transparent."""
    size = rng.choice(SIZES) if kind in FIGURES else (232, 192)
    base = Image.new("RGBA", (size[0] * DETAIL, size[1] * DETAIL))
    if scene is not None:
        base = SCENES[scene](base.size, rng).convert("RGBA")
        base = snowfall(base, rng, 14 if kind == "snow_queen" else 2)
    if kind == "both":
        picture = with_figure(base, Role("dark_knight", frame, 0.29), rng)
        picture = with_figure(picture, Role("snow_queen", frame, 0.73), rng)
    elif kind == "halves":
        left, right = (with_figure(base, Role(category, frame), rng) for category in FIGURES)
        left.paste(right.crop((base.width // 2, 0, *base.size)), (base.width // 2, 0))
        picture = left
    elif kind == "disguised":
        picture = with_figure(base, Role("snow_queen", frame, odd=True), rng)
    else:
        picture = with_figure(base, Role(kind, frame), rng)
    return picture.resize(size, Image.Resampling.LANCZOS)


def save(picture: Image.Image, path: Path, kind: str) -> None:
    """Write a picture as one of the kinds that people have, whatever its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("png", "gif"):
        picture.save(path, kind, optimize=True)
    elif kind == "webp":
        picture.convert("RGB").save(path, "WEBP", quality=80, method=6)
    elif kind == "avif":
        # With more threads, machines may divide the picture differently and write other bytes.
        picture.convert("RGB").save(path, "AVIF", quality=70, speed=6, max_threads=1)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # stored lying on its left side; viewers turn it clockwise to show it
        lying = picture.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        lying.save(path, "JPEG", quality=82, exif=exif)
    else:
        mode = {"cmyk": "CMYK", "grey": "L"}.get(kind, "RGB")
        picture.convert(mode).save(path, "JPEG", quality=82)


def draw_all(out: Path) -> Iterator[Path]:
    """Draw every picture below a folder, and yield the paths written."""
    for category in FIGURES:
        for number in range(1, TRAINING + 1):
            rng = Random(f"{category} {number}")
            picture, kind = training_picture(category, number, rng), KINDS.get(number, "jpeg")
            if kind != "png":  # noise would make a lossless file several times as large
                picture = grained(picture, rng, 0.01 + 0.05 * rng.random())
            suffix = kind if kind in ("png", "webp") else "jpg"
            path = out / "tf_files" / "data" / category / f"{category}_{number:02}.{suffix}"
            save(picture, path, kind)
            yield path
    for name, (shown, scene, frame, kind) in TO_SORT.items():
        path = out / "test_data" / name
        save(picture_to_sort(shown, scene, frame, Random(name)), path, kind)
        yield path


def main() -> None:
    """Draw the pictures, and print how many there are and how large they are together."""
    parser = argparse.ArgumentParser(description="Draw the sample pictures of tensor-guess.")
    parser.add_argument("--out", type=Path, default=ROOT, help="draw below this folder instead")
    written = list(draw_all(parser.parse_args().out))
    print(f"{len(written)} pictures, {sum(path.stat().st_size for path in written):,} bytes")


if __name__ == "__main__":
    main()
