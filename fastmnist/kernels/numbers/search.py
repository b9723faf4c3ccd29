"""The best path ("way") through the pieces of a line, and the sums of all ways and of those that read a text.

A line is cut before and after each piece; an arc leads from one cut to a later one, and reads the pieces between as one
glyph, or leaves them out. A way is a sequence of arcs from the first cut to the last. All this is dynamic programming.
(Matan, Burges, LeCun and Denker
1992, Multi-digit recognition using a space displacement neural network; LeCun, Bottou, Bengio and Haffner 1998,
section V.)
"""

import math

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel

NEVER = -np.inf


@serial_kernel
def weigh(shapes, counts, is_cut, probabilities, weights, rarer, least, doubted, costs, scores):
    """Compute the arcs' costs, and what networks say about their glyphs after doubt, by the weights of numbers/ways.py.

    shapes (n, 4) float64, counts (n,) int64 and is_cut (n,) bool are those of `find_arcs`. probabilities: float32
    (n, n_classes + 1), of each class and, last, of no digit; none is below `least`. weights: a tuple, the `Weights`.
    rarer: how many times rarer digits are here than the networks assume. doubted: float64, shaped like the
    probabilities; in it, a piece is less likely to be a digit than they say, and no digit has a cost. costs: float64
    (n,). scores: float64 (n,), those of the best class.
    """
    cut, per_cut, per_gap, low, height, wide, width, none, unknown, unknown_piece = weights[:10]
    left_out, left_out_piece, per_left_out = weights[10:]
    for arc in range(len(shapes)):
        crossed, gaps, high, broad = shapes[arc]
        cost, piece = (cut if crossed > 0 else 0.0) + per_cut * crossed, 1.0 if is_cut[arc] else 0.0
        if counts[arc]:
            lacking, over = max(0.0, height - high), max(0.0, broad - width)
            cost += per_gap * gaps + low * lacking * lacking + wide * over * over
        else:
            cost += left_out + left_out_piece * piece + per_left_out * high * broad
        likelier = math.exp(none * piece) * rarer
        most = _doubt(probabilities[arc], least, likelier, unknown + unknown_piece * piece, doubted[arc])
        costs[arc], scores[arc] = cost, (math.log(most) if counts[arc] else 0.0) - cost


@inlined
def _doubt(probabilities, least, likelier, unknown, doubted):
    """Fill `doubted` with an arc's probabilities after all kinds of doubt; return the largest.

    No digit is `likelier` times as likely as they say, and costs `unknown`, a logarithm.
    """
    last, total = len(doubted) - 1, 0.0
    for label in range(last + 1):
        doubted[label] = max(np.float64(probabilities[label]), least) * (likelier if label == last else 1.0)
        total += doubted[label]
    most = 0.0
    for label in range(last + 1):
        doubted[label] *= (math.exp(-unknown) if label == last else 1.0) / total
        most = max(most, doubted[label])
    return most


@serial_kernel
def find_best_way(starts, ends, scores, counts, least, most, table, before, way):
    """Fill `way` (n_arcs,) int64 with the arcs of the best way, from the last to the first; return how many.

    Returns 0 if no way reads `least` to `most` glyphs. Arc i leads from cut starts[i] to a later cut, ends[i]; its
    logarithmic score is scores[i], float64, and it reads counts[i] glyphs, 0 or 1. Arcs are in the order of their ends.
    table, before: (n_cuts, most + 1) float64 and int64, scratch.
    """
    n_cuts = len(table)
    table[:] = NEVER
    table[0, 0] = 0.0
    for arc in range(len(starts)):
        start, end, step = starts[arc], ends[arc], counts[arc]
        for count in range(step, most + 1):
            score = table[start, count - step] + scores[arc]
            if score > table[end, count]:
                table[end, count], before[end, count] = score, arc
    count = _best_count(table[n_cuts - 1], least, most)
    if count < 0:
        return 0
    return _trace_back(starts, counts, before, n_cuts - 1, count, way)


@inlined
def _trace_back(starts, counts, before, cut, count, way):
    """Fill `way` with the arcs that lead to a cut with `count` glyphs, from the last; return how many."""
    n = 0
    while cut > 0:
        arc = before[cut, count]
        way[n] = arc
        n += 1
        cut, count = starts[arc], count - counts[arc]
    return n


@inlined
def _best_count(scores, least, most):
    best = -1
    for count in range(least, most + 1):
        if scores[count] > NEVER and (best < 0 or scores[count] > scores[best]):
            best = count
    return best


@serial_kernel
def add_all_ways(starts, ends, scores, counts, least, most, table):
    """Return the logarithm of the sum of all ways' scores that read `least` to `most` glyphs, see `find_best_way`."""
    n_cuts = len(table)
    table[:] = NEVER
    table[0, 0] = 0.0
    for arc in range(len(starts)):
        start, end, step = starts[arc], ends[arc], counts[arc]
        for count in range(step, most + 1):
            table[end, count] = log_sum(table[end, count], table[start, count - step] + scores[arc])
    total = NEVER
    for count in range(least, most + 1):
        total = log_sum(total, table[n_cuts - 1, count])
    return total


@serial_kernel
def add_ways_of_text(starts, ends, scores, counts, text, table):
    """Return the logarithm of the sum of the scores of all ways that read a text.

    text: int64 (m,), the classes of its glyphs.
    scores: float64 (n, n_classes + 1), of each arc where it reads each class or, last, no digit; arcs that read none
        have it in column 0.
    table: float64 (n_cuts, m + 1), scratch.
    """
    n_cuts = len(table)
    table[:] = NEVER
    table[0, 0] = 0.0
    for arc in range(len(starts)):
        start, end, step = starts[arc], ends[arc], counts[arc]
        for read in range(step, len(text) + 1):
            score = scores[arc, text[read - 1]] if step else scores[arc, 0]
            table[end, read] = log_sum(table[end, read], table[start, read - step] + score)
    return table[n_cuts - 1, len(text)]


@serial_kernel
def find_best_way_of_text(starts, ends, scores, counts, text, table, before, way):
    """Fill `way` (n_arcs,) int64 with the arcs of the best way that reads `text`, from the last; return how many.

    There must be one. text, scores: as in `add_ways_of_text`. table, before: (n_cuts, m + 1) float64 and int64 are
    scratch.
    """
    n_cuts = len(table)
    table[:] = NEVER
    table[0, 0] = 0.0
    for arc in range(len(starts)):
        start, end, step = starts[arc], ends[arc], counts[arc]
        for read in range(step, len(text) + 1):
            score = table[start, read - step] + scores[arc, text[read - 1] if step else 0]
            if score > table[end, read]:
                table[end, read], before[end, read] = score, arc
    return _trace_back(starts, counts, before, n_cuts - 1, len(text), way)


@inlined
def log_sum(one, other):
    """Return log(exp(one) + exp(other))."""
    high, low = max(one, other), min(one, other)
    return high if low == NEVER else high + np.log1p(np.exp(low - high))
