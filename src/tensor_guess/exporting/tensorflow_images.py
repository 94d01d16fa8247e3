"""Do what `images.pixels` does in TensorFlow's ops, which become part of a SavedModel.

It has the same decoder, and Pillow's arithmetic (src/libImaging/Resample.c of Pillow 13), so that
pixels are equal, not merely close: one level of one pixel moves a score by more than 0.0001.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tensor_guess.config import CROP, PAD
from tensor_guess.images.scaling import BORDER, Scaling

# Weights are whole numbers of 1 / 2^22.
_ONE = 1 << 22
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112


def pixels(data: Any, scaling: Scaling) -> Any:
    """Return the pixels [S, S, 3], float32, RGB, 0 to 255, of a picture's bytes (scalar string)."""
    if scaling.classic:
        whole = tf.io.decode_image(data, channels=3, expand_animations=False)
        sides = [scaling.size, scaling.size]
        return tf.compat.v1.image.resize_bilinear(whole[None], sides)[0]
    decoded, shown_as = _decoded(data, scaling)
    resized = _resized(tf.cast(decoded, tf.float64), shown_as, scaling)
    return tf.cast(_upright(resized, _orientation(data)), tf.float32)


def _decoded(data: Any, scaling: Scaling) -> tuple[Any, Any]:
    """Return [H, W, 3] uint8, and the height and width [2] that it gets on the square.

    A JPEG is decoded at the smallest scale that is at least twice that.
    """
    start = tf.strings.substr(data, 0, 2)

    def whole(decode: Callable[[], Any]) -> Callable[[], tuple[Any, Any]]:
        def decoded() -> tuple[Any, Any]:
            image = decode()
            return image, _shown_as(tf.shape(image)[:2], scaling)

        return decoded

    found: tuple[Any, Any] = tf.case(
        [
            (start == b"\xff\xd8", lambda: _jpeg(data, scaling)),
            (start == b"\x89P", whole(lambda: _over_white(tf.io.decode_png(data, channels=4)))),
            (start == b"GI", whole(lambda: tf.io.decode_gif(data)[0])),
        ],
        default=whole(lambda: tf.io.decode_bmp(data, channels=3)),
    )
    return found


def _shown_as(sides: Any, scaling: Scaling) -> Any:
    """Return what `scaling.shown_as` does, height first, of a picture's height and width [2]."""
    size = scaling.size
    if scaling.fit != PAD:
        return tf.constant([size, size])
    longest = tf.reduce_max(sides)
    border = (size * (longest - sides) + longest) // (2 * longest)
    return size - 2 * tf.minimum(border, (size - 1) // 2)


def _jpeg(data: Any, scaling: Scaling) -> tuple[Any, Any]:
    sides = tf.io.extract_jpeg_shape(data)[:2]
    shown_as = _shown_as(sides, scaling)
    factor = tf.reduce_min(sides // (2 * shown_as))

    def scaled(ratio: int) -> Any:
        # The method that Pillow uses; TensorFlow's default is coarser.
        return lambda: tf.io.decode_jpeg(
            data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
        )

    which = tf.reduce_sum(tf.cast(factor >= tf.constant([2, 4, 8]), tf.int32))
    return tf.switch_case(which, [scaled(ratio) for ratio in (1, 2, 4, 8)]), shown_as


def _over_white(image: Any) -> Any:
    """Return RGBA over white as [H, W, 3], rounded as Pillow's AlphaComposite.c does."""
    image = tf.cast(image, tf.int32)
    alpha = image[..., 3:]
    blended = (image[..., :3] * alpha + 255 * (255 - alpha) + 128) * 128
    return tf.cast(((blended // 256 + blended) // 256) // 128, tf.uint8)


def _resized(image: Any, shown_as: Any, scaling: Scaling) -> Any:
    """Resize as Pillow's antialiased bilinear: one direction at a time, rounded to whole levels.

    The result is square, with what is shown of the picture in its middle, of height and width
    `shown_as`.
    """
    sides = tf.shape(image)[:2]
    parts = tf.fill((2,), tf.reduce_min(sides)) if scaling.fit == CROP else sides
    down, across = (_weights(sides[axis], parts[axis], shown_as[axis]) for axis in (0, 1))
    (height, width), (high, wide) = tf.unstack(sides), tf.unstack(shown_as)

    def vertically(values: Any) -> Any:
        return _rounded(tf.einsum("oh,hwc->owc", down, values))

    def horizontally(values: Any) -> Any:
        return _rounded(tf.einsum("ow,hwc->hoc", across, values))

    resized = tf.cond(
        # If that is far less work.
        (height > high) & (height - high > 2 * (width - wide)),
        lambda: horizontally(vertically(image)),
        lambda: vertically(horizontally(image)),
    )
    if scaling.fit == PAD:
        borders = (scaling.size - tf.stack([high, wide, scaling.size])) // 2
        resized = tf.pad(resized, tf.stack([borders, borders], 1), constant_values=BORDER)
    return tf.ensure_shape(resized, (scaling.size, scaling.size, 3))


def _weights(length: Any, part: Any, size: Any) -> Any:
    """Return [size, length]: how much each pixel counts for each of the `size` new ones.

    These show the middle `part` of the pixels.
    """
    length, part = tf.cast(length, tf.float64), tf.cast(part, tf.float64)
    # To divide by a constant, TensorFlow would multiply by its reciprocal: not quite the same.
    scale = part / tf.where(length > 0, tf.cast(size, tf.float64), 1)
    reach = tf.maximum(scale, 1)
    new = tf.cast(tf.range(size), tf.float64)
    centre = ((length - part) / 2 + (new + 0.5) * scale)[:, None]
    pixel = tf.range(length, dtype=tf.float64)[None]
    near = (pixel >= tf.floor(centre - reach + 0.5)) & (pixel < tf.floor(centre + reach + 0.5))
    weight = tf.maximum(1 - tf.abs((pixel - centre + 0.5) * (1 / reach)), 0)
    weight = tf.where(near, weight, 0)
    return tf.floor(weight / tf.reduce_sum(weight, 1, keepdims=True) * _ONE + 0.5)


def _rounded(sums: Any) -> Any:
    """Return sums of weighted levels as levels; in float64 all of this is exact."""
    return tf.clip_by_value(tf.floor((sums + _ONE // 2) / _ONE), 0, 255)


def _orientation(data: Any) -> Any:
    """Return EXIF's orientation, 1 to 8, from its first directory (EXIF 2.32); 1 if it has none."""
    exif = tf.strings.split(data, _EXIF, maxsplit=1)[1:]
    start = tf.strings.substr(tf.strings.reduce_join(exif), 0, 65536)
    return tf.cond(tf.strings.length(start) > 14, lambda: _tag(start), lambda: 1)


def _tag(exif: Any) -> Any:
    octets = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int32)
    little = octets[0] == ord("I")

    def number(two: Any) -> Any:
        return tf.where(little, two[..., 0] + 256 * two[..., 1], 256 * two[..., 0] + two[..., 1])

    # The offset has four bytes; a directory within 64 KB needs two of them.
    at = number(tf.where(little, octets[4:6], octets[6:8]))
    end = tf.shape(octets)[0]
    at = tf.minimum(at, end - 2)
    count = tf.minimum(number(octets[at : at + 2]), (end - at - 2) // 12)
    entries = tf.reshape(octets[at + 2 : at + 2 + 12 * count], (-1, 12))
    found = tf.where(number(entries[:, 0:2]) == _ORIENTATION, number(entries[:, 8:10]), 0)
    value = tf.reduce_max(tf.concat([found, [1]], 0))
    return tf.where(value <= 8, value, 1)


def _upright(image: Any, orientation: Any) -> Any:
    """Return the square image turned upright, as `orientation` says."""
    image = tf.where(orientation >= 5, tf.transpose(image, (1, 0, 2)), image)
    mirrored = tf.reduce_any(orientation == tf.constant([2, 3, 6, 7]))
    upside_down = tf.reduce_any(orientation == tf.constant([3, 4, 7, 8]))
    image = tf.where(mirrored, image[:, ::-1], image)
    return tf.where(upside_down, image[::-1], image)
