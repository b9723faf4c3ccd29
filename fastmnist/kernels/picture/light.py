"""The light on the paper: a smooth surface is fitted to the picture's border and removed from the picture.

It also decides whether ink is darker or lighter than paper, and whether much of the picture is neither.
"""

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.work import whole_vectors

PER_SIDE = 40  # pixels of each side that the surface is fitted to, about
N_FITS = 6  # at most,
CONVERGED = 0.5  # grey levels: or until all factors together move by less
UNLIKE = 24  # grey levels away from the light: not its paper
MIXED = 24.0  # mean distance of the border from its own fit, in grey levels, above which several things lie there
DARKEST = np.float32(8)  # grey levels: light is not divided by less


@inlined
def fit_light(picture, height, width, ring, light):
    """Fit the light to the border; return its mean distance from it, in grey levels.

    light[:4] get the factors of 1, x, y and x * x + y * y, for x and y from -1 to 1; light[4:] is scratch.

    Most of the border is paper, perhaps lit from one side and darker far from the middle: a plane plus the squared
    distance. (Separate x and y squares would follow a digit that touches two opposite sides; a square that rises would
    follow one that touches all four.) Iteratively reweighted least squares minimise the absolute residuals, so strokes
    that cross the border don't bend the surface.
    """
    n = _read_ring(picture, height, width, ring)
    for i in range(4):
        light[i] = 0
    for fit in range(N_FITS):
        change = _fit_once(ring, n, light, fit == 0)
        if change < CONVERGED:
            break
    total = 0.0
    for i in range(n):
        total += abs(ring[i, 0] - _light_at(light, ring[i, 1], ring[i, 2]))
    return total / n


@inlined
def _fit_once(ring, n, light, is_first):
    """Fit the light once more, each pixel weighted by the inverse of its distance from the last fit.

    Returns how far the factors moved. light[4:8], [8:24] and [24:28] are the unknowns, the equations and their right
    sides.
    """
    _add_equations(ring, n, light, is_first)
    _solve(light, 4)
    if light[7] > 0:
        _solve(light, 3)
        light[7] = 0
    change = 0.0
    for i in range(4):
        change += abs(light[4 + i] - light[i])
        light[i] = light[4 + i]
    return change


@inlined
def _read_ring(picture, height, width, ring):
    """Fill `ring` with the grey, x and y of the border's pixels, evenly chosen; return how many."""
    across, down = max(1, width // PER_SIDE), max(1, height // PER_SIDE)
    n = 0
    for x in range(0, width, across):
        n = _add_to_ring(picture, height, width, 0, x, ring, n)
        n = _add_to_ring(picture, height, width, height - 1, x, ring, n)
    for y in range(1, height - 1, down):
        n = _add_to_ring(picture, height, width, y, 0, ring, n)
        n = _add_to_ring(picture, height, width, y, width - 1, ring, n)
    return n


@inlined
def _add_to_ring(picture, height, width, y, x, ring, n):
    ring[n, 0] = picture[y * width + x]
    ring[n, 1] = x * 2.0 / max(1, width - 1) - 1
    ring[n, 2] = y * 2.0 / max(1, height - 1) - 1
    return n + 1


@inlined
def _light_at(light, x, y):
    return light[0] + light[1] * x + light[2] * y + light[3] * (x * x + y * y)


@inlined
def _add_equations(ring, n, light, is_first):
    """Fill light[8:24] with the weighted products of the basis with itself, light[24:28] with those with the border."""
    w = wx = wy = wd = wxx = wxy = wxd = wyy = wyd = wdd = wg = wgx = wgy = wgd = 0.0
    for pixel in range(n):
        grey, x, y = ring[pixel, 0], ring[pixel, 1], ring[pixel, 2]
        d = x * x + y * y
        weight = 1.0 if is_first else 1 / (abs(grey - _light_at(light, x, y)) + 1)
        weighted_x, weighted_y, weighted_d = weight * x, weight * y, weight * d
        w += weight
        wx += weighted_x
        wy += weighted_y
        wd += weighted_d
        wxx += weighted_x * x
        wxy += weighted_x * y
        wxd += weighted_x * d
        wyy += weighted_y * y
        wyd += weighted_y * d
        wdd += weighted_d * d
        wg += weight * grey
        wgx += weighted_x * grey
        wgy += weighted_y * grey
        wgd += weighted_d * grey
    # A picture of one row has no slope downwards: any unique answer will do.
    ridge = 1e-6 * w
    equations = light[8:28]
    equations[0], equations[1], equations[2], equations[3] = w, wx, wy, wd
    equations[4], equations[5], equations[6], equations[7] = wx, wxx + ridge, wxy, wxd
    equations[8], equations[9], equations[10], equations[11] = wy, wxy, wyy + ridge, wyd
    equations[12], equations[13], equations[14], equations[15] = wd, wxd, wyd, wdd + ridge
    equations[16], equations[17], equations[18], equations[19] = wg, wgx, wgy, wgd


@inlined
def _solve(light, n):
    """Fill light[4 : 4 + n] with the solution of the first n equations, by Gaussian elimination; the equations stay."""
    for i in range(20):
        light[28 + i] = light[8 + i]
    products, values = light[28:44], light[44:48]
    for i in range(n):
        pivot = max(products[5 * i], 1e-12)
        for row in range(i + 1, n):
            factor = products[4 * row + i] / pivot
            for column in range(i, n):
                products[4 * row + column] -= factor * products[4 * i + column]
            values[row] -= factor * values[i]
    for i in range(n - 1, -1, -1):
        for column in range(i + 1, n):
            values[i] -= products[4 * i + column] * values[column]
        values[i] /= max(products[5 * i], 1e-12)
    for i in range(n):
        light[4 + i] = values[i]


@inlined
def compare_with_light(picture, height, width, light, cubes):
    """Return the sum of the cubed distances from the light, and the share of pixels far from it.

    Cubing keeps the sign and weights large distances: below 0 the ink is dark. Of large pictures every other pixel of
    every other row is enough. cubes (width,) float32 is scratch: sums of columns, which wait for each other less than
    one sum would.
    """
    step = 2 if height * width > 2500 else 1
    n_columns = (width + step - 1) // step
    scale = np.float32(2 * step / max(1, width - 1))
    for i in range(n_columns):
        cubes[i] = 0
    n_far, n = 0, 0
    for y in range(0, height, step):
        row, factors = picture[y * width : (y + 1) * width], _row_of_light(light, y, height)
        if step == 2:
            n_far += _compare_row(row[::2], n_columns, factors, scale, cubes)
        else:
            n_far += _compare_row(row, n_columns, factors, scale, cubes)
        n += n_columns
    total = 0.0
    for i in range(n_columns):
        total += cubes[i]
    return total, n_far / n


@inlined
def _compare_row(row, n, factors, scale, cubes):
    """Add the cubed distances of n pixels to `cubes`; return how many are far from the light."""
    start, slope, bend = factors
    n_far = 0
    for i in range(n):
        place = np.float32(i) * scale - np.float32(1)
        far = np.float32(row[i]) - (start + slope * place + bend * place * place)
        cubes[i] += far * far * far
        n_far += abs(far) > UNLIKE
    return n_far


@inlined
def _row_of_light(light, y, height):
    """Return the factors of 1, x and x * x in row y, float32."""
    place = y * 2.0 / max(1, height - 1) - 1
    return (
        np.float32(light[0] + light[2] * place + light[3] * place * place),
        np.float32(light[1]),
        np.float32(light[3]),
    )


@inlined
def under_even_light(picture, height, width, light, is_dark, out, row):
    """Fill `out` with the picture as it would look under the light of its middle; as a negative if the ink is light.

    Dark ink takes a share of the light; light ink adds to it. `picture`, `out` and row (width,) float32, which is
    scratch, have SLACK more elements: a row is done in whole vectors, and the next one's pixels come after.
    """
    even = np.float32(min(255.0, max(1.0, light[0])))
    scale = np.float32(2 / max(1, width - 1))
    half, white = np.float32(0.5), np.float32(255)
    n = whole_vectors(width)
    for y in range(height):
        start, slope, bend = _row_of_light(light, y, height)
        for x in range(n):
            place = np.float32(x) * scale - np.float32(1)
            row[x] = start + slope * place + bend * place * place
        pixels, line = picture[y * width : y * width + n], out[y * width : y * width + n]
        if is_dark:
            for x in range(n):
                grey = np.float32(pixels[x]) * (even / max(row[x], DARKEST))
                line[x] = np.uint8(np.int32(min(white, grey) + half))
        else:
            for x in range(n):
                grey = white - np.float32(pixels[x]) + row[x]
                line[x] = np.uint8(np.int32(max(np.float32(0), min(white, grey)) + half))
