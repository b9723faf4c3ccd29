"""The likeliest text of a line, and the best way that reads it: a text's likelihood is the sum of all ways to read it.

The best way is not always one of the likeliest text, which strokes that may be cut in several places nearly alike can
read in many ways. A beam search keeps the likeliest beginnings up to each cut, and adds up the ways that read the same.
(Prefix beam search: Graves and Jaitly 2014, Towards end-to-end speech recognition with recurrent neural networks,
algorithm 1. Arcs are those of search.py.)
"""

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.numbers.search import NEVER, log_sum

BEAM = 8  # beginnings that are kept up to each cut
RARE = -7.0  # logarithm of a probability: a class below that is not tried

PARENT, LABEL, LENGTH, FIRST, NEXT, PLACE = range(6)  # columns of `begun`


@serial_kernel
def find_likeliest_text(starts, ends, counts, likely, costs, least, most, begun, kept, sums, found, found_sums, text):
    """Fill `text` (n,) int64 with the classes of the likeliest text of `least` to `most` glyphs; return its length.

    Returns 0 where no beginning that was kept became one. likely: float64 (n_arcs, n_classes), logarithms, and costs:
    float64 (n_arcs,) are taken off. Scratch: begun (m, 6) int32, found (m,) int32 and found_sums (m,) float64, for at
    most m beginnings; kept (n_cuts, BEAM) int32 and sums (n_cuts, BEAM) float64.
    """
    n_begun = _begin(begun, 0, -1, -1, 0)
    kept[:], sums[:] = -1, NEVER
    kept[0, 0], sums[0, 0] = 0, 0.0
    arc = 0
    while arc < len(starts):
        end, n_found = ends[arc], 0
        while arc < len(starts) and ends[arc] == end:
            for slot in range(BEAM):
                beginning = kept[starts[arc], slot]
                if beginning < 0:
                    break
                so_far = sums[starts[arc], slot] - costs[arc]
                if counts[arc] == 0:
                    n_found = _add(begun, beginning, so_far, found, found_sums, n_found)
                    continue
                for label in range(likely.shape[1]):
                    is_tried = likely[arc, label] > RARE and begun[beginning, LENGTH] < most
                    if is_tried and n_begun < len(begun):
                        longer = _longer(begun, beginning, label, n_begun)
                        n_begun = max(n_begun, longer + 1)
                        n_found = _add(begun, longer, so_far + likely[arc, label], found, found_sums, n_found)
            arc += 1
        _keep_likeliest(begun, found, found_sums, n_found, kept[end], sums[end])
    return _spell(begun, kept[-1], least, text)


@inlined
def _begin(begun, beginning, parent, label, length):
    """Note a beginning; return how many there are then."""
    begun[beginning, PARENT], begun[beginning, LABEL], begun[beginning, LENGTH] = parent, label, length
    begun[beginning, FIRST], begun[beginning, NEXT], begun[beginning, PLACE] = -1, -1, -1
    return beginning + 1


@inlined
def _longer(begun, beginning, label, n_begun):
    """Return the beginning that goes on with a class; it becomes the one numbered `n_begun` if it is new."""
    longer = begun[beginning, FIRST]
    while longer >= 0 and begun[longer, LABEL] != label:
        longer = begun[longer, NEXT]
    if longer >= 0:
        return longer
    _begin(begun, n_begun, beginning, label, begun[beginning, LENGTH] + 1)
    begun[n_begun, NEXT], begun[beginning, FIRST] = begun[beginning, FIRST], n_begun
    return n_begun


@inlined
def _add(begun, beginning, so_far, found, found_sums, n_found):
    """Add a way to those that were found to read a beginning up to a cut; return how many beginnings were found."""
    place = begun[beginning, PLACE]
    if place < 0:
        place, n_found = n_found, n_found + 1
        begun[beginning, PLACE] = place
        found[place], found_sums[place] = beginning, NEVER
    found_sums[place] = log_sum(found_sums[place], so_far)
    return n_found


@inlined
def _keep_likeliest(begun, found, found_sums, n_found, kept, sums):
    """Fill `kept` and `sums` with the likeliest of the beginnings found up to a cut, the likeliest first."""
    for place in range(n_found):
        begun[found[place], PLACE] = -1
    for slot in range(min(BEAM, n_found)):
        best = 0
        for place in range(1, n_found):
            if found_sums[place] > found_sums[best]:
                best = place
        kept[slot], sums[slot] = found[best], found_sums[best]
        found_sums[best] = NEVER


@inlined
def _spell(begun, kept, least, text):
    """Fill `text` with the likeliest of the texts kept that has at least `least` glyphs; return its length."""
    for slot in range(BEAM):
        beginning = kept[slot]
        if beginning >= 0 and begun[beginning, LENGTH] >= least:
            length = begun[beginning, LENGTH]
            for place in range(length - 1, -1, -1):
                text[place] = begun[beginning, LABEL]
                beginning = begun[beginning, PARENT]
            return length
    return 0


@serial_kernel
def find_best_way_of_text(starts, ends, scores, counts, text, table, before, way):
    """Fill `way` (n_arcs,) int64 with the arcs of the best way that reads `text`, from the last; return how many.

    text: int64 (m,), classes. scores: as in `add_ways_of_text`. table, before: (n_cuts, m + 1) float64 and int64.
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
    n, cut, read = 0, n_cuts - 1, len(text)
    while cut > 0 and table[cut, read] > NEVER:
        way[n] = before[cut, read]
        cut, read = starts[way[n]], read - counts[way[n]]
        n += 1
    return n
