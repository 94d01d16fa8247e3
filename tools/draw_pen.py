"""A pen that draws smooth shapes in a figure's own units, with shading and glow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]
Point = tuple[float, float]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Look:
    """The colours of one figure; the knight shows no skin and no hair."""

    body: Colour
    cloak: Colour
    light: Colour
    skin: Colour = WHITE
    hair: Colour = WHITE


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour at the given share of the way from one colour to another."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def ray(start: Point, degrees: float, length: float) -> Point:
    """Return the point at a distance from the start; 0 degrees is down, 90 is to the right."""
    angle = math.radians(degrees)
    return start[0] + length * math.sin(angle), start[1] + length * math.cos(angle)


def rounded(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """Return a closed Catmull-Rom curve through the points."""
    curve = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        for t in (step / steps for step in range(steps)):
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3,
                       t + 4 * t**2 - 3 * t**3, t**3 - t**2)  # fmt: skip
            pairs = list(zip(weights, (a, b, c, d), strict=True))
            curve.append((sum(w * p[0] for w, p in pairs) / 2, sum(w * p[1] for w, p in pairs) / 2))
    return curve


class Pen:
    """A pen that draws in a figure's units on a transparent layer, and light on a separate mask."""

    def __init__(self, size: tuple[int, int], place: Point = (0, 0), scale: float = 1) -> None:
        self.layer = Image.new("RGBA", size)
        self.light = Image.new("L", size)
        self.place, self.scale = place, scale
        self.anchor: Point = (0, 0)
        self.tilt = 0.0
        self.mirror = 1

    def at(self, point: Point) -> Point:
        """Return the pixel of a point given in the figure's units."""
        x, y = (point[0] - self.anchor[0]) * self.mirror, point[1] - self.anchor[1]
        sin, cos = math.sin(self.tilt), math.cos(self.tilt)
        return (
            self.place[0] + self.scale * (x * cos - y * sin),
            self.place[1] + self.scale * (x * sin + y * cos),
        )

    def shape(self, points: Sequence[Point], fill: Colour, light: bool = False) -> None:
        """Fill a polygon, and light it if `light`."""
        pixels = [self.at(point) for point in points]
        ImageDraw.Draw(self.layer).polygon(pixels, fill=fill)
        if light:
            ImageDraw.Draw(self.light).polygon(pixels, fill=255)

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a smooth outline through the points."""
        self.shape(rounded(points), fill)

    def oval(self, centre: Point, rx: float, ry: float, fill: Colour, degrees: float = 0) -> None:
        """Fill an ellipse turned by some degrees."""
        sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        turns = [math.tau * i / 28 for i in range(28)]
        ring = [(rx * math.cos(turn), ry * math.sin(turn)) for turn in turns]
        x, y = centre
        self.shape([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in ring], fill)

    def line(
        self, points: Sequence[Point], width: float, fill: Colour, light: bool = False
    ) -> None:
        """Draw a line with round ends and joints."""
        for start, end in pairwise(points):
            dx, dy = end[0] - start[0], end[1] - start[1]
            length = math.hypot(dx, dy) or 1
            x, y = -dy / length * width / 2, dx / length * width / 2
            sides = [(start[0] + x, start[1] + y), (end[0] + x, end[1] + y),
                     (end[0] - x, end[1] - y), (start[0] - x, start[1] - y)]  # fmt: skip
            self.shape(sides, fill, light)
        for point in points:
            self.oval(point, width / 2, width / 2, fill)

    def flake(self, centre: Point, radius: float, fill: Colour, degrees: float = 0) -> None:
        """Draw a snowflake with six branched arms."""
        for arm in range(6):
            angle = degrees + 60 * arm
            self.line([centre, ray(centre, angle, radius)], radius * 0.14, fill)
            fork = ray(centre, angle, radius * 0.55)
            for side in (-50, 50):
                self.line([fork, ray(fork, angle + side, radius * 0.36)], radius * 0.12, fill)

    def stamp(self, picture: Image.Image, look: Look, rim: Colour) -> Image.Image:
        """Return the picture with the figure, its glow, a lit edge and shading from one side."""
        box, alpha = self.layer.getbbox(), self.layer.getchannel("A")
        if box is None:
            return picture
        slope = Image.linear_gradient("L").rotate(90).resize((box[2] - box[0], box[3] - box[1]))
        shade = Image.new("RGB", picture.size, WHITE)
        shade.paste(ImageOps.colorize(slope, WHITE, (165, 165, 185)), box)
        body = ImageChops.multiply(self.layer.convert("RGB"), shade)
        body.putalpha(alpha)
        width = max(2, round(self.scale * 0.008))
        edge = ImageChops.subtract(alpha, ImageChops.offset(alpha, width, width))
        edge = ImageChops.darker(edge, alpha).point(lambda value: value * 0.55)
        glow = self.light.filter(ImageFilter.GaussianBlur(self.scale * 0.03))
        halo = alpha.filter(ImageFilter.GaussianBlur(self.scale * 0.03))
        picture = _tinted(picture, rim, halo.point(lambda value: value * 0.4))
        picture = _tinted(picture, look.light, glow.point(lambda value: min(255, value * 1.6)))
        picture = _tinted(Image.alpha_composite(picture, body), rim, edge)
        return _tinted(picture, look.light, glow.point(lambda value: value * 0.35))


def _tinted(picture: Image.Image, colour: Colour, mask: Image.Image) -> Image.Image:
    """Return the picture with a colour over it where the mask is light."""
    veil = Image.new("RGBA", picture.size, colour)
    veil.putalpha(mask)
    return Image.alpha_composite(picture, veil)
