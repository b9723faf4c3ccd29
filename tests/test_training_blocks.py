"""Blocks that are kept from epoch to epoch are those that are compressed anew."""

import numpy as np
import pytest
from kernel_builds import sparse_pixels

from fastmnist.kernels.jit import using_threads
from fastmnist.training import blocks as blocks_module
from fastmnist.training import loop as loop_module
from fastmnist.training.blocks import NO_ROWS, Blocks, KeptBlocks, KeptRows, Rows
from fastmnist.training.loop import EpochDone, Training
from fastmnist.training.recipes import NO_AUGMENTATION, SEED

N_SAMPLES, N_IN, BATCH_SIZE = 300, 136, 12
KINDS = [KeptRows, KeptBlocks]


def mixed_inputs(dtype=np.uint8, n_in=N_IN):
    """Samples, some of which have few zeros, so that some batches are dense and some are not."""
    rng = np.random.default_rng(n_in)
    pixels = sparse_pixels(rng, N_SAMPLES, n_in, 0.9)
    pixels[: N_SAMPLES * 2 // 3] *= rng.random((N_SAMPLES * 2 // 3, n_in)) < 0.2
    pixels[7] = 0
    return pixels if dtype == np.uint8 else pixels / np.float32(7)


def orders():
    """The blocks of an epoch in file order, the last batch smaller; and of one that is shuffled."""
    shuffled = np.random.default_rng(5).permutation(N_SAMPLES)
    return [
        order[first : first + 96] for order in (np.arange(N_SAMPLES), shuffled) for first in range(0, N_SAMPLES, 96)
    ]


def contents(block, batch_size=BATCH_SIZE):
    """What the training kernel finds in a block, wherever it lies."""
    csr, csc, tiles = block
    found = [tiles.is_dense.tolist()]
    for batch, dense in enumerate(tiles.is_dense):
        samples = range(batch * batch_size, min((batch + 1) * batch_size, len(csr.starts)))
        if dense:
            found.extend(tiles.data[tiles.starts[s] : tiles.ends[s]].tobytes() for s in samples)
            found.extend([tiles.inputs[batch].tobytes(), tiles.samples[batch, :, : len(samples)].tobytes()])
            last = samples[len(samples) // 8 * 8 :]
            found.extend(tiles.indices[tiles.starts[s] : tiles.ends[s] + 1].tobytes() for s in last)
        else:
            found.extend(csr.data[csr.starts[s] : csr.ends[s]].tobytes() for s in samples)
            found.extend(csr.indices[csr.starts[s] : csr.ends[s] + 1].tobytes() for s in samples)
            start, end = csc.starts[batch], csc.ends[batch, -1]
            found.extend([csc.data[start:end].tobytes(), csc.indices[start:end].tobytes()])
            found.extend([csc.order[batch].tobytes(), (csc.ends[batch] - start).tobytes()])
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_in", [3, 100, N_IN])
@pytest.mark.parametrize("kind", KINDS)
def test_kept_blocks_are_those_that_are_compressed_anew(kind, n_in, dtype):
    inputs = mixed_inputs(dtype, n_in)
    kept, anew = kind(n_in, BATCH_SIZE, 96), Blocks(n_in, BATCH_SIZE, 96)
    kept.of(inputs, np.zeros(0, np.int64))  # as compiling does
    seen = set()
    for order in orders() * 2:
        expected = anew.of(inputs, order)
        seen.update(expected.tiles.is_dense.tolist())
        assert contents(kept.of(inputs, order)) == contents(expected)
    assert seen == ({True, False} if n_in == N_IN else {False})


@pytest.mark.parametrize("kind", KINDS)
def test_other_inputs_are_not_taken_for_those_that_are_kept(kind):
    kept, order = kind(N_IN, BATCH_SIZE, 96), np.arange(96)
    for inputs in (mixed_inputs(), mixed_inputs()[::-1].copy(), mixed_inputs(np.float32)):
        assert contents(kept.of(inputs, order)) == contents(Blocks(N_IN, BATCH_SIZE, 96).of(inputs, order))


def test_blocks_are_kept_while_there_is_memory(monkeypatch):
    inputs, in_file_order = mixed_inputs(), orders()[:4]
    one = KeptBlocks(N_IN, BATCH_SIZE, 96).of(inputs, in_file_order[0]).n_bytes
    monkeypatch.setattr(blocks_module, "KEPT_BYTES", int(2.5 * one))
    kept = KeptBlocks(N_IN, BATCH_SIZE, 96)
    first, second = ([kept.of(inputs, order) for order in in_file_order] for _ in range(2))
    stayed = [block is again for block, again in zip(first, second, strict=True)]
    assert stayed[:2] == [True, True]
    assert not all(stayed)
    assert sum(block.n_bytes for block, stays in zip(first, stayed, strict=True) if stays) <= int(2.5 * one)
    for order in in_file_order:
        assert contents(kept.of(inputs, order)) == contents(Blocks(N_IN, BATCH_SIZE, 96).of(inputs, order))


@pytest.mark.parametrize("spare", [-1, 0])
def test_rows_are_kept_if_there_is_memory_for_all_of_them(spare, monkeypatch):
    inputs = mixed_inputs()
    n_bytes = 6 * np.count_nonzero(inputs) + 6 * N_SAMPLES + 16 * N_SAMPLES  # lists, their ends, where they are
    monkeypatch.setattr(blocks_module, "KEPT_BYTES", n_bytes + spare)
    assert (blocks_module.rows_of(inputs) is NO_ROWS) == (spare < 0)
    kept = KeptRows(N_IN, BATCH_SIZE, 96)
    for order in orders():
        assert contents(kept.of(inputs, order)) == contents(Blocks(N_IN, BATCH_SIZE, 96).of(inputs, order))


@pytest.mark.parametrize("kind", [Blocks, KeptRows, KeptBlocks])
def test_rows_do_for_the_inputs_that_they_are_of(kind):
    inputs = mixed_inputs(np.float32)
    rows, blocks = Rows(blocks_module.rows_of(inputs), N_IN), kind(N_IN, BATCH_SIZE, 96)
    assert (rows.shape, rows.dtype, len(rows[7:20])) == (inputs.shape, inputs.dtype, 13)
    for order in orders() * 2:
        assert contents(blocks.of(rows, order)) == contents(Blocks(N_IN, BATCH_SIZE, 96).of(inputs, order))


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_training_gives_the_same_bytes_whatever_is_kept(shuffle, n_threads, monkeypatch):
    pixels = mixed_inputs()
    labels = (pixels[:, 0] % 3).astype(np.uint8)
    recipe = SEED.with_settings(hidden=(20,), epochs=3, batch_size=BATCH_SIZE, shuffle=shuffle, augment=NO_AUGMENTATION)
    monkeypatch.setattr(loop_module, "SAMPLES_PER_CALL", 96)
    trained = []
    for kept_bytes in (2**29, 20_000, 0):
        monkeypatch.setattr(blocks_module, "KEPT_BYTES", kept_bytes)
        with using_threads(n_threads):
            training = Training(pixels, labels, recipe, n_classes=3)
            losses = [event.train_loss for event in training.run() if isinstance(event, EpochDone)]
        trained.append((training.network.parameters.tobytes(), losses))
    assert trained[0] == trained[1] == trained[2]
