"""Blocks of batches, compressed for the training kernel; what is the same in every epoch is compressed once.

Compressing MNIST anew took 30 % of an epoch of 784-100-10 with batches of 128, and 45 % with batches of 32.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmnist.kernels.compress import compress, compress_rows, count_nonzero, divide
from fastmnist.kernels.dense import Tiles, make_tiles
from fastmnist.kernels.jit import n_threads
from fastmnist.kernels.sparse import CSC, CSR, index_type, make_csc, make_csr
from fastmnist.model.network import Float32, Order, Uint8, pad_inputs

KEPT_BYTES = 2**29  # at most, from epoch to epoch; MNIST takes 55 MB where it is shuffled, else 146 MB

Counts = NDArray[np.int64]  # of the inputs of each sample that are not 0


class Places(NamedTuple):
    """Where the rows of samples begin and end, and how many places they take; after each row there is one more."""

    starts: Order
    ends: Order
    size: int


NO_ROWS: CSR = make_csr(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0)


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs (n_samples, n_in) float32 without their zeros, where an array of them would do."""

    csr: CSR
    n_in: int
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of samples and of inputs."""
        return len(self.csr.starts), self.n_in

    def __len__(self) -> int:
        return len(self.csr.starts)

    def __getitem__(self, part: slice) -> "Rows":
        """Return some of the samples."""
        return Rows(self.csr._replace(starts=self.csr.starts[part], ends=self.csr.ends[part]), self.n_in)


Inputs = Uint8 | Float32 | Rows


class Block(NamedTuple):
    """Some batches as the kernel takes them; which of them are dense, `tiles.is_dense` says."""

    csr: CSR
    csc: CSC
    tiles: Tiles

    @property
    def n_bytes(self) -> int:
        """The memory that it takes."""
        return sum(array.nbytes for arrays in self for array in arrays)


class Blocks:
    """Compresses blocks of up to `max_samples` samples, each into the memory of the one before."""

    def __init__(self, n_in: int, batch_size: int, max_samples: int) -> None:
        """Make room for samples of any density; `max_samples` is a multiple of `batch_size`."""
        self.n_in, self.batch_size = n_in, batch_size
        room = Places(np.zeros(max_samples, np.int64), np.zeros(max_samples, np.int64), max_samples * (n_in + 1))
        self.room = _make_block(np.zeros(max_samples // batch_size, np.bool_), room, room, n_in, batch_size)
        self._no_inputs = pad_inputs(np.zeros((0, n_in), np.float32))  # in place of those that are there as rows

    def of(self, inputs: Inputs, order: Order, n_parts: int | None = None) -> Block:
        """Return the samples `order` (n,) of `inputs` (n_samples, n_in), compressed, until the next call.

        The work is done in `n_parts` parts, by default one for each thread that kernels may use.
        """
        if isinstance(inputs, Rows):
            rows, inputs = inputs.csr, self._no_inputs
            block = self._placed(rows.ends[order] - rows.starts[order])
        else:
            rows, inputs = NO_ROWS, pad_inputs(inputs)
            block = self._placed(_count(inputs, order))
        compress.with_parts(n_parts or n_threads(), inputs, order, self.batch_size, rows, *block)
        return block

    def _placed(self, counts: Counts) -> Block:
        """Return an unfilled block for samples with `counts` non-zero inputs."""
        is_dense, lists, rows = divided(counts, self.n_in, self.batch_size)
        csr, csc, tiles = self.room
        return Block(
            csr._replace(starts=lists.starts, ends=lists.ends),
            csc._replace(starts=lists.starts[:: self.batch_size].copy()),
            tiles._replace(is_dense=is_dense, starts=rows.starts, ends=rows.ends),
        )


class KeptRows(Blocks):
    """Blocks of the same inputs, shuffled anew in each epoch: the rows of all are kept, columns are a batch's own."""

    def __init__(self, n_in: int, batch_size: int, max_samples: int) -> None:
        super().__init__(n_in, batch_size, max_samples)
        self._inputs: Uint8 | Float32 | None = None
        self._rows = Rows(NO_ROWS, n_in)

    def of(self, inputs: Inputs, order: Order, n_parts: int | None = None) -> Block:
        """Return the samples, compressed, until the next call; the first with `inputs` compresses the rows of all."""
        if not isinstance(inputs, Rows):
            if inputs is not self._inputs:
                self._inputs = inputs if len(order) else inputs[:0]  # no samples: the kernels are to be compiled
                self._rows = Rows(rows_of(self._inputs), self.n_in)
            inputs = self._rows if len(self._rows) else inputs
        return super().of(inputs, order, n_parts)


class KeptBlocks(Blocks):
    """The same blocks of the same inputs in every epoch: those are kept that there is memory for."""

    def __init__(self, n_in: int, batch_size: int, max_samples: int) -> None:
        super().__init__(n_in, batch_size, max_samples)
        self._inputs: Inputs | None = None
        self._kept: dict[bytes, Block] = {}
        self._n_bytes = 0

    def of(self, inputs: Inputs, order: Order, n_parts: int | None = None) -> Block:
        """Return the samples, compressed: from the second time on they are there already."""
        if inputs is not self._inputs:
            self._inputs, self._kept, self._n_bytes = inputs, {}, 0
        key = order.tobytes()
        if key in self._kept:
            return self._kept[key]
        block = super().of(inputs, order, n_parts)
        if block.csr.data is not self.room.csr.data:
            self._kept[key] = block
        return block

    def _placed(self, counts: Counts) -> Block:
        """Return an unfilled block in memory of its own, while there is some."""
        is_dense, lists, rows = divided(counts, self.n_in, self.batch_size)
        block = _make_block(is_dense, lists, rows, self.n_in, self.batch_size)
        if self._n_bytes + block.n_bytes > KEPT_BYTES:
            return super()._placed(counts)
        self._n_bytes += block.n_bytes
        return block


def _count(inputs: Uint8 | Float32, order: Order) -> Counts:
    """Return how many inputs of each of the samples `order` are not 0."""
    counts = np.empty(len(order), np.int64)
    count_nonzero(inputs, order, counts)
    return counts


def divided(counts: Counts, n_in: int, batch_size: int) -> tuple[NDArray[np.bool_], Places, Places]:
    """Return which batches are dense, places for the lists of the others' samples, and for the rows of theirs."""
    is_dense = np.empty(-(-len(counts) // batch_size), np.bool_)
    starts_and_ends = np.empty((4, len(counts)), np.int64)
    divide(counts, n_in, batch_size, is_dense, *starts_and_ends)
    lists, rows = starts_and_ends[:2], starts_and_ends[2:]
    return is_dense, _places(*lists), _places(*rows)


def _places(starts: Order, ends: Order) -> Places:
    return Places(starts, ends, int(ends[-1]) + 1 if len(ends) else 0)


def _make_block(is_dense: NDArray[np.bool_], lists: Places, rows: Places, n_in: int, batch_size: int) -> Block:
    """Return an unfilled block."""
    return Block(
        make_csr(*lists, n_in),
        make_csc(lists.starts[::batch_size].copy(), lists.size, n_in, batch_size),
        make_tiles(is_dense, *rows, n_in, batch_size),
    )


def bytes_listed(n_in: int) -> int:
    """Return how many bytes an input takes in a CSR: its value and its index."""
    return int(np.dtype(index_type(n_in)).itemsize) + 4


def rows_of(inputs: Uint8 | Float32) -> CSR:
    """Return the CSR of all `inputs`, or an empty one where it would take too much memory."""
    padded, order = pad_inputs(inputs), np.arange(len(inputs))
    counts = _count(padded, order)
    places = np.concatenate([[0], np.cumsum(counts + 1, dtype=np.int64)])
    rows: CSR = make_csr(places[:-1], places[1:] - 1, int(places[-1]), padded.shape[1])
    if sum(array.nbytes for array in rows) > KEPT_BYTES:
        return NO_ROWS
    compress_rows(padded, order, rows)
    return rows
