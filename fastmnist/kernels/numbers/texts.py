"""The likeliest text of a line, whose likelihood is the sum of all ways to read it.

The best way need not read the likeliest text: a stroke that can be cut in several places nearly alike gives one text
many ways. A beam search keeps the likeliest prefixes up to each cut, and adds up the ways that read the same. (Hannun,
Maas, Jurafsky and Ng 2014, First-pass large vocabulary continuous speech recognition using bi-directional recurrent
DNNs, algorithm 1. Arcs are those of search.py.)
"""

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.numbers.search import NEVER, log_sum

BEAM = 8  # prefixes that are kept up to each cut
RARE = 7.0  # classes are not tried whose logarithm is that much below that of the arc's best class

PARENT, LABEL, LENGTH, FIRST, NEXT, PLACE = range(6)  # columns of `prefixes`


@serial_kernel
def find_likeliest_text(starts, ends, scores, counts, least, most, prefixes, kept, sums, found, found_sums, text):
    """Fill `text` (n_cuts,) int64 with the classes of the likeliest text of `least` to `most` glyphs.

    Returns its length, 0 if none of the prefixes that were kept became such a text. scores: as in `add_ways_of_text`.
    Scratch: prefixes (m, 6) int32, found (m,) int32, found_sums (m,) float64, for m = BEAM * (n_classes + 1) * n_cuts;
    kept (n_cuts, BEAM) int32 and sums (n_cuts, BEAM) float64.
    """
    _begin(prefixes, 0, -1, -1, 0)
    kept[:], sums[:] = -1, NEVER
    kept[0, 0], sums[0, 0] = 0, 0.0
    arc, n_prefixes = 0, 1
    while arc < len(starts):
        end, n_found = ends[arc], 0
        shortest = least - (len(kept) - 1 - end)  # what is shorter can't become long enough
        while arc < len(starts) and ends[arc] == end:
            rare = _largest(scores[arc]) - RARE
            for slot in range(BEAM):
                prefix, so_far = kept[starts[arc], slot], sums[starts[arc], slot]
                if prefix < 0:
                    break
                length = prefixes[prefix, LENGTH] + counts[arc]
                if not shortest <= length <= most:
                    continue
                if counts[arc] == 0:
                    n_found = _add(prefixes, prefix, so_far + scores[arc, 0], found, found_sums, n_found)
                    continue
                for label in range(scores.shape[1]):
                    if scores[arc, label] >= rare:
                        longer = _extended(prefixes, prefix, label, n_prefixes)
                        n_prefixes = max(n_prefixes, longer + 1)
                        n_found = _add(prefixes, longer, so_far + scores[arc, label], found, found_sums, n_found)
            arc += 1
        _keep_likeliest(prefixes, found, found_sums, n_found, kept[end], sums[end])
    return _spell(prefixes, kept[-1, 0], text)


@inlined
def _largest(scores):
    largest = NEVER
    for score in scores:
        largest = max(largest, score)
    return largest


@inlined
def _begin(prefixes, prefix, parent, label, length):
    prefixes[prefix, PARENT], prefixes[prefix, LABEL], prefixes[prefix, LENGTH] = parent, label, length
    prefixes[prefix, FIRST], prefixes[prefix, NEXT], prefixes[prefix, PLACE] = -1, -1, -1


@inlined
def _extended(prefixes, prefix, label, n_prefixes):
    """Return the prefix extended by `label`; it becomes the one numbered `n_prefixes` if it is new."""
    longer = prefixes[prefix, FIRST]
    while longer >= 0 and prefixes[longer, LABEL] != label:
        longer = prefixes[longer, NEXT]
    if longer >= 0:
        return longer
    _begin(prefixes, n_prefixes, prefix, label, prefixes[prefix, LENGTH] + 1)
    prefixes[n_prefixes, NEXT], prefixes[prefix, FIRST] = prefixes[prefix, FIRST], n_prefixes
    return n_prefixes


@inlined
def _add(prefixes, prefix, score, found, found_sums, n_found):
    """Add a way to those found to read a prefix up to a cut; return how many prefixes were found."""
    place = prefixes[prefix, PLACE]
    if place < 0:
        place, n_found = n_found, n_found + 1
        prefixes[prefix, PLACE] = place
        found[place], found_sums[place] = prefix, NEVER
    found_sums[place] = log_sum(found_sums[place], score)
    return n_found


@inlined
def _keep_likeliest(prefixes, found, found_sums, n_found, kept, sums):
    """Fill `kept` and `sums` with the likeliest of the prefixes found up to a cut, the likeliest first."""
    for place in range(n_found):
        prefixes[found[place], PLACE] = -1
    for slot in range(min(BEAM, n_found)):
        best = 0
        for place in range(1, n_found):
            if found_sums[place] > found_sums[best]:
                best = place
        kept[slot], sums[slot] = found[best], found_sums[best]
        found_sums[best] = NEVER


@inlined
def _spell(prefixes, prefix, text):
    """Fill `text` with the classes of a prefix, none if it is below 0; return its length."""
    if prefix < 0:
        return 0
    length = prefixes[prefix, LENGTH]
    for place in range(length - 1, -1, -1):
        text[place] = prefixes[prefix, LABEL]
        prefix = prefixes[prefix, PARENT]
    return length
