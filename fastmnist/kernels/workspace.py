"""What the parts of a training step work on: the batches, and working memory, of which each part has its own."""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.dense import Tiles
from fastmnist.kernels.dense_batches import DenseParts
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.layout import aligned_zeros
from fastmnist.kernels.matmul import DEPTH_BLOCK
from fastmnist.kernels.sgd import StepScalars
from fastmnist.kernels.simd import LANES, MAX_REGISTERS
from fastmnist.kernels.sparse import CSC, CSR
from fastmnist.kernels.tiles import TILE_REGISTERS, TILE_ROWS

AT, WANTED = range(2)  # of Workspace.sparse_product


class Batches(NamedTuple):
    """The samples of some batches: their inputs, as compress.py has filled them, and their labels."""

    csr: CSR
    csc: CSC
    tiles: Tiles
    labels: np.ndarray  # (n_samples,) uint8
    batch_size: int


class Workspace(NamedTuple):
    """Working memory; in arrays with a row per part, each row belongs to one part alone."""

    activations: np.ndarray  # n_parts times room for batch_size rows of all hidden layers' outputs: see columns_of
    deltas: np.ndarray  # the loss's gradient with respect to these
    partial_logits: np.ndarray  # (2, registers of the last hidden layer, batch_size * stride): see add_partial_logits
    output_deltas: np.ndarray  # (n_parts, batch_size * stride)
    panels: np.ndarray  # (n_parts, room for DEPTH_BLOCK rows of a tile, or 16 columns of a batch)
    gradients: np.ndarray  # (n_parts, room for a tile, 16 rows of a few registers, or a row of biases)
    cursors: np.ndarray  # (n_parts, batch_size) int64
    first_weights: np.ndarray  # (n_registers * n_in * 16,): the first layer's weights, packed; see pack_first
    first_velocities: np.ndarray  # theirs; may be empty where there is no momentum
    sparse_product: np.ndarray  # (2,) int64: AT, the address of products.sparse_product or 0; WANTED, whether it is
    totals: np.ndarray  # (2,) float64: sum of cross-entropies, number of correct predictions


class Training(NamedTuple):
    """All that the parts of a step work on."""

    parameters: Parameters
    batches: Batches
    workspace: Workspace
    scalars: StepScalars
    dense: DenseParts


def make_workspace(layers, batch_size, n_parts, momentum):
    """Return working memory for batches of up to `batch_size` samples."""
    first, last_hidden, last = layers[0], layers[-2], layers[-1]
    hidden, logits = last.outputs * batch_size, batch_size * last.stride
    packed = first.n_registers * first.n_in * LANES
    gradient = max(
        TILE_ROWS * TILE_REGISTERS * LANES, LANES * MAX_REGISTERS * LANES, *(layer.stride for layer in layers)
    )
    panel = max(DEPTH_BLOCK * TILE_REGISTERS, batch_size) * LANES
    return Workspace(
        aligned_zeros(n_parts * hidden),
        aligned_zeros(n_parts * hidden),
        aligned_zeros(2 * last_hidden.n_registers * logits).reshape(2, -1, logits),
        aligned_zeros(n_parts * logits).reshape(n_parts, -1),
        aligned_zeros(n_parts * panel).reshape(n_parts, -1),
        aligned_zeros(n_parts * gradient).reshape(n_parts, -1),
        np.zeros((n_parts, batch_size), np.int64),
        aligned_zeros(packed),
        aligned_zeros(packed if momentum else 0),
        np.zeros(2, np.int64),
        np.zeros(2, np.float64),
    )
