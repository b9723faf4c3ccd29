"""Trains a network: one call of the compiled loop for some thousand samples."""

import time

import numpy as np

from fastmnist.kernels import jit, training_loop
from fastmnist.kernels.dense_batches import parts_for
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.layout import aligned_zeros
from fastmnist.kernels.products import sparse_product
from fastmnist.kernels.sgd import StepScalars
from fastmnist.kernels.workspace import AT, WANTED, make_workspace
from fastmnist.model.network import Float32, Network, Order, Uint8, check_inputs
from fastmnist.threads import Pace
from fastmnist.training.blocks import Block, Blocks, Inputs, Rows


class Trainer:
    """Trains a network, up to `max_samples` samples a call; holds the velocities and the working memory."""

    def __init__(
        self,
        network: Network,
        batch_size: int,
        momentum: float,
        max_samples: int,
        *,
        nesterov: bool = False,
        label_smoothing: float = 0.0,
        blocks: type[Blocks] = Blocks,
    ) -> None:
        """Take a network to train in place. `max_samples` is a multiple of `batch_size`.

        `label_smoothing` is the share of each label that is spread over all classes, from 0 to below 1.
        """
        self.network, self.batch_size, self.momentum, self.max_samples = network, batch_size, momentum, max_samples
        self.nesterov, self.label_smoothing = nesterov, label_smoothing
        self.velocities: Float32 = aligned_zeros(network.parameters.size if momentum else 0)
        self.blocks = blocks(network.n_in, batch_size, max_samples)
        self._workspace = make_workspace(network.layers, batch_size, jit.n_threads(), momentum)
        self._pace = Pace(jit.n_threads())
        self._is_warm = False  # the first call wakes threads and touches memory: it tells nothing about the pace

    def train(
        self,
        inputs: Inputs,
        labels: Uint8,
        order: Order,
        learning_rate: float,
        weight_decay: float,
    ) -> tuple[float, int]:
        """Train on the samples `order` (n,) of `inputs` (n_samples, n_in), one SGD step for each batch of them.

        Returns the sum of the samples' cross-entropies and the number of correct predictions, each taken before its
        batch's step. The last batch may be smaller.
        """
        if not isinstance(inputs, Rows):
            check_inputs(inputs, self.network.n_in)
        if len(order) > self.max_samples or (len(order) and (order.min() < 0 or order.max() >= len(inputs))):
            raise ValueError(
                f"{len(order)} indices, expected at most {self.max_samples}, each from 0 to {len(inputs) - 1}"
            )
        if labels.shape != (len(inputs),):
            raise ValueError(f"{labels.shape} labels, expected one for each of {len(inputs)} samples")
        labels = labels[order]
        check_labels(labels, len(order), self.network.n_classes)
        known = self._workspace.sparse_product
        threads, start = self._pace.choose(), time.perf_counter()
        figures = self._train(self.blocks.of(inputs, order, threads), labels, learning_rate, weight_decay, threads)
        if self._is_warm and len(order):
            self._pace.record(threads, (time.perf_counter() - start) / len(order))
        self._is_warm = self._is_warm or len(order) > 0
        if known[WANTED] and not known[AT]:  # what it computes is the same
            known[AT] = sparse_product.address()
        return figures

    def compile(self) -> None:
        """Compile the loop, or load it: train on no samples. The kernels of the blocks are not needed for that."""
        self._train(self.blocks.room, np.zeros(0, np.uint8), 0, 0, self._pace.choose())

    def _train(
        self, block: Block, labels: Uint8, learning_rate: float, weight_decay: float, threads: int
    ) -> tuple[float, int]:
        """Train on a block and the labels (n,) of its samples."""
        self._workspace.totals[:] = 0
        training_loop.train_batches.with_parts(
            threads,
            Parameters(self.network.layout, self.network.parameters, self.velocities),
            *block,
            parts_for(block.tiles),
            labels,
            self.batch_size,
            self._workspace,
            StepScalars(
                np.float32(learning_rate),
                np.float32(self.momentum),
                np.float32(weight_decay),
                self.nesterov,
                np.float32(self.label_smoothing),
            ),
        )
        return float(self._workspace.totals[0]), int(self._workspace.totals[1])

    def state(self) -> dict[str, Float32]:
        """Return all that training has changed, as views: restoring a copy resumes training exactly."""
        return {
            "parameters": self.network.parameters,
            "velocities": self.velocities,
            "first_velocities": self._workspace.first_velocities,
        }


def check_labels(labels: Uint8, n_samples: int, n_classes: int) -> None:
    """Raise ValueError for a label that is not a class: in a kernel it would write out of bounds."""
    if labels.shape != (n_samples,) or labels.dtype != np.uint8:
        raise ValueError(f"labels {labels.shape} {labels.dtype}: expected ({n_samples},) uint8")
    if n_samples and labels.max() >= n_classes:
        raise ValueError(f"label {labels.max()}: expected 0 to {n_classes - 1}")
