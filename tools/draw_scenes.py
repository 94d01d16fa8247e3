"""Draw the scenes of the sample pictures; both figures share all of them."""

from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from draw_pen import BLACK, WHITE, Colour, Pen, mix, rounded

Size = tuple[int, int]

SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((96, 150, 214), (222, 236, 246)),
    ((92, 80, 150), (250, 186, 150)),
    ((24, 30, 74), (96, 108, 170)),
    ((150, 176, 206), (236, 232, 226)),
    ((60, 110, 130), (200, 226, 206)),
    ((120, 60, 100), (246, 160, 110)),
)
PLAIN: tuple[Colour, ...] = (
    (238, 224, 196), (196, 214, 190), (176, 196, 224), (226, 190, 180), (150, 142, 168),
    (92, 120, 128),
)  # fmt: skip


def _slope(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    """Return a picture that fades from one colour at the top to another at the bottom."""
    return ImageOps.colorize(Image.linear_gradient("L").resize(size), top, bottom)


def _hills(picture: Image.Image, height: float, fill: Colour, rng: Random) -> None:
    """Draw a soft range of hills from a height (0 top, 1 bottom) down to the lower edge."""
    wide, high = picture.size
    ridge = [(wide * (i / 5), high * (height + 0.07 * (rng.random() - 0.5))) for i in range(-1, 7)]
    low = [(wide * 1.4, high * 1.4), (-wide * 0.4, high * 1.4)]
    ImageDraw.Draw(picture).polygon(rounded([*ridge, *low], 16), fill=fill)


def plain(size: Size, rng: Random) -> Image.Image:
    """Draw a wall of one colour, lighter in the middle."""
    colour = rng.choice(PLAIN)
    middle = ImageOps.invert(Image.radial_gradient("L")).resize(size)
    return ImageOps.colorize(middle, mix(colour, BLACK, 0.22), mix(colour, WHITE, 0.35))


def fade(size: Size, rng: Random) -> Image.Image:
    """Draw a bare sky above flat ground."""
    top, bottom = rng.choice(SKIES)
    picture = _slope(size, top, bottom)
    ImageDraw.Draw(picture).rectangle(
        (0, round(size[1] * 0.8), *size), fill=mix(bottom, (90, 100, 90), 0.45)
    )
    return picture


def night(size: Size, rng: Random) -> Image.Image:
    """Draw stars and a moon above dark hills."""
    wide, high = size
    picture = _slope(size, (16, 20, 52), (74, 84, 140))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        place = (rng.random() * wide, rng.random() * high * 0.7)
        draw.circle(place, high * (0.002 + 0.004 * rng.random()), fill=(250, 244, 214))
    moon = (wide * rng.choice((0.16, 0.82)), high * (0.14 + 0.1 * rng.random()))
    for radius, share in ((0.13, 0.2), (0.1, 0.4), (0.075, 1.0)):
        draw.circle(moon, high * radius, fill=mix((40, 48, 96), (255, 246, 210), share))
    draw.circle((moon[0] + high * 0.02, moon[1]), high * 0.018, fill=(236, 222, 180))
    _hills(picture, 0.7, (52, 58, 104), rng)
    _hills(picture, 0.82, (38, 44, 82), rng)
    return picture


def snow(size: Size, rng: Random) -> Image.Image:
    """Draw hills under snow below a winter sky."""
    picture = _slope(size, *rng.choice(SKIES))
    for height, fill in ((0.56, (176, 194, 222)), (0.66, (204, 218, 238)), (0.8, (234, 241, 250))):
        _hills(picture, height + 0.05 * rng.random(), fill, rng)
    return picture


def castle(size: Size, rng: Random) -> Image.Image:
    """Draw a castle with lit windows against the sky."""
    wide, high = size
    top, bottom = rng.choice(SKIES)
    picture = _slope(size, top, bottom)
    draw, wall = ImageDraw.Draw(picture), mix(mix(top, bottom, 0.4), (40, 36, 66), 0.6)
    _hills(picture, 0.62, mix(bottom, wall, 0.4), rng)
    for i, tower in enumerate((0.08, 0.27, 0.5, 0.74, 0.92)):
        x, half = wide * tower, wide * (0.045 + 0.02 * rng.random())
        peak = high * (0.14 + 0.24 * rng.random())
        draw.rectangle((x - half, peak, x + half, high), fill=wall)
        roof = [(x - half * 1.35, peak), (x, peak - half * 2.2), (x + half * 1.35, peak)]
        draw.polygon(roof, fill=mix(wall, (120, 50, 70), 0.35))
        for storey in range(1 + i % 2):
            y = peak + high * (0.07 + 0.13 * storey)
            window = (x - half * 0.25, y, x + half * 0.25, y + half * 0.8)
            draw.rounded_rectangle(window, half * 0.24, fill=(255, 214, 130))
    draw.rectangle((0, high * 0.55, wide, high), fill=wall)
    for i in range(0, 24, 2):
        draw.rectangle((wide * i / 24, high * 0.52, wide * (i + 1) / 24, high * 0.56), fill=wall)
    _hills(picture, 0.83, mix(wall, (130, 150, 120), 0.45), rng)
    return picture


def forest(size: Size, rng: Random) -> Image.Image:
    """Draw three rows of fir trees that fade into mist."""
    wide, high = size
    picture = _slope(size, *rng.choice(SKIES))
    for row, fill in enumerate(((138, 168, 164), (90, 130, 120), (52, 92, 82))):
        for i in range(9 - row):
            x = wide * (i + rng.random()) / (8 - row)
            foot, tall = high * (0.7 + 0.07 * row), high * (0.34 + 0.14 * rng.random())
            for step in range(3):
                peak, half = foot - tall * (1 - 0.24 * step), tall * (0.11 + 0.055 * step)
                sides = [(x - half, peak + tall * 0.44), (x, peak), (x + half, peak + tall * 0.44)]
                ImageDraw.Draw(picture).polygon(sides, fill=fill)
    _hills(picture, 0.82, rng.choice(((108, 138, 92), (226, 234, 242), (140, 118, 88))), rng)
    return picture


def room(size: Size, rng: Random) -> Image.Image:
    """Draw a room with panels, a window, a picture on the wall and a wooden floor."""
    wide, high = size
    paper, shift = rng.choice(PLAIN), rng.choice((0.0, 0.52))
    picture = _slope(size, mix(paper, BLACK, 0.12), mix(paper, WHITE, 0.2))
    draw = ImageDraw.Draw(picture)
    for i in range(0, 16, 2):
        stripe = (wide * i / 16, 0, wide * (i + 1) / 16, high)
        draw.rectangle(stripe, fill=mix(paper, WHITE, 0.12))
    left, right = wide * (0.1 + shift), wide * (0.38 + shift)
    draw.rectangle((left, high * 0.1, right, high * 0.55), fill=(250, 244, 230))
    pane = (left + wide * 0.02, high * 0.13, right - wide * 0.02, high * 0.52)
    draw.rectangle(pane, fill=mix(*rng.choice(SKIES), 0.5))
    draw.line(
        ((left + right) / 2, pane[1], (left + right) / 2, pane[3]), (250, 244, 230), wide // 70
    )
    draw.line((left, high * 0.3, right, high * 0.3), (250, 244, 230), wide // 70)
    frame = (wide * (0.68 - shift), high * 0.16, wide * (0.86 - shift), high * 0.36)
    draw.rectangle(frame, fill=(150, 104, 62))
    draw.ellipse([v + d for v, d in zip(frame, (9, 9, -9, -9), strict=True)], fill=(224, 204, 150))
    for i in range(6):
        plank = (0, high * (0.78 + 0.04 * i), wide, high)
        draw.rectangle(plank, fill=mix((156, 112, 74), (120, 82, 54), i / 5 if i % 2 else 0.1))
    draw.rectangle((0, high * 0.755, wide, high * 0.785), fill=(244, 236, 222))
    return picture


SCENES: tuple[Callable[[Size, Random], Image.Image], ...] = (
    plain, fade, night, snow, castle, forest, room,
)  # fmt: skip


def shadowed(picture: Image.Image, x: float, y: float, width: float) -> Image.Image:
    """Return the picture with a soft shadow on the ground at (x, y)."""
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).ellipse((x - width, y - width / 6, x + width, y + width / 6), fill=110)
    dark = Image.new("RGBA", picture.size, (20, 24, 50))
    dark.putalpha(mask.filter(ImageFilter.GaussianBlur(width / 9)))
    return Image.alpha_composite(picture, dark)


def snowfall(picture: Image.Image, rng: Random, flakes: int) -> Image.Image:
    """Return the picture behind falling snow, some of it in large flakes."""
    (wide, high), pen = picture.size, Pen(picture.size)
    for i in range(flakes * 4):
        place = (wide * rng.random(), high * rng.random())
        if i % 4:
            pen.oval(place, high * 0.007, high * 0.007, WHITE)
        else:
            pen.flake(place, high * (0.02 + 0.03 * rng.random()), WHITE, 60 * rng.random())
    pen.layer.putalpha(pen.layer.getchannel("A").point(lambda value: value * 0.85))
    return Image.alpha_composite(picture, pen.layer)
