"""MNIST's test digits in real-life settings: in a form's boxes, on a sheet on a desk, in shadow, on ruled paper.

`python -m experiments.scenes DATA FOLDER --set cell` writes a set. Everything is drawn from the seed 0 and the digit's
position, so a set is always the same. The ranges are our yardstick, and are not relaxed.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.machine import available_cores
from experiments.parts import in_threads
from experiments.rerender import SIDE, Picture, Rendering, read_digits

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

SEED = 0


def _ink(digit: Picture, longest: float) -> Floats:
    """Return a digit's ink, 0 to 1, cut to its bounding box and scaled so that its longest side is `longest` pixels."""
    left, top, width, height = cv2.boundingRect((digit > 60).astype(np.uint8))
    cut = digit[top : top + height, left : left + width]
    scale = longest / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grown: Floats = (cv2.resize(cut, size, interpolation=cv2.INTER_CUBIC) / np.float32(255)).astype(np.float32)
    return grown


def _written(paper: Floats, ink: Floats, left: float, top: float, pen: float) -> None:
    """Write ink on paper in place, its upper left corner at (left, top)."""
    y, x = round(top), round(left)
    height, width = ink.shape
    part = paper[y : y + height, x : x + width]
    part += ink[: part.shape[0], : part.shape[1]] * (pen - part)


def _turned(picture: Floats, degrees: float, border: int = cv2.BORDER_REPLICATE) -> Floats:
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
    return turned.astype(np.float32, copy=False)


def photographed(picture: Floats, rng: Rng, noise: float) -> Rendering:
    """Return a picture with the noise of a sensor, as a JPEG."""
    picture = picture + np.float32(noise) * rng.standard_normal(picture.shape, np.float32)
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Rendering(
        ".jpg", cv2.imencode(".jpg", grey, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))))[1].tobytes()
    )


def cell(digit: Picture, rng: Rng) -> Rendering:
    """Return a form's cell with its printed box, cut out 6 pixels inside the box to 14 outside of it."""
    box, thickness, askew = rng.uniform(60, 160), rng.integers(1, 7), rng.uniform(-2, 2)
    paper, pen, frame = rng.uniform(200, 255), rng.uniform(10, 90), rng.uniform(0, 180)
    side = round(box + 80)
    scene = np.full((side, side), paper, np.float32)
    corner = (side - box) / 2
    ink = _ink(digit, rng.uniform(0.55, 0.75) * box)
    room = box - 2 * thickness - 2
    left = corner + (box - ink.shape[1]) / 2 + rng.uniform(-0.3, 0.3) * max(0, room - ink.shape[1])
    top = corner + (box - ink.shape[0]) / 2 + rng.uniform(-0.3, 0.3) * max(0, room - ink.shape[0])
    corners = np.round(np.array([corner, corner, corner + box, corner + box]) * 16).astype(int).tolist()
    cv2.rectangle(scene, corners[:2], corners[2:], float(frame), int(thickness), cv2.LINE_AA, 4)
    _written(scene, ink, left, top, pen)
    scene = _turned(scene, askew)
    first = [max(0, round(corner + rng.uniform(-14, 6))) for _ in range(2)]
    last = [min(side, round(corner + box + rng.uniform(-6, 14))) for _ in range(2)]
    return photographed(scene[first[0] : last[0], first[1] : last[1]], rng, rng.uniform(1, 6))


def sheet_on_desk(rng: Rng) -> tuple[Floats, float]:
    """Return a sheet lying on a desk that is darker or lighter than it, seen on two to four sides, and its angle."""
    megapixels, aspect = rng.uniform(0.5, 1.5), rng.uniform(0.7, 1.4)
    height = round(math.sqrt(megapixels * 1e6 / aspect))
    width = round(height * aspect)
    paper = rng.uniform(170, 235)
    is_dark = rng.random() < 0.6
    table = rng.uniform(20, 120) if is_dark else rng.uniform(min(250, paper + 20), 255)
    scene = np.full((height, width), table, np.float32)
    grain = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 15)
    scene += grain * (6 / max(1e-6, float(grain.std())))
    seen = {side: rng.uniform(0.04, 0.18) for side in rng.permutation(4)[: rng.integers(2, 5)].tolist()}
    # A side that is not seen lies outside of the picture.
    edges = [seen.get(side, -0.3) for side in range(4)]
    corners = np.array(
        [
            (edges[3] * width, edges[0] * height),
            (width - edges[1] * width, edges[0] * height),
            (width - edges[1] * width, height - edges[2] * height),
            (edges[3] * width, height - edges[2] * height),
        ]
    )
    angle = math.radians(rng.uniform(-10, 10))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([width / 2, height / 2])
    corners = (corners - middle) @ turn.T + middle
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    share = mask.astype(np.float32) / 255
    return scene + share * (paper - scene), angle


def desk(digit: Picture, rng: Rng) -> Rendering:
    """Return a sheet with a digit that lies on a desk."""
    scene, angle = sheet_on_desk(rng)
    height, width = scene.shape
    ink = _ink(digit, rng.uniform(0.2, 0.4) * min(width, height))
    ink = np.pad(ink, max(ink.shape) // 4)
    ink = _turned(ink, math.degrees(-angle), cv2.BORDER_CONSTANT)
    left = (width - ink.shape[1]) / 2 + rng.uniform(-0.08, 0.08) * width
    top = (height - ink.shape[0]) / 2 + rng.uniform(-0.08, 0.08) * height
    _written(scene, ink, left, top, rng.uniform(15, 90))
    return photographed(scene, rng, rng.uniform(2, 6))


def shadow(digit: Picture, rng: Rng) -> Rendering:
    """Return a digit on paper across which the photographer's shadow falls."""
    side = round(rng.uniform(160, 480))
    scene = np.full((side, side), rng.uniform(190, 245), np.float32)
    ink = _ink(digit, rng.uniform(0.35, 0.6) * side)
    room = side - np.array(ink.shape)
    _written(scene, ink, rng.uniform(0.2, 0.8) * room[1], rng.uniform(0.2, 0.8) * room[0], rng.uniform(20, 90))
    y, x = np.mgrid[-0.5 : 0.5 : side * 1j, -0.5 : 0.5 : side * 1j].astype(np.float32)
    angle, offset = rng.uniform(0, 2 * math.pi), rng.uniform(-0.25, 0.25)
    distance = (x * math.cos(angle) + y * math.sin(angle) - offset) * side
    softness = math.exp(rng.uniform(math.log(1), math.log(0.15 * side)))
    depth = rng.uniform(0.2, 0.5)
    scene *= 1 - depth / (1 + np.exp(np.clip(-distance / softness * 2, -50, 50)))
    return photographed(scene, rng, rng.uniform(2, 6))


def _on_lines(digit: Picture, rng: Rng, *, squared: bool) -> Rendering:
    side = round(rng.uniform(150, 420))
    paper = rng.uniform(215, 250)
    scene = np.full((side, side), paper, np.float32)
    pitch = rng.uniform(0.12, 0.3) * side if squared else rng.uniform(0.25, 0.6) * side
    line = paper - rng.uniform(25, 110)
    for is_upright in (False, True) if squared else (False,):
        for place in np.arange(rng.uniform(0, pitch), side, pitch):
            ends = [(0, place), (side, place)]
            points = [tuple(round(16 * v) for v in (end[::-1] if is_upright else end)) for end in ends]
            cv2.line(
                scene, points[0], points[1], float(line), max(1, round(side * rng.uniform(0.004, 0.01))), cv2.LINE_AA, 4
            )
    scene = _turned(scene, rng.uniform(-3, 3))
    ink = _ink(digit, rng.uniform(0.4, 0.65) * side)
    pen = rng.uniform(20, 80) if rng.random() < 0.6 else rng.uniform(90, 130)  # a pen or a pencil
    room = side - np.array(ink.shape)
    _written(scene, ink, rng.uniform(0.25, 0.75) * room[1], rng.uniform(0.25, 0.75) * room[0], pen)
    return photographed(scene, rng, rng.uniform(1, 5))


def squared(digit: Picture, rng: Rng) -> Rendering:
    """Return a digit on squared paper, whose lines cross it."""
    return _on_lines(digit, rng, squared=True)


def ruled(digit: Picture, rng: Rng) -> Rendering:
    """Return a digit on ruled paper, whose lines cross it."""
    return _on_lines(digit, rng, squared=False)


SCENES: dict[str, Callable[[Picture, Rng], Rendering]] = {
    "cell": cell,
    "desk": desk,
    "shadow": shadow,
    "squared": squared,
    "ruled": ruled,
}


def render_scenes(name: str, digits: Picture, threads: int) -> Iterator[Rendering]:
    """Yield `digits`, uint8 (n, 28, 28), in the scene `name`, in order; memory stays bounded."""
    draw, number = SCENES[name], list(SCENES).index(name)
    return in_threads(lambda n: draw(digits[n], np.random.default_rng([SEED, number, n])), len(digits), threads)


def main() -> None:
    """Write a set of scenes as class folders, which `fastmnist evaluate FOLDER` reads."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scenes", description=__doc__)
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("folder", type=Path, help="where to write LABEL/POSITION.jpg")
    parser.add_argument("--set", choices=SCENES, required=True, dest="name")
    parser.add_argument("--count", type=int, help="only the first COUNT")
    arguments = parser.parse_args()
    digits, labels = read_digits(arguments.data)
    digits = digits[: arguments.count].reshape(-1, SIDE, SIDE)
    renderings = render_scenes(arguments.name, digits, available_cores())
    for position, (label, rendering) in enumerate(zip(labels, renderings, strict=False)):
        folder = arguments.folder / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{position:05d}{rendering.suffix}").write_bytes(rendering.content)


if __name__ == "__main__":
    main()
