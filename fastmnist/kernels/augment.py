"""Distorted copies of images: rotated, scaled, sheared, shifted, elastically bent, with thicker or thinner strokes.

Each pixel of a copy is fetched from a place in the original (inverse mapping), with all distortions at once, so that an
image is resampled only once. The place is a smooth function of the pixel's row y and column x,

    place(y, x) = sum over i, j of basis_i(y) * coefficients[i, j] * basis_j(x),

with the basis functions 1 and x - 13.5, whose coefficients are the affine map, and a row of Gaussian bumps, whose
coefficients are random: white noise smoothed by a Gaussian, the elastic displacement of Simard et al. (2003). So
a copy costs two small matrix products for each coordinate, and one bilinear look-up for each pixel.

Places are rounded to 1/256 of a pixel, and everything after that is done in integers. Background stays exactly 0.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, part_bounds
from fastmnist.kernels.matmul import Matrix, add_wide_product, clear_rows
from fastmnist.kernels.randomness import subkey, uniform
from fastmnist.kernels.simd import LANES, item
from fastmnist.shapes import SIDE

MIDDLE = (SIDE - 1) / 2  # the digits' centre of mass
ROW_REGISTERS = 2  # registers in a row of places
ROW = (
    ROW_REGISTERS * LANES
)  # a row of places, and of an image with its margin of zeros, 1 to the left and 3 to the right
N_AFFINE = 2  # basis functions of the affine map; the bumps follow
N_AFFINE_NUMBERS = 7  # random numbers of an image before those of the bumps: angle, 2 scales, shear, 2 shifts, stroke
UNIT_VARIANCE = np.float32(math.sqrt(3))  # times a uniform number of [-1, 1)


class Strengths(NamedTuple):
    """How strong distortions are: each image draws uniformly from -strength to strength. All float32."""

    rotation: np.float32  # radians
    scale: np.float32  # share of the size, for height and width each
    shear: np.float32  # columns per row
    translation: np.float32  # pixels, for each axis
    elastic: np.float32  # standard deviation of the displacement, pixels, for each axis
    thickness: np.float32  # 1: as far as the brightest, or darkest, of a pixel and its four neighbours


class Workspace(NamedTuple):
    """Working memory, a row per part."""

    coefficients: np.ndarray  # (n_parts, n_basis * n_basis)
    halves: np.ndarray  # (n_parts, n_basis * ROW): coefficients @ basis.T
    places: np.ndarray  # (n_parts, 2 * SIDE * ROW): columns, then rows, that pixels are fetched from
    originals: np.ndarray  # (n_parts, ROW * ROW) uint8: an image with its margin
    strokes: np.ndarray  # the same, after a change of the strokes
    neighbours: np.ndarray  # (n_parts, ROW * ROW) uint32: each pixel with its three neighbours right and below
    rounded: np.ndarray  # (n_parts, SIDE * ROW) int32: the places in whole numbers, see `round_places`
    fours: np.ndarray  # (n_parts, SIDE * ROW) uint32: what `neighbours` has at these places


def make_basis(smoothness):
    """Return the basis functions at each pixel, (SIDE, n_basis) float32.

    The bumps stand `smoothness` pixels apart, are as wide (one standard deviation), and go on for two widths beyond
    the image. Their squares add up to 1 at each pixel, so that the displacement varies as much at the edge as in the
    middle.
    """
    pixels = np.arange(SIDE) - MIDDLE
    reach = MIDDLE + 2 * smoothness
    centres = smoothness * np.arange(-math.floor(reach / smoothness), math.floor(reach / smoothness) + 1)
    bumps = np.exp(-((pixels[:, None] - centres) ** 2) / (2 * smoothness**2))
    bumps /= np.sqrt((bumps**2).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(np.column_stack([np.ones(SIDE), pixels, bumps]), np.float32)


def make_columns(basis):
    """Return the transposed basis (n_basis, ROW), zero-padded, in one row.

    (For two-dimensional arrays, `add_wide_product` would be compiled once more for each of its operands.)
    """
    columns = aligned_zeros(basis.shape[1] * ROW)
    columns.reshape(-1, ROW)[:, :SIDE] = basis.T
    return columns


def make_workspace(n_basis, n_parts):
    """Return working memory for a basis."""
    return Workspace(
        aligned_zeros(n_parts * n_basis * n_basis).reshape(n_parts, -1),
        aligned_zeros(n_parts * n_basis * ROW).reshape(n_parts, -1),
        aligned_zeros(n_parts * 2 * SIDE * ROW).reshape(n_parts, -1),
        np.zeros((n_parts, ROW * ROW), np.uint8),
        np.zeros((n_parts, ROW * ROW), np.uint8),
        np.zeros((n_parts, ROW * ROW), np.uint32),
        np.zeros((n_parts, SIDE * ROW), np.int32),
        np.zeros((n_parts, SIDE * ROW), np.uint32),
    )


@inlined
def draw_affine(key, strengths):
    """Return an image's affine map as ((column by x, by y, shift), (row by x, by y, shift)), float32.

    From a pixel's x and y, measured from the middle, to the place it is fetched from: scaling, then shear, then
    rotation.
    """
    angle = np.float64(strengths.rotation * uniform(key, 0))
    inverse_width = 1 / (1 + np.float64(strengths.scale * uniform(key, 1)))
    inverse_height = 1 / (1 + np.float64(strengths.scale * uniform(key, 2)))
    shear = np.float64(strengths.shear * uniform(key, 3))
    cosine, sine = math.cos(angle), math.sin(angle)
    column = (
        np.float32(cosine * inverse_width),
        np.float32((cosine * shear - sine) * inverse_height),
        strengths.translation * uniform(key, 4),
    )
    row = (
        np.float32(sine * inverse_width),
        np.float32((sine * shear + cosine) * inverse_height),
        strengths.translation * uniform(key, 5),
    )
    return column, row


@inlined
def find_places(maps, key, elastic, columns, coefficients, halves, places):
    """Fill `places` with the columns, then the rows, of the places that pixels are fetched from.

    The margin of 1 is added. Without elastic displacement only the affine functions of the basis take part.
    """
    n_basis = len(columns) // ROW
    n_bumps = n_basis - N_AFFINE
    depth = n_basis if elastic != 0 else N_AFFINE
    for index in range(n_basis * n_basis):
        coefficients[index] = 0
    for axis in range(2):
        if elastic != 0:
            for i in range(n_bumps):
                number = N_AFFINE_NUMBERS + (axis * n_bumps + i) * n_bumps
                place = (N_AFFINE + i) * n_basis + N_AFFINE
                for j in range(n_bumps):
                    coefficients[np.uint64(place + j)] = elastic * UNIT_VARIANCE * uniform(key, number + j)
        by_x, by_y, shift = maps[axis]
        coefficients[0] = np.float32(MIDDLE + 1) + shift
        coefficients[1] = by_x
        coefficients[n_basis] = by_y
        clear_rows(ROW_REGISTERS, halves, 0, ROW, depth)
        left, right = Matrix(coefficients, 0, n_basis, 1), Matrix(columns, 0, ROW, 1)
        add_wide_product(ROW_REGISTERS, left, right, Matrix(halves, 0, ROW, 1), depth, depth)
        clear_rows(ROW_REGISTERS, places, axis * SIDE * ROW, ROW, SIDE)
        left, right = Matrix(columns, 0, 1, ROW), Matrix(halves, 0, ROW, 1)
        add_wide_product(ROW_REGISTERS, left, right, Matrix(places, axis * SIDE * ROW, ROW, 1), SIDE, depth)


@inlined
def copy_with_margin(inputs, sample, image):
    """Copy one image into the middle of zeros."""
    for y in range(SIDE):
        for x in range(SIDE):
            image[np.uint64((y + 1) * ROW + x + 1)] = item(inputs, (sample * SIDE + y) * SIDE + x)


@inlined
def change_strokes(image, amount, out):
    """Fill `out` with the image, moved by |amount| / 256 of the way to its grey dilation, or erosion if amount < 0.

    Dilation and erosion: the largest and the smallest of a pixel and its four neighbours (Serra 1982).
    """
    size = abs(amount)
    for y in range(1, SIDE + 1):
        for x in range(1, SIDE + 1):
            place = y * ROW + x
            here = np.int32(item(image, place))
            left, right = np.int32(item(image, place - 1)), np.int32(item(image, place + 1))
            above, below = np.int32(item(image, place - ROW)), np.int32(item(image, place + ROW))
            if amount > 0:
                goal = max(max(max(left, right), max(above, below)), here)
            else:
                goal = min(min(min(left, right), min(above, below)), here)
            out[np.uint64(place)] = np.uint8(here + ((goal - here) * size + np.int32(128) >> np.int32(8)))


@inlined
def pack_neighbours(image, neighbours):
    """Fill `neighbours` with each pixel's grey, that to its right, and those below the two, a byte each."""
    for place in range((SIDE + 2) * ROW):
        upper = np.uint32(item(image, place)) | np.uint32(item(image, place + 1)) << np.uint32(8)
        lower = np.uint32(item(image, place + ROW)) | np.uint32(item(image, place + ROW + 1)) << np.uint32(8)
        neighbours[np.uint64(place)] = upper | lower << np.uint32(16)


@inlined
def round_places(places, rounded):
    """Fill `rounded` with a pixel's position << 16 | 1/256 pixels to its right << 8 | 1/256 pixels below it."""
    last = np.float32(SIDE + 1)
    for index in range(SIDE * ROW):
        # Outside of the image: on the margin, where all is 0.
        column = np.int32(min(max(item(places, index), np.float32(0)), last) * np.float32(256))
        line = np.int32(min(max(item(places, SIDE * ROW + index), np.float32(0)), last) * np.float32(256))
        place = (line >> np.int32(8)) * np.int32(ROW) + (column >> np.int32(8))
        right, below = column & np.int32(255), line & np.int32(255)
        rounded[np.uint64(index)] = place << np.int32(16) | right << np.int32(8) | below


@inlined
def fetch(neighbours, rounded, fours, out, row):
    """Fill a row of `out` with the image's grey at the rounded places, between pixels by bilinear interpolation.

    The look-ups have a loop of their own, so that LLVM vectorises the arithmetic before and after them: 4.2 -> 2.2 us
    an image (AMD EPYC with 256-bit units).
    """
    for index in range(SIDE * ROW):
        fours[np.uint64(index)] = item(neighbours, item(rounded, index) >> np.int32(16))
    for y in range(SIDE):
        for x in range(SIDE):
            place, four = item(rounded, y * ROW + x), item(fours, y * ROW + x)
            right, below = place >> np.int32(8) & np.int32(255), place & np.int32(255)
            left, above = np.int32(256) - right, np.int32(256) - below
            upper = np.int32(four & np.uint32(255)) * left + np.int32(four >> np.uint32(8) & np.uint32(255)) * right
            lower = np.int32(four >> np.uint32(16) & np.uint32(255)) * left + np.int32(four >> np.uint32(24)) * right
            grey = (upper * above + lower * below + np.int32(1 << 15)) >> np.int32(16)
            out[np.uint64(row), np.uint64(y * SIDE + x)] = np.uint8(grey)


@inlined
def augment_image(inputs, sample, key, strengths, columns, workspace, part, out, row):
    """Fill a row of `out` with the distorted copy of one image that its key selects."""
    coefficients, halves, places = workspace.coefficients[part], workspace.halves[part], workspace.places[part]
    image, strokes = workspace.originals[part], workspace.strokes[part]
    maps = draw_affine(key, strengths)
    find_places(maps, key, strengths.elastic, columns, coefficients, halves, places)
    copy_with_margin(inputs, sample, image)
    amount = np.int32(strengths.thickness * uniform(key, 6) * np.float32(256))
    if amount != 0:
        change_strokes(image, amount, strokes)
        image = strokes
    pack_neighbours(image, workspace.neighbours[part])
    round_places(places, workspace.rounded[part])
    fetch(workspace.neighbours[part], workspace.rounded[part], workspace.fours[part], out, row)


@kernel
def augment(inputs, order, key, strengths, columns, workspace, out, n_parts):
    """Fill `out` (n, 784) uint8 with distorted copies of the images `order` (n,) of `inputs` (n_samples, 784) uint8.

    Which distortion an image gets depends on `key` (uint64) and on its position in `inputs`, on nothing else.
    """
    for index in prange(n_parts):
        _augment(inputs, order, key, strengths, columns, workspace, out, np.intp(index), n_parts)


@inlined
def _augment(inputs, order, key, strengths, columns, workspace, out, part, n_parts):
    first, last = part_bounds(len(order), part, n_parts)
    for row in range(first, last):
        sample = order[row]
        augment_image(inputs, sample, subkey(key, sample), strengths, columns, workspace, part, out, row)
