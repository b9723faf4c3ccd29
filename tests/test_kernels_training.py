"""The compiled training loop: forward, backward and SGD steps, against the oracle's."""

import numpy as np
import pytest
from kernel_builds import FOREIGN, ROUNDING, WAYS, normal, sparse_pixels

from fastmnist.kernels import jit, reference, training_loop
from fastmnist.kernels.products import sparse_product
from fastmnist.kernels.sparse import SPARSE_SHARE
from fastmnist.kernels.workspace import AT
from fastmnist.model.network import Network
from fastmnist.training.blocks import Blocks
from fastmnist.training.trainer import Trainer

BATCH_SIZE = 32
KERNEL = training_loop.train_batches
# Around the ends of vectors and tiles, over 8 vectors (the widest of the sparse loops), and 1 to 3 hidden layers.
LAYER_SIZES = [
    (64, 1, 1),
    (65, 15, 2),
    (100, 16, 3),
    (100, 17, 16),
    (127, 33, 17),
    (80, 100, 256),
    (70, 129, 10),
    (64, 17, 33, 10),
    (100, 48, 130, 3),
    (100, 15, 16, 17, 10),
    (1, 6, 3),  # fewer inputs than a mask has bits
    (10, 6, 5, 3),
    (63, 17, 3),
    (70, 33, 17, 10),  # the second layer's last block of 16 rows ends beyond all layers
]
if not FOREIGN:
    LAYER_SIZES += [(784, 100, 10), (784, 300, 100, 10), (64, 290, 10)]


class OneWay:
    """Stands for the kernel, and runs one of its builds on a fixed number of parts whatever it is told."""

    def __init__(self, build, n_parts):
        self.build, self.n_parts = build, n_parts

    def with_parts(self, _n_parts, *arguments):
        getattr(KERNEL, self.build)(*arguments, self.n_parts)


@pytest.fixture
def train_in(monkeypatch):
    """Train a copy of a network in one build; return its parameters, velocities, loss and right answers."""

    def run(way, network, inputs, labels, order=None, **settings):
        build, n_parts = way
        monkeypatch.setattr(jit, "n_threads", lambda: n_parts)
        monkeypatch.setattr(training_loop, "train_batches", OneWay(build, n_parts))
        copy = copy_of(network)
        names = ("nesterov", "label_smoothing")
        chosen = {name: settings[name] for name in names if name in settings}
        trainer = Trainer(copy, settings["batch_size"], settings["momentum"], 2048, **chosen)
        if settings.get("without_zeros"):  # from the first batch on
            trainer._workspace.sparse_product[AT] = sparse_product.address()
        order = np.arange(len(inputs)) if order is None else order
        figures = []
        for block in np.split(order, settings.get("cuts", [])):
            figures.append(trainer.train(inputs, labels, block, settings["learning_rate"], settings["weight_decay"]))
        return copy, trainer.velocities, figures

    return run


@pytest.fixture
def routes(monkeypatch):
    """Collect whether each batch that is trained on is dense."""
    seen = []

    def of(self, *arguments):
        block = original(self, *arguments)
        seen.extend(block.tiles.is_dense.tolist())
        return block

    original = Blocks.of
    monkeypatch.setattr(Blocks, "of", of)
    return seen


def copy_of(network):
    copy = Network(network.layer_sizes)
    copy.parameters[:] = network.parameters
    return copy


def settings(**changes):
    return {"batch_size": BATCH_SIZE, "momentum": 0.0, "learning_rate": 0.1, "weight_decay": 0.001, **changes}


def example(layer_sizes, n_samples=3 * BATCH_SIZE, share=0.2):
    """A network whose weights keep the sizes of the activations (He et al. 2015), and samples."""
    rng = np.random.default_rng([n_samples, *layer_sizes])
    network = Network(layer_sizes)
    for layer in range(network.n_layers):
        weights, biases = network.weights(layer), network.biases(layer)
        weights[:] = normal(rng, *weights.shape) * np.sqrt(2 / len(weights))
        biases[:] = 0.1 * normal(rng, *biases.shape)
    pixels = sparse_pixels(rng, n_samples, layer_sizes[0], share)
    return network, pixels, rng.integers(layer_sizes[-1], size=n_samples, dtype=np.uint8)


def as_float64(network):
    layers = range(network.n_layers)
    weights = [network.weights(layer).astype(np.float64) for layer in layers]
    return weights, [network.biases(layer).astype(np.float64) for layer in layers]


def of_layer(network, layer):
    weights, biases = as_float64(network)
    return weights[layer], biases[layer]


def assert_trains_as_the_oracle(train_in, network, inputs, labels, *, without_zeros=False, **changes):
    """Run all builds, which must give equal bytes, and compare parameters and loss with the oracle's.

    A step moves a parameter by learning_rate * gradient, which is off by the roundings of the sums that it is made
    of: one over the inputs, one over the units of each layer, up and down, one over the batch. Steps add up.
    """
    chosen = settings(**changes)
    runs = [train_in(way, network, inputs, labels, **chosen, without_zeros=without_zeros) for way in WAYS]
    actual, velocities, figures = runs[0]
    for (other, other_velocities, other_figures), way in zip(runs, WAYS, strict=True):
        assert other.parameters.tobytes() == actual.parameters.tobytes(), way
        assert other_velocities.tobytes() == velocities.tobytes(), way
        assert other_figures == figures, way

    weights, biases = as_float64(network)
    losses = reference.train(weights, biases, inputs, labels, **chosen)
    n_steps, n_terms = len(losses), sum(network.layer_sizes) + chosen["batch_size"]
    for layer in range(network.n_layers):
        for mine, theirs in ((actual.weights(layer), weights[layer]), (actual.biases(layer), biases[layer])):
            tolerance = n_steps * n_terms * ROUNDING * max(1, np.abs(theirs).max())
            assert np.abs(mine - theirs).max() <= tolerance
    sizes = np.diff([*range(0, len(inputs), chosen["batch_size"]), len(inputs)])
    expected = (np.array(losses) * sizes).sum()
    assert sum(loss for loss, _ in figures) == pytest.approx(expected, rel=n_steps * n_terms * ROUNDING, abs=1e-6)
    assert_padding_is_zero(actual)
    return actual, figures


def assert_padding_is_zero(network):
    bare = copy_of(network)
    for layer in range(network.n_layers):
        bare.weights(layer)[:] = bare.biases(layer)[:] = 0
    assert (bare.parameters == 0).all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("layer_sizes", LAYER_SIZES, ids=str)
def test_three_batches_equal_the_oracle(layer_sizes, momentum, train_in):
    assert_trains_as_the_oracle(train_in, *example(layer_sizes), momentum=momentum)


@pytest.mark.parametrize("layer_sizes", [(70, 20, 5), (70, 20, 17, 5)], ids=str)
@pytest.mark.parametrize(
    ("n_samples", "batch_size"), [(1, 1), (1, 32), (3, 1), (31, 32), (33, 32), (65, 32), (63, 31), (7, 8), (70, 9)]
)
def test_batches_of_any_size_and_a_smaller_last_one(layer_sizes, n_samples, batch_size, train_in):
    example_of_size = example(layer_sizes, n_samples)
    assert_trains_as_the_oracle(train_in, *example_of_size, batch_size=batch_size, momentum=0.5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_pulls_the_weights_and_not_the_biases(weight_decay, momentum, train_in):
    changes = {"weight_decay": weight_decay, "momentum": momentum}
    assert_trains_as_the_oracle(train_in, *example((70, 20, 17, 5)), **changes)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("layer_sizes", [(70, 20, 5), (100, 150, 17, 5)], ids=str)
def test_nesterovs_momentum_looks_ahead(layer_sizes, weight_decay, train_in):
    changes = {"momentum": 0.9, "nesterov": True, "weight_decay": weight_decay, "learning_rate": 0.05}
    assert_trains_as_the_oracle(train_in, *example(layer_sizes), **changes)


@pytest.mark.parametrize("layer_sizes", [(70, 20, 5), (70, 20, 17, 16), (70, 20, 17)], ids=str)
def test_label_smoothing_pulls_towards_all_classes(layer_sizes, train_in):
    assert_trains_as_the_oracle(train_in, *example(layer_sizes), label_smoothing=0.1)


@pytest.mark.parametrize("share", [0, 1])
def test_inputs_without_a_zero_or_with_nothing_else(share, train_in):
    network, inputs, labels = example((70, 20, 5), share=share)
    assert_trains_as_the_oracle(train_in, network, inputs if share else inputs * np.uint8(0), labels)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch_size", [16, 40, 96])  # the gradient in the weights leaves zeros out where 16s are whole
@pytest.mark.parametrize(
    "layer_sizes", [(70, 33, 17, 10), (100, 150, 130, 5), (64, 65, 64, 63, 3), (1, 6, 5, 3)], ids=str
)
def test_units_of_which_few_are_active_equal_the_oracle(layer_sizes, batch_size, momentum, train_in):
    network, inputs, labels = example(layer_sizes, 2 * batch_size + 16)
    for layer in range(network.n_layers - 1):
        outputs = reference.forward(*as_float64(network), inputs)
        before = reference.matmul(outputs[layer - 1] if layer else inputs, *of_layer(network, layer))
        network.biases(layer)[:] -= np.quantile(before, 0.795, axis=0)  # between two samples
    shares = [(hidden > 0).mean() for hidden in reference.forward(*as_float64(network), inputs)[:-1]]
    assert 0 < min(shares) <= max(shares) < SPARSE_SHARE
    chosen = {"batch_size": batch_size, "momentum": momentum}
    by_tiles, _ = assert_trains_as_the_oracle(train_in, network, inputs, labels, **chosen)
    actual, _ = assert_trains_as_the_oracle(train_in, network, inputs, labels, without_zeros=True, **chosen)
    assert actual.parameters.tobytes() == by_tiles.parameters.tobytes()


@pytest.mark.parametrize(("share", "is_wanted"), [(0.2, True), (0.8, False)])
def test_the_code_that_leaves_zeros_out_is_compiled_when_units_are_few(share, is_wanted, monkeypatch):
    asked = []
    monkeypatch.setattr(sparse_product, "address", lambda: asked.append(1) or 1)
    network, inputs, labels = example((70, 64, 64, 10), 32)
    before = reference.matmul(inputs, *of_layer(network, 0))
    network.biases(0)[:] -= np.quantile(before, 1 - share, axis=0)
    trainer = Trainer(network, 32, 0.0, 32)
    trainer.train(inputs, labels, np.arange(32), 0.01, 0.0)
    assert len(asked) == is_wanted
    assert trainer._workspace.sparse_product.tolist() == [int(is_wanted)] * 2


DENSE_SIZES = [(8, 5, 3), (64, 17, 3), (80, 100, 10), (72, 33, 17, 10), (136, 40, 15, 16, 17)]  # multiples of 8


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("share", [0.5, 1])
@pytest.mark.parametrize("layer_sizes", DENSE_SIZES, ids=str)
def test_dense_batches_equal_the_oracle(layer_sizes, share, momentum, train_in, routes):
    assert_trains_as_the_oracle(train_in, *example(layer_sizes, share=share), momentum=momentum)
    assert routes == [True, True, True] * len(WAYS)


@pytest.mark.parametrize(("n_samples", "batch_size"), [(8, 8), (9, 9), (79, 39), (65, 65), (130, 129), (70, 32)])
def test_dense_batches_of_any_size_equal_the_oracle(n_samples, batch_size, train_in, routes):
    data = example((72, 20, 5), n_samples, share=0.9)
    assert_trains_as_the_oracle(train_in, *data, batch_size=batch_size, momentum=0.5)
    sizes = np.diff([*range(0, n_samples, batch_size), n_samples])
    assert routes == (sizes >= 8).tolist() * len(WAYS)


def test_dense_float32_inputs_equal_the_oracle(train_in, routes):
    network, pixels, labels = example((72, 20, 17, 5), share=0.9)
    inputs = pixels.astype(np.float32) / 100 - (pixels > 127)
    assert_trains_as_the_oracle(train_in, network, inputs, labels, momentum=0.9, nesterov=True)
    assert all(routes)


def test_dense_and_sparse_batches_take_turns(train_in, routes):
    network, inputs, labels = example((72, 20, 5), 6 * BATCH_SIZE, share=0.9)
    inputs[BATCH_SIZE : 3 * BATCH_SIZE, ::2] = 0
    inputs[BATCH_SIZE : 3 * BATCH_SIZE, 1::4] = 0
    assert_trains_as_the_oracle(train_in, network, inputs, labels, momentum=0.9)
    assert routes == [True, False, False, True, True, True] * len(WAYS)


def test_inputs_and_samples_of_zeros_in_dense_batches_count_as_zeros(train_in, routes):
    network, inputs, labels = example((136, 20, 5), share=1)
    inputs[:, :8] = inputs[:, 64:73] = 0  # of these, whole tiles
    inputs[8:17] = inputs[40] = 0
    assert_trains_as_the_oracle(train_in, network, inputs, labels)
    assert all(routes)


def test_float32_inputs(train_in):
    network, pixels, labels = example((70, 20, 5))
    inputs = pixels.astype(np.float32) / 100 - (pixels > 127)
    assert_trains_as_the_oracle(train_in, network, inputs, labels)


def test_float32_inputs_and_the_same_pixels_train_the_same(train_in):
    network, pixels, labels = example((70, 20, 5))
    expected = train_in(("serial", 1), network, pixels, labels, **settings())[0]
    inputs = pixels.astype(np.float32) * np.float32(1 / 255)
    actual = train_in(("serial", 1), network, inputs, labels, **settings())[0]
    assert actual.parameters.tobytes() == expected.parameters.tobytes()


def test_units_that_are_off_for_every_sample_learn_nothing(train_in):
    network, inputs, labels = example((70, 20, 5))
    network.biases(0)[3] = -1e3
    actual, _ = assert_trains_as_the_oracle(train_in, network, inputs, labels, weight_decay=0.0)
    assert (actual.weights(0)[:, 3] == network.weights(0)[:, 3]).all()
    assert (actual.weights(1)[3] == network.weights(1)[3]).all()


def test_a_unit_that_is_exactly_zero_has_no_slope(train_in):
    network, inputs, labels = example((70, 20, 5))
    network.weights(0)[:, 3] = network.biases(0)[3] = 0
    actual, _ = assert_trains_as_the_oracle(train_in, network, inputs, labels, weight_decay=0.0)
    assert (actual.weights(0)[:, 3] == 0).all()
    assert actual.biases(0)[3] == 0


@pytest.mark.parametrize("layer_sizes", [(70, 20, 5), (70, 20, 17, 5)], ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_run_cut_into_calls_gives_the_bytes_of_one_call(layer_sizes, momentum, train_in):
    network, inputs, labels = example(layer_sizes, 5 * BATCH_SIZE + 3)
    chosen = settings(momentum=momentum)
    expected = train_in(WAYS[-1], network, inputs, labels, **chosen)
    cuts = [BATCH_SIZE, 2 * BATCH_SIZE, 2 * BATCH_SIZE, 4 * BATCH_SIZE]  # one call has no samples
    actual = train_in(WAYS[-1], network, inputs, labels, cuts=cuts, **chosen)
    assert actual[0].parameters.tobytes() == expected[0].parameters.tobytes()
    assert actual[1].tobytes() == expected[1].tobytes()
    assert sum(loss for loss, _ in actual[2]) == pytest.approx(expected[2][0][0], rel=1e-12)
    assert sum(n_right for _, n_right in actual[2]) == expected[2][0][1]
    assert actual[2][2] == (0.0, 0)


def test_an_order_means_the_samples_in_that_order(train_in):
    network, inputs, labels = example((70, 20, 5), 70)
    order = np.random.default_rng(0).permutation(70)
    expected = train_in(("serial", 1), network, inputs[order], labels[order], **settings())
    for way in WAYS:
        actual = train_in(way, network, inputs, labels, order, **settings())
        assert actual[0].parameters.tobytes() == expected[0].parameters.tobytes()
        assert actual[2] == expected[2]
    in_file_order = train_in(("serial", 1), network, inputs, labels, **settings())
    assert in_file_order[0].parameters.tobytes() != expected[0].parameters.tobytes()


def test_right_answers_are_counted_before_the_step(train_in):
    network, inputs, labels = example((70, 20, 5), 20)
    logits = reference.forward(*as_float64(network), inputs)[-1]
    expected = int((logits.argmax(axis=1) == labels).sum())
    chosen = settings(learning_rate=10.0)
    assert train_in(("serial", 1), network, inputs, labels, **chosen)[2][0][1] == expected


@pytest.mark.parametrize("size", [1e4, 3e38])
def test_extreme_logits_give_a_finite_gradient(size, train_in):
    network, inputs, labels = example((70, 20, 5), 8)
    labels[:] = 2
    network.biases(1)[:] = -size
    network.biases(1)[2] = size
    actual, _, figures = train_in(("serial", 1), network, inputs, labels, **settings(weight_decay=0.0))
    assert figures == [(0.0, 8)]
    assert (actual.parameters == network.parameters).all()


def test_nan_shows_in_the_loss(train_in):
    network, inputs, labels = example((70, 20, 17, 5))
    for array in (network.weights(0), network.biases(0), network.weights(1), network.weights(2)):
        kept = array.flat[0]
        array.flat[0] = np.nan
        network.biases(0)[0] += 1e3  # so that the first unit is on
        for way in WAYS:
            assert np.isnan(train_in(way, network, inputs, labels, **settings())[2][0][0])
        network.biases(0)[0] -= np.float32(1e3)
        array.flat[0] = kept


@pytest.mark.parametrize("nesterov", [False, True])
def test_velocities_of_black_pixels_do_not_sink_into_subnormal_numbers(nesterov):
    network, _, labels = example((100, 17, 10))
    pixels = np.zeros((len(labels), 100), np.uint8)
    pixels[:, 0] = 255
    pixels[0, 1:] = 255  # once, and then only the velocities move their weights
    trainer = Trainer(network, 2, 0.9, 4096, nesterov=nesterov)
    trainer.train(pixels, labels, np.concatenate([[0], np.ones(3001, np.int64)]), 0.01, 0.0)
    for velocities in (trainer.state()["velocities"], trainer.state()["first_velocities"]):
        moving = np.abs(velocities[velocities != 0])
        assert moving.min(initial=1) > np.finfo(np.float32).tiny
