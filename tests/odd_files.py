"""One image file of every odd kind that people have, and what is to become of it. All of them show a seven."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

DIGIT = "digit"  # the outcome of a file that is read; the others' outcomes are parts of their errors
DIGIT_AND_WHITE = "no ink"  # a part of the error of the second page

TESTS = Path(__file__).parent
SEVEN = cv2.imread(str(TESTS / "seven.png"), cv2.IMREAD_GRAYSCALE)  # 28x28, light on black
INK = cv2.resize(SEVEN, (112, 112), interpolation=cv2.INTER_CUBIC)
PAPER = 255 - INK
CMYK = (TESTS / "seven-cmyk.jpg").read_bytes()  # PAPER as Pillow writes it in mode CMYK; OpenCV can't

GREY, PALETTE, GREY_ALPHA = 0, 3, 4  # the colour types of PNG that are made by hand


def encoded(suffix, picture=PAPER, settings=()):
    """The picture as a file that OpenCV writes."""
    ok, data = cv2.imencode(f".{suffix}", picture, settings)
    assert ok
    return data.tobytes()


def png(rows, width, bits, colour_type, **chunks):
    """A PNG of packed rows, uint8 (height, bytes per row), with the named chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    unfiltered = np.pad(rows, ((0, 0), (1, 0)))  # a filter byte before each row
    parts = {"IHDR": header, **chunks, "IDAT": zlib.compress(unfiltered.tobytes(), 9), "IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), content) for name, content in parts.items())


def _chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def palette_png(palette, **chunks):
    """A PNG of 2 bits per pixel: how much ink, as a position among four colours."""
    position = np.minimum(INK // 64, 3).reshape(112, 28, 4)
    return png((position @ [64, 16, 4, 1]).astype(np.uint8), 112, 2, PALETTE, PLTE=bytes(palette), **chunks)


def grey_alpha_png(grey):
    """A PNG of one grey and its opacity, which is the ink."""
    return png(np.dstack([np.full_like(INK, grey), INK]).reshape(112, 224), 112, 8, GREY_ALPHA)


def rgba_png(grey, hidden):
    """A PNG with an alpha channel, ink of one grey, and `hidden` where it is transparent."""
    colour = np.where(INK > 0, grey, hidden).astype(np.uint8)
    return encoded("png", np.dstack([colour, colour, colour, INK]))


def rotated_jpeg(orientation):
    """A JPEG that is stored turned or mirrored, with the EXIF orientation, 1 to 8, that puts it right."""
    stored = {
        1: PAPER,
        2: PAPER[:, ::-1],
        3: PAPER[::-1, ::-1],
        4: PAPER[::-1],
        5: PAPER.T,
        6: np.rot90(PAPER),
        7: PAPER[::-1, ::-1].T,
        8: np.rot90(PAPER, -1),
    }[orientation]
    jpeg = encoded("jpg", np.ascontiguousarray(stored))
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)  # the tag, a 16-bit number, one of it
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def animated_gif():
    """A GIF whose first picture is the digit, and whose second is white."""
    animation = cv2.Animation()
    animation.frames = [cv2.merge([PAPER] * 3), np.full((112, 112, 3), 255, np.uint8)]
    animation.durations = [100, 100]
    ok, data = cv2.imencodeanimation(".gif", animation)
    assert ok
    return data.tobytes()


def two_page_tiff():
    """A TIFF whose first page is the digit, and whose second is white."""
    ok, data = cv2.imencodemulti(".tiff", [PAPER, np.full_like(PAPER, 255)])
    assert ok
    return data.tobytes()


def bomb():
    """A sound PNG of 144 megapixels in a few kilobytes."""
    return png(np.zeros((12_000, 1500), np.uint8), 12_000, 1, GREY)


def truncated():
    """Two thirds of a file of each format that OpenCV writes."""
    colour = cv2.merge([PAPER] * 3)
    whole = {suffix: encoded(suffix) for suffix in ("png", "jpg", "bmp", "pgm", "tiff", "webp")}
    whole |= {suffix: encoded(suffix, colour) for suffix in ("ppm", "gif")}
    return {f"truncated.{suffix}": (data[: len(data) * 2 // 3], "cut short") for suffix, data in whole.items()}


def contents():
    """The regular files, by name: what they hold, and what is to become of them."""
    deep = PAPER.astype(np.uint16) * 257
    digits = {
        "16-bit.png": encoded("png", deep),
        "16-bit.tiff": encoded("tiff", deep),
        "1-bit.png": png(np.packbits(PAPER > 127, axis=1), 112, 1, GREY),
        "palette.png": palette_png([250, 240, 220, 180, 170, 190, 90, 90, 140, 20, 20, 80]),
        # Transparent paper, whose hidden colour is the ink's.
        "palette-dark-ink.png": palette_png([0, 0, 0, 170, 170, 170, 85, 85, 85, 0, 0, 0], tRNS=b"\0"),
        "palette-light-ink.png": palette_png([255, 255, 255, 85, 85, 85, 170, 170, 170, 255, 255, 255], tRNS=b"\0"),
        "rgba-dark-ink.png": rgba_png(0, hidden=0),
        "rgba-light-ink.png": rgba_png(255, hidden=255),
        "grey-alpha-dark-ink.png": grey_alpha_png(0),
        "grey-alpha-light-ink.png": grey_alpha_png(255),
        "cmyk.jpg": CMYK,
        **{f"exif-{orientation}.jpg": rotated_jpeg(orientation) for orientation in range(1, 9)},
        "UPPER.PNG": encoded("png"),
        "no-suffix": encoded("png"),
        "jpeg-called.png": encoded("jpg"),
        b"non-utf-8-\xff\xfe.png": encoded("png"),
        "x.png/inside.png": encoded("png"),  # in a folder that is named like a picture
    }
    blank = np.zeros((112, 112), np.uint8)
    refused = {
        **truncated(),
        "text.png": (b"a shopping list\n", "no picture"),
        "empty.png": (b"", "0 bytes"),
        "bomb.png": (bomb(), "50 megapixels"),
        "all-white.png": (encoded("png", blank + 255), "no ink"),
        "all-black.png": (encoded("png", blank), "no ink"),
        "one-pixel.png": (encoded("png", blank[:1, :1]), "no ink"),
        "two-digits.png": (encoded("png", np.hstack([PAPER[:, :90], PAPER[:, 30:]])), "side by side"),
        "two-digits-apart.png": (encoded("png", np.hstack([PAPER, PAPER])), "side by side"),
    }
    pages = {"animated.gif": (animated_gif(), DIGIT_AND_WHITE), "two-pages.tiff": (two_page_tiff(), DIGIT_AND_WHITE)}
    read = {name: (data, DIGIT) for name, data in digits.items()}
    return {os.fsencode(name): content for name, content in {**read, **pages, **refused}.items()}


def write_odd_files(folder):
    """Write all kinds into a new `folder`; return each one's outcome by its path below it, as bytes.

    The outcome is DIGIT, DIGIT_AND_WHITE for a page of each, or a part of the error.
    """
    outcomes = {}
    for name, (data, outcome) in contents().items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        outcomes[name] = outcome
    os.mkfifo(folder / "fifo.png")
    return outcomes | {b"fifo.png": "FIFO"}
