"""The light on the paper: a smooth surface is fitted to the picture's border and removed from the picture.

It also decides whether ink is darker or lighter than paper, and whether much of the picture is neither.
"""

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.work import whole_registers

PER_SIDE = 40  # pixels of each side that the surface is fitted to, about
N_FITS = 6  # at most,
CONVERGED = 0.5  # grey levels: or until all factors together move by less
UNLIKE = np.float32(24)  # grey levels away from the light: not its paper
MIXED = 24.0  # mean distance of the border from its own fit, in grey levels, above which several things lie there
DARKEST = np.float32(8)  # grey levels: light is not divided by less


@inlined
def fit_light(picture, height, width, sides, light):
    """Fit the light to the border; return its mean distance from it, in grey levels.

    light[:4] get the factors of 1, x, y and x * x + y * y, for x and y from -1 to 1; light[4:] and `sides` are scratch.

    Most of the border is paper, perhaps lit from one side and darker far from the middle: a plane plus the squared
    distance. (Separate x and y squares would follow a digit that touches two opposite sides; a square that rises would
    follow one that touches all four.) Iteratively reweighted least squares minimise the absolute residuals, so strokes
    that cross the border don't bend the surface.
    """
    n_across, n_down = _read_sides(picture, height, width, sides)
    for i in range(4):
        light[i] = 0
    for fit in range(N_FITS):
        change = _fit_once(sides, n_across, n_down, light, fit == 0)
        if change < CONVERGED:
            break
    total = _sum_of_distances(sides, 0, n_across, light, 1, 2)
    total += _sum_of_distances(sides, n_across, n_down, light, 2, 1)
    return total / (2 * n_across + 2 * n_down)


@inlined
def _fit_once(sides, n_across, n_down, light, is_first):
    """Fit the light once more, each pixel weighted by the inverse of its distance from the last fit.

    Returns how far the factors moved. light[4:8], [8:24] and [24:28] are the unknowns, the equations and their right
    sides. On the border x or y is 1 or -1, and what is left of x * x + y * y after subtracting 1 is the other's square.
    """
    equations = light[8:28]
    for i in range(20):
        equations[i] = 0
    _weigh(sides, 0, n_across, light, 1, 2, is_first)
    _weigh(sides, n_across, n_down, light, 2, 1, is_first)
    _add_equations(sides, 0, n_across, 1, 2, equations)
    _add_equations(sides, n_across, n_down, 2, 1, equations)
    for i in range(5, 16, 5):  # a picture of one row has no slope downwards: any unique answer will do
        equations[i] += 1e-6 * equations[0]
    _solve(light, 4)
    if light[7] > 0:
        _solve(light, 3)
        light[7] = 0
    light[4] -= light[7]
    change = 0.0
    for i in range(4):
        change += abs(light[4 + i] - light[i])
        light[i] = light[4 + i]
    return change


@inlined
def _read_sides(picture, height, width, sides):
    """Fill sides[:3] with places along the border, from -1 to 1, evenly chosen, and the greys of the two sides there.

    Returns how many there are along the upper and lower side, which come first, and along the left and right.
    """
    across, down = max(1, width // PER_SIDE), max(1, height // PER_SIDE)
    places, near, far = sides[0], sides[1], sides[2]
    n = 0
    for x in range(0, width, across):
        places[n], near[n], far[n] = x * 2.0 / max(1, width - 1) - 1, picture[x], picture[(height - 1) * width + x]
        n += 1
    n_across = n
    for y in range(1, height - 1, down):
        places[n] = y * 2.0 / max(1, height - 1) - 1
        near[n], far[n] = picture[y * width], picture[(y + 1) * width - 1]
        n += 1
    return n_across, n - n_across


@inlined
def _find_distances(sides, first, n, light, along, across):
    """Fill sides[3:5] with how far n pixels of two opposite sides are from the light.

    light[along] is the factor of their places, light[across] that of what is -1 on one side and 1 on the other.
    """
    end = first + n
    places, near, far = sides[0, first:end], sides[1, first:end], sides[2, first:end]
    of_near, of_far = sides[3, first:end], sides[4, first:end]
    middle, slope, bend, step = light[0] + light[3], light[along], light[3], light[across]
    for i in range(n):
        place = places[i]
        level = middle + slope * place + bend * (place * place)
        of_near[i] = abs(near[i] - level + step)
        of_far[i] = abs(far[i] - level - step)


@inlined
def _sum_of_distances(sides, first, n, light, along, across):
    _find_distances(sides, first, n, light, along, across)
    total = other = 0.0
    for i in range(first, first + n):
        total += sides[3, i]
        other += sides[4, i]
    return total + other


@inlined
def _weigh(sides, first, n, light, along, across, is_first):
    """Fill sides[3:5] with the sums and differences of opposite pixels' weights, [5:7] with those of weighted greys."""
    _find_distances(sides, first, n, light, along, across)
    end = first + n
    near, far, of_near, of_far = sides[1, first:end], sides[2, first:end], sides[3, first:end], sides[4, first:end]
    sums, differences = of_near, of_far  # written where the distances were
    grey, grey_apart = sides[5, first:end], sides[6, first:end]
    for i in range(n):
        one = 1.0 if is_first else 1 / max(1.0, of_near[i] + 1)
        other = 1.0 if is_first else 1 / max(1.0, of_far[i] + 1)
        sums[i], differences[i] = other + one, other - one
        grey[i], grey_apart[i] = other * far[i] + one * near[i], other * far[i] - one * near[i]


@inlined
def _add_equations(sides, first, n, along, across, equations):
    """Add the weighted products of the basis with itself, and with the greys, over two opposite sides.

    What is -1 on one side and 1 on the other takes the difference of their weights, v, and of their weighted greys, h;
    all else takes the sums, w and g, with powers of the place along the sides, x. These are 12 sums for two pixels
    instead of 28, and take half the time.
    """
    w = wx = wxx = wxxx = wxxxx = v = vx = vxx = g = gx = gxx = h = 0.0
    for i in range(first, first + n):
        x, weight, difference, grey = sides[0, i], sides[3, i], sides[4, i], sides[5, i]
        xx = x * x
        w += weight
        wx += weight * x
        wxx += weight * xx
        wxxx += weight * xx * x
        wxxxx += weight * xx * xx
        v += difference
        vx += difference * x
        vxx += difference * xx
        g += grey
        gx += grey * x
        gxx += grey * xx
        h += sides[6, i]
    equations[0] += w
    _add_both(equations, 0, along, wx)
    _add_both(equations, 0, across, v)
    _add_both(equations, 0, 3, wxx)
    equations[5 * along] += wxx
    _add_both(equations, along, across, vx)
    _add_both(equations, along, 3, wxxx)
    equations[5 * across] += w
    _add_both(equations, across, 3, vxx)
    equations[15] += wxxxx
    equations[16] += g
    equations[16 + along] += gx
    equations[16 + across] += h
    equations[19] += gxx


@inlined
def _add_both(equations, one, other, value):
    """Add to both of a symmetric matrix's elements."""
    equations[4 * one + other] += value
    equations[4 * other + one] += value


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
def compare_with_light(picture, height, width, light, cubes, far):
    """Return the sum of the cubed distances from the light, and the share of pixels far from it.

    Cubing keeps the sign and weights large distances: below 0 the ink is dark. Of large pictures every other pixel of
    every other row is enough. cubes float32 and far int32, both (width,), are scratch: columns' sums, which wait for
    each other less than one sum would, and numbers of pixels far from the light. All columns have them, as leaving some
    out takes longer. These and `picture` have SLACK more elements: a row is done in whole registers.
    """
    step = 2 if height * width > 2500 else 1
    scale = np.float32(2 / max(1, width - 1))
    n = whole_registers(width)
    for x in range(n):
        cubes[x] = far[x] = 0
    for y in range(0, height, step):
        start, slope, bend = _row_of_light(light, y, height)
        pixels = picture[y * width : y * width + n]
        for x in range(n):
            place = np.float32(np.int32(x)) * scale - np.float32(1)
            distance = np.float32(pixels[x]) - (start + slope * place + bend * place * place)
            cubes[x] += distance * distance * distance
            far[x] += np.int32(abs(distance) > UNLIKE)
    total, n_far = 0.0, 0
    for x in range(0, width, step):
        total += cubes[x]
        n_far += far[x]
    return total, n_far / (((height + step - 1) // step) * ((width + step - 1) // step))


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
def under_even_light(picture, height, width, light, is_dark, out):
    """Fill `out` with the picture as it would look under the light of its middle; as a negative if the ink is light.

    Dark ink takes a share of the light; light ink adds to it. `picture` and `out` have SLACK more elements: a row is
    done in whole registers, and the next one's pixels come after.
    """
    even = np.float32(min(255.0, max(1.0, light[0])))
    scale = np.float32(2 / max(1, width - 1))
    half, white = np.float32(0.5), np.float32(255)
    n = whole_registers(width)
    for y in range(height):
        start, slope, bend = _row_of_light(light, y, height)
        pixels, line = picture[y * width : y * width + n], out[y * width : y * width + n]
        for x in range(n):
            place = np.float32(np.int32(x)) * scale - np.float32(1)
            paper = start + slope * place + bend * place * place
            if is_dark:
                grey = np.float32(pixels[x]) * (even / max(paper, DARKEST))
            else:
                grey = max(np.float32(0), white - np.float32(pixels[x]) + paper)
            line[x] = np.uint8(np.int32(min(white, grey) + half))
