"""How the scale and polarity of images in IDX files, arrays and tables differ from MNIST's, judged by the first ones.

A model trained on images in MNIST's form (light ink on black, up to 255) is confidently wrong about any other kind.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, printable
from fastmnist.shapes import SIDE

Uint8 = npt.NDArray[np.uint8]

SAMPLE = 100  # images to judge by: the first of the file, whichever part of it is read
_BRIGHT = 128  # MNIST's images all reach 254: if none reaches this, white is not 255
_WHITES = (1, 3, 7, 15, 16, 31, 32, 63, 64, 100, 127)  # of 2 to 128 greys; 16 as in load_digits; percent
_SHARE = 0.9  # of the images must agree


class Levels(NamedTuple):
    """How the values of images differ from MNIST's.

    white: the largest value. is_inverted: the ink is dark on light. is_mixed: that of some images is.
    """

    white: int = 255
    is_inverted: bool = False
    is_mixed: bool = False

    def applied(self, images: Uint8) -> Uint8:
        """Return images of any shape with MNIST's scale and polarity; others are not changed."""
        if self.white < 255:
            scaled = np.minimum(images, self.white).astype(np.uint16) * 255
            images = ((scaled + self.white // 2) // self.white).astype(np.uint8)
        return 255 - images if self.is_inverted else images

    def notes(self, path: AnyPath) -> list[str]:
        """Return lines that tell the user so."""
        name, lines = printable(path), []
        if self.white < 255:
            lines.append(
                f"{name}: values from 0 to {self.white}: scaled to 255; `preprocess` none leaves them as they are"
            )
        if self.is_inverted:
            lines.append(f"{name}: dark ink on light: inverted; `preprocess` none leaves it as it is")
        if self.is_mixed:
            lines.append(
                f"{name}: dark ink on light in some images, light on dark in others: left as they are; "
                "`preprocess` mnist normalises each one separately"
            )
        return lines


def levels_of(images: Uint8, preprocess: str | None) -> Levels:
    """Return how the first images of a file, (n, side * side) or (n, side, side), differ from MNIST's.

    With `preprocess` "none" or None, they are taken not to differ. If each image is normalised to MNIST's form on its
    own, its polarity does not matter.
    """
    images = images[:SAMPLE]
    if preprocess in ("none", None) or not images.any():
        return Levels()
    brightest = int(images.max())
    white = next(white for white in (*_WHITES, 255) if brightest <= white) if brightest < _BRIGHT else 255
    if preprocess == "mnist" or images[0].size != SIDE * SIDE:
        return Levels(white)
    squares = images.reshape(-1, SIDE, SIDE)
    border = np.concatenate([squares[:, 0], squares[:, -1], squares[:, 1:-1, 0], squares[:, 1:-1, -1]], axis=1)
    is_light = np.quantile(border, 0.25, axis=1) > 0.6 * white
    is_dark = np.quantile(border, 0.75, axis=1) < 0.4 * white
    light, dark = float(is_light.mean()), float(is_dark.mean())
    return Levels(white, light >= _SHARE, min(light, dark) > 1 - _SHARE)
