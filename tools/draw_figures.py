"""Draw the two figures of the sample pictures: a dark knight and a snow queen.

Each has its own units: the feet are at (0, 0), the top of the head is near (0, -1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import ImageDraw

from draw_pen import BLACK, WHITE, Colour, Look, Pen, Point, mix, ray


@dataclass(frozen=True)
class Pose:
    """How a figure stands; `arms`, `bend` and `blade` are in degrees, 0 is down."""

    arms: tuple[float, float]
    bend: float
    turn: float
    wind: float
    blade: float
    back: bool = False


def _arm(side: int, degrees: float, bend: float) -> list[Point]:
    """Return shoulder, elbow and hand of the arm on one side (-1 or 1)."""
    shoulder = (side * 0.115, -0.6)
    elbow = ray(shoulder, side * degrees, 0.13)
    return [shoulder, elbow, ray(elbow, side * (degrees + bend), 0.13)]


def knight(pen: Pen, look: Look, pose: Pose, rng: Random) -> None:
    """Draw a dark knight: closed helm, plume, ragged cape and a shining sword."""
    dark, pale = mix(look.body, BLACK, 0.4), mix(look.body, WHITE, 0.22)
    cape = _ragged_cape(pose, rng)
    pen.shape(cape, mix(look.cloak, BLACK, 0.35))
    for x in (-0.075, 0.075):
        pen.line([(x, -0.32), (x * 1.2, -0.06)], 0.095, dark)
        pen.blob([(x * 1.2 - 0.06, 0), (x * 1.2 - 0.05, -0.1), (x * 1.2 + 0.05, -0.1),
                  (x * 1.2 + 0.065, 0)], look.body)  # fmt: skip
        pen.oval((x * 1.1, -0.19), 0.04, 0.05, pale)
    pen.blob([(-0.12, -0.64), (0.12, -0.64), (0.105, -0.42), (0.16, -0.24), (0, -0.2),
              (-0.16, -0.24), (-0.105, -0.42)], look.body)  # fmt: skip
    pen.shape(
        [(-0.04, -0.38), (0.04, -0.38), (0.055, -0.2), (0, -0.16), (-0.055, -0.2)], look.cloak
    )
    pen.line([(-0.1, -0.4), (0.1, -0.4)], 0.04, dark)
    pen.shape([(0, -0.44), (0.03, -0.4), (0, -0.36), (-0.03, -0.4)], look.light)
    pen.shape([(0, -0.6), (0.045, -0.53), (0, -0.46), (-0.045, -0.53)], pale)
    pen.shape([(0, -0.57), (0.025, -0.53), (0, -0.49), (-0.025, -0.53)], look.light, light=True)
    arms = [_arm(side, angle, pose.bend) for side, angle in zip((-1, 1), pose.arms, strict=True)]
    _sword(pen, arms[1][2], pose.blade, look)
    for shoulder, elbow, hand in arms:
        pen.line([shoulder, elbow, hand], 0.075, dark)
        pen.line([elbow, hand], 0.088, look.body)
        pen.oval(hand, 0.05, 0.05, pale)
    if pose.back:
        pen.shape(cape, look.cloak)
        for x in (-0.09, 0.0, 0.08):
            foot = (x * 2.2 + pose.wind * 0.8, -0.16)
            pen.line([(x, -0.58), foot], 0.016, mix(look.cloak, BLACK, 0.3))
    for side in (-1, 1):
        pen.oval((side * 0.135, -0.625), 0.085, 0.06, look.body, side * 25)
        pen.oval((side * 0.14, -0.64), 0.055, 0.03, pale, side * 25)
    _helm(pen, look, pose)


def _ragged_cape(pose: Pose, rng: Random) -> list[Point]:
    """Return the outline of a cape that blows in the wind and ends in rags."""
    hem: list[Point] = []
    for i in range(11):
        x = -0.32 + 0.064 * i + pose.wind
        hem.append((x, -0.03 - (0.09 + 0.05 * rng.random() if i % 2 else 0.0)))
    left, right = (-0.22 + pose.wind * 0.4, -0.35), (0.22 + pose.wind * 0.4, -0.35)
    return [(0.13, -0.66), (-0.13, -0.66), left, *hem, right]


def _sword(pen: Pen, hand: Point, degrees: float, look: Look) -> None:
    """Draw a broad, shining blade with guard and pommel."""
    tip, neck = ray(hand, degrees, 0.56), ray(hand, degrees, 0.5)
    root, pommel = ray(hand, degrees, 0.07), ray(hand, degrees, -0.07)
    sides = [[ray(point, degrees + turn, 0.024) for turn in (90, -90)] for point in (root, neck)]
    outline = [sides[0][0], sides[1][0], tip, sides[1][1], sides[0][1]]
    pen.shape(outline, look.light, light=True)
    pen.line([root, neck], 0.02, mix(look.light, WHITE, 0.8))
    pen.line([pommel, root], 0.026, (92, 70, 52))
    pen.line(
        [ray(root, degrees + 90, 0.075), ray(root, degrees - 90, 0.075)], 0.03, (196, 170, 110)
    )
    pen.oval(pommel, 0.024, 0.024, (196, 170, 110))


def _helm(pen: Pen, look: Look, pose: Pose) -> None:
    """Draw a bucket helm with a plume and, unless seen from behind, a shining slit."""
    dark, pale = mix(look.body, BLACK, 0.45), mix(look.body, WHITE, 0.28)
    feather, face = mix(look.cloak, WHITE, 0.16), pose.turn * 0.05
    sway = pose.wind * 0.5 - face
    pen.blob([(-0.025, -0.95), (0.02 + sway, -1.07), (0.09 + sway, -1.1), (0.17 + sway, -1.02),
              (0.2 + sway * 1.4, -0.88), (0.13 + sway, -0.96), (0.04, -0.97)], feather)  # fmt: skip
    pen.blob([(-0.14, -0.7), (-0.15, -0.84), (-0.1, -0.95), (0, -0.99), (0.1, -0.95),
              (0.15, -0.84), (0.14, -0.7), (0, -0.65)], look.body)  # fmt: skip
    pen.blob([(-0.12, -0.86), (-0.085, -0.94), (-0.03, -0.96), (-0.07, -0.9)], pale)
    pen.oval((0, -0.98), 0.03, 0.022, pale)
    if pose.back:
        pen.line([(0, -0.95), (0, -0.69)], 0.016, dark)
        return
    pen.line([(-0.135 + face / 2, -0.775), (face, -0.755), (0.135 + face / 2, -0.775)], 0.012, pale)
    pen.blob([(-0.115 + face, -0.845), (face, -0.825), (0.115 + face, -0.845),
              (0.105 + face, -0.795), (face, -0.785), (-0.105 + face, -0.795)], dark)  # fmt: skip
    for side in (-1, 1):
        eye = [(0.025, -0.812), (0.095, -0.832), (0.088, -0.806), (0.03, -0.797)]
        pen.shape([(side * x + face, y) for x, y in eye], mix(look.light, WHITE, 0.3), light=True)
        for i in range(3):
            x = side * (0.03 + 0.028 * i) + face
            pen.line([(x, -0.735), (x, -0.7 - 0.004 * i)], 0.011, dark)
    pen.line([(face, -0.985), (face, -0.86)], 0.018, pale)
    pen.line([(face, -0.78), (face, -0.67)], 0.014, pale)


def queen(pen: Pen, look: Look, pose: Pose, rng: Random) -> None:
    """Draw a snow queen: blond plait, crown of ice, wide dress with fur, and a snowflake."""
    pale, deep = mix(look.body, WHITE, 0.55), mix(look.body, (60, 90, 170), 0.35)
    cloak = [(-0.11, -0.66), (0.11, -0.66), (0.22 + pose.wind * 0.4, -0.35),
             (0.37 + pose.wind, -0.02), (pose.wind * 0.5, 0.0), (-0.37 + pose.wind, -0.02),
             (-0.22 + pose.wind * 0.4, -0.35)]  # fmt: skip
    pen.blob(cloak, look.cloak)
    pen.blob([(-0.07, -0.48), (0.07, -0.48), (0.17, -0.3), (0.27, -0.04), (0, 0.0), (-0.27, -0.04),
              (-0.17, -0.3)], look.body)  # fmt: skip
    pen.blob([(-0.03, -0.48), (0.03, -0.48), (0.09, -0.2), (0.11, -0.03), (0, -0.01),
              (-0.11, -0.03), (-0.09, -0.2)], pale)  # fmt: skip
    for x in (-0.17, 0.17):
        pen.line([(x * 0.4, -0.42), (x * 1.05, -0.08)], 0.01, deep)
        pen.flake((x * 0.98, -0.17), 0.032, WHITE, rng.random() * 60)
    pen.flake((0, -0.14), 0.05, deep, rng.random() * 60)
    _fur(pen, (-0.27, -0.035), (0.27, -0.035), 0.03, sag=0.025)
    pen.blob([(-0.1, -0.65), (0.1, -0.65), (0.07, -0.48), (0, -0.45), (-0.07, -0.48)], deep)
    pen.line([(-0.066, -0.475), (0, -0.46), (0.066, -0.475)], 0.022, WHITE)
    for side, angle in zip((-1, 1), pose.arms, strict=True):
        _sleeve(pen, _arm(side, angle, pose.bend), look)
    if pose.back:
        pen.blob(cloak, look.cloak)
        _fur(pen, (-0.33 + pose.wind, -0.02), (0.33 + pose.wind, -0.02), 0.03, sag=0.02)
        pen.flake((0, -0.25), 0.09, mix(look.cloak, WHITE, 0.5))
    else:
        hand = _arm(1, pose.arms[1], pose.bend)[2]
        _magic(pen, ray(hand, pose.arms[1] + pose.bend, 0.12), look)
    _fur(pen, (-0.13, -0.645), (0.13, -0.645), 0.038, sag=0.02)
    _head(pen, look, pose)


def _fur(pen: Pen, start: Point, end: Point, radius: float, sag: float) -> None:
    """Draw a fluffy white border that sags a little in the middle."""
    for colour, shift in (((214, 226, 242), 0.006), (WHITE, -0.004)):
        count = round((end[0] - start[0]) / radius * 1.1)
        for i in range(count + 1):
            share = i / count
            x = start[0] + (end[0] - start[0]) * share
            y = start[1] + sag * math.sin(math.pi * share) + shift
            pen.oval((x, y), radius, radius * (1 if i % 2 else 0.86), colour)


def _sleeve(pen: Pen, arm: Sequence[Point], look: Look) -> None:
    """Draw an arm in a sleeve that widens to a fur cuff, and its hand."""
    shoulder, elbow, hand = arm
    pen.line([shoulder, elbow], 0.07, look.body)
    pen.line([elbow, hand], 0.075, mix(look.body, WHITE, 0.25))
    pen.oval(ray(hand, _heading(elbow, hand), 0.05), 0.036, 0.036, look.skin)
    pen.oval(hand, 0.046, 0.046, WHITE)


def _heading(start: Point, end: Point) -> float:
    """Return the direction from one point to another, in degrees as for `ray`."""
    return math.degrees(math.atan2(end[0] - start[0], end[1] - start[1]))


def _magic(pen: Pen, centre: Point, look: Look) -> None:
    """Draw a shining snowflake that hovers at the hand."""
    ImageDraw.Draw(pen.light).circle(pen.at(centre), pen.scale * 0.05, fill=150)
    pen.flake(centre, 0.085, mix(look.light, WHITE, 0.55), 15)


def _head(pen: Pen, look: Look, pose: Pose) -> None:
    """Draw the head with crown and plait; from behind, only hair is visible."""
    shadow, face = mix(look.hair, (150, 90, 20), 0.28), pose.turn * 0.035
    pen.blob([(-0.135, -0.72), (-0.15, -0.84), (-0.1, -0.95), (0, -0.98), (0.1, -0.95),
              (0.15, -0.84), (0.135, -0.72), (0, -0.66)], look.hair)  # fmt: skip
    if pose.back:
        for x in (-0.08, -0.03, 0.03, 0.08):
            pen.line([(x * 0.4, -0.95), (x, -0.84), (x * 0.7, -0.72)], 0.008, shadow)
        _plait(pen, (0, -0.72), (pose.wind * 0.3, -0.3), look.hair)
    else:
        cheeks = [(-0.115, -0.8), (-0.09, -0.71), (0, -0.665), (0.09, -0.71), (0.115, -0.8),
                  (0.08, -0.89), (-0.08, -0.89)]  # fmt: skip
        pen.blob([(x + face, y) for x, y in cheeks], look.skin)
        _face(pen, face, look)
        pen.blob([(-0.13, -0.78), (-0.14, -0.87), (-0.06, -0.96), (0.05, -0.965),
                  (0.08 + face, -0.93), (0.02 + face, -0.88),
                  (-0.07 + face, -0.855)], look.hair)  # fmt: skip
        pen.blob([(0.13, -0.77), (0.142, -0.87), (0.09, -0.95), (0.02 + face, -0.93),
                  (0.08 + face, -0.86)], look.hair)  # fmt: skip
        pen.line([(0.03 + face, -0.93), (-0.05 + face, -0.895), (-0.12, -0.83)], 0.007, shadow)
        _plait(pen, (-0.13, -0.74), (-0.155 + pose.wind * 0.2, -0.38), look.hair)
    for x, height in ((-0.09, 0.05), (-0.045, 0.085), (0, 0.125), (0.045, 0.085), (0.09, 0.05)):
        base, foot = x + face * 0.5, -0.945 + abs(x) * 0.3
        pen.shape([(base - 0.024, foot), (base + x * 0.25, foot - height), (base + 0.024, foot)],
                  mix(look.light, WHITE, 0.35))  # fmt: skip
        pen.shape([(base, foot), (base + x * 0.25, foot - height), (base + 0.024, foot)],
                  mix(look.light, (70, 130, 220), 0.35))  # fmt: skip
    arch = [(x + face * 0.5, -0.94 + abs(x) * 0.3) for x in (-0.11, 0, 0.11)]
    pen.line(arch, 0.018, (240, 248, 255))


def _face(pen: Pen, shift: float, look: Look) -> None:
    """Draw eyes, cheeks, nose and a smile."""
    for side in (-1, 1):
        eye = (side * 0.047 + shift * 1.4, -0.79)
        pen.oval(
            (side * 0.07 + shift * 1.2, -0.748), 0.022, 0.014, mix(look.skin, (240, 90, 110), 0.35)
        )
        pen.oval(eye, 0.019, 0.026, (38, 52, 92))
        pen.oval((eye[0] + 0.006, eye[1] - 0.009), 0.0065, 0.0075, WHITE)
        brow = [(eye[0] + x, eye[1] - y) for x, y in ((-0.02, 0.04), (0, 0.047), (0.02, 0.04))]
        pen.line(brow, 0.007, mix(look.hair, (110, 70, 30), 0.55))
    pen.oval((shift * 1.6, -0.762), 0.006, 0.005, mix(look.skin, (190, 90, 70), 0.4))
    smile = [(x + shift * 1.4, -0.728 + 0.012 * (1 - (x / 0.026) ** 2)) for x in
             (-0.026, -0.013, 0, 0.013, 0.026)]  # fmt: skip
    pen.line(smile, 0.009, (190, 70, 90))


def _plait(pen: Pen, start: Point, end: Point, hair: Colour) -> None:
    """Draw a plait as rows of crossing strands, with a ribbon and a tuft at its end."""
    shadow = mix(hair, (150, 90, 20), 0.38)
    for i in range(9):
        share = i / 8
        x = start[0] + (end[0] - start[0]) * share - 0.02 * math.sin(math.pi * share)
        y = start[1] + (end[1] - start[1]) * share
        width = 0.042 - 0.014 * share
        for side in (-1, 1):
            middle = (x + side * width * 0.45, y)
            pen.oval(middle, width, width * 0.6, shadow, side * -38)
            pen.oval((middle[0], y - 0.004), width * 0.84, width * 0.44, hair, side * -38)
    pen.blob([(end[0] - 0.018, end[1]), (end[0] + 0.018, end[1]), (end[0] + 0.024, end[1] + 0.05),
              (end[0], end[1] + 0.085), (end[0] - 0.024, end[1] + 0.05)], hair)  # fmt: skip
    pen.line(
        [(end[0] - 0.018, end[1] + 0.012), (end[0] + 0.018, end[1] + 0.012)], 0.022, (110, 170, 235)
    )
