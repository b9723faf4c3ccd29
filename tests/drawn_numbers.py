"""Rows of real digits as pictures, for the tests of numbers."""

import cv2
import numpy as np


def ink_of(digit):
    left, top, width, height = cv2.boundingRect((digit > 60).astype(np.uint8))
    return digit[top : top + height, left : left + width]


def row(some, text, gap=6, scale=2.0, margin=20):
    """A row of digits, dark on light, so many pixels apart."""
    height, parts = 22, []
    for character in text:
        ink = ink_of(some[character]) if character != " " else np.zeros((20, 14), np.uint8)
        parts += [np.pad(ink, ((height - len(ink), 0), (0, 0))), np.zeros((height, max(0, gap)), np.uint8)]
    canvas = np.pad(np.hstack(parts), margin)
    return 255 - cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def boxed(some, text, side=60, thick=2, gap=0, shade=0, inner=0):
    picture = np.full((side + 40, len(text) * (side + gap) + 40), 255, np.uint8)
    for place, character in enumerate(text):
        left = 20 + place * (side + gap)
        for inset in (0, inner):
            cv2.rectangle(picture, (left + inset, 20 + inset), (left + side - inset, 20 + side - inset), shade, thick)
        if character != " ":
            ink = 255 - cv2.resize(ink_of(some[character]), None, fx=1.9, fy=1.9, interpolation=cv2.INTER_CUBIC)
            y, x = 20 + (side - len(ink)) // 2, left + (side - ink.shape[1]) // 2
            part = picture[y : y + len(ink), x : x + ink.shape[1]]
            np.minimum(part, ink, out=part)
    return picture


def texts(pages):
    (page,) = pages
    assert page.error is None
    return [number.text for number in page.numbers]
