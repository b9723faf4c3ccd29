"""Training runs: against the oracle on real MNIST, and what they promise of order, blocks and faults."""

from dataclasses import replace

import numpy as np
import pytest

from fastmnist.errors import TrainingError
from fastmnist.inputs.idx import read_images, read_labels
from fastmnist.kernels import reference
from fastmnist.training import loop as training_module
from fastmnist.training.loop import BlockDone, EpochDone, Training
from fastmnist.training.recipes import SEED
from fastmnist.training.trainer import Trainer

ORACLE_EPOCHS = 3  # of the seed recipe's ten: each takes the oracle some seconds
SMALL = replace(SEED, hidden=(12,), epochs=2, batch_size=16, initial_scale=0.1)


@pytest.fixture(scope="module")
def mnist(mnist_dir):
    """The 60,000 training pixels, uint8 (n, 784), and labels."""
    images = read_images(mnist_dir / "train-images-idx3-ubyte")
    return images.reshape(-1, 784), read_labels(mnist_dir / "train-labels-idx1-ubyte")


@pytest.fixture(scope="module")
def test_set(digits):
    return digits[0].reshape(-1, 784), digits[1]


@pytest.fixture
def some(mnist):
    """The first 1,000 training pixels and labels."""
    return mnist[0][:1000], mnist[1][:1000]


def as_float64(network):
    layers = range(network.n_layers)
    weights = [network.weights(layer).astype(np.float64) for layer in layers]
    return weights, [network.biases(layer).astype(np.float64) for layer in layers]


def oracle_settings(recipe):
    names = ("batch_size", "learning_rate", "weight_decay", "momentum")
    return {name: getattr(recipe, name) for name in names}


def run(pixels, labels, recipe):
    training = Training(pixels, labels, recipe)
    return training, list(training.run())


# float32 decides otherwise than float64 whether a unit is on where its sum is a rounding error away from 0; from there
# on two runs differ by as much as that unit matters. With the recipe's own seed, 2, this happens to one sample of
# batch 335, in NumPy's float32 just so: the losses after it differ by up to 0.4 %. With seed 0 it does not happen.
@pytest.mark.parametrize(("seed", "n_batches"), [(0, 500), (SEED.seed, 330)])
def test_the_losses_of_batches_of_mnist_equal_the_oracles(seed, n_batches, mnist):
    pixels, labels = mnist[0][: n_batches * 32], mnist[1][: n_batches * 32]
    network = Training(pixels, labels, replace(SEED, seed=seed)).network
    expected = np.array(reference.train(*as_float64(network), pixels, labels, **oracle_settings(SEED)))
    trainer = Trainer(network, SEED.batch_size, SEED.momentum, SEED.batch_size)
    batches = np.split(np.arange(len(labels)), n_batches)
    losses = [trainer.train(pixels, labels, batch, SEED.learning_rate, SEED.weight_decay)[0] for batch in batches]
    assert np.array(losses) / SEED.batch_size == pytest.approx(expected, rel=1e-5)


def test_epochs_of_the_seed_recipe_equal_the_oracles(mnist, test_set):
    recipe = replace(SEED, epochs=ORACLE_EPOCHS)
    training = Training(*mnist, recipe)
    weights, biases = as_float64(training.network)
    epochs = [event for event in training.run() if isinstance(event, EpochDone)]
    for epoch in epochs:
        losses = reference.train(weights, biases, *mnist, **oracle_settings(recipe))
        assert epoch.train_loss == pytest.approx(np.mean(losses), rel=0.01)
    pixels, labels = test_set
    expected = (reference.forward(weights, biases, pixels)[-1].argmax(axis=1) == labels).mean()
    actual = (training.network.predict(pixels)[0] == labels).mean()
    assert len(epochs) == ORACLE_EPOCHS
    assert expected > 0.94
    assert actual == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("hidden", [(12,), (20, 17), (20, 17, 12)], ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_run_on_digits_equals_the_oracles(hidden, momentum, some):
    recipe = replace(SMALL, hidden=hidden, momentum=momentum, epochs=1, learning_rate=0.02)
    training = Training(*some, recipe)
    weights, biases = as_float64(training.network)
    losses = reference.train(weights, biases, *some, **oracle_settings(recipe))
    *_, epoch = training.run()
    sizes = np.array([16] * 62 + [8])  # the last batch is smaller
    assert epoch.train_loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-4)
    for layer in range(len(weights)):
        for mine, theirs in ((training.network.weights(layer), weights), (training.network.biases(layer), biases)):
            assert mine == pytest.approx(theirs[layer], abs=1e-4)


def test_events_tell_of_every_block_and_epoch(some, monkeypatch):
    monkeypatch.setattr(training_module, "SAMPLES_PER_CALL", 390)  # 24 batches of 16 fit
    _, events = run(*some, SMALL)
    expected = [BlockDone, BlockDone, BlockDone, EpochDone] * 2
    assert [type(event) for event in events] == expected
    assert [event.n_samples for event in events if isinstance(event, BlockDone)] == [384, 768, 1000] * 2
    assert [event.epoch for event in events] == [1] * 4 + [2] * 4
    for epoch in events[3::4]:
        assert 0 < epoch.seconds < 60
        assert 0 < epoch.train_loss < 3
        assert epoch.train_accuracy * 1000 == pytest.approx(round(epoch.train_accuracy * 1000), abs=1e-9)
    assert events[7].train_loss < events[3].train_loss


@pytest.mark.parametrize("samples_per_call", [1, 16, 100, 10_000])
def test_the_size_of_a_call_never_changes_the_weights(samples_per_call, some, monkeypatch):
    recipe = replace(SMALL, hidden=(20, 17), momentum=0.9, shuffle=True)
    expected = run(*some, recipe)[0].network.parameters.tobytes()
    monkeypatch.setattr(training_module, "SAMPLES_PER_CALL", samples_per_call)
    training, events = run(*some, recipe)
    assert training.network.parameters.tobytes() == expected
    assert sum(isinstance(event, BlockDone) for event in events) == 2 * -(-1000 // max(16, samples_per_call // 16 * 16))


def test_a_call_takes_whole_batches_and_fewer_of_a_larger_network():
    for n_parameters, batch_size in [(80_000, 32), (80_000, 100), (10**6, 128), (10**7, 4096), (10**9, 1)]:
        n_samples = training_module._samples_per_call(784, n_parameters, batch_size)
        assert n_samples % batch_size == 0
        most = max(batch_size, min(training_module.SAMPLES_PER_CALL, 20e9 / (3 * n_parameters)))
        assert most - batch_size < n_samples <= most


@pytest.mark.parametrize(("n_in", "expected"), [(1, 2048), (784, 2048), (785, 2016), (7840, 192), (10**6, 32)])
def test_a_call_takes_fewer_samples_of_more_inputs(n_in, expected):
    assert training_module._samples_per_call(n_in, 80_000, 32) == expected


def test_batches_that_no_list_can_hold_are_refused():
    inputs = np.broadcast_to(np.float32(0), (70_000, 40_000))
    with pytest.raises(TrainingError, match="65,536 inputs, expected at most 65,535"):
        Training(np.zeros((2, 65_536), np.float32), np.zeros(2, np.uint8), SMALL)
    recipe = replace(SMALL, hidden=(1,), batch_size=65_536)
    with pytest.raises(TrainingError, match="batches of 65,536 x 40,000 inputs, expected at most 2,147,483,647 in all"):
        Training(inputs, np.zeros(70_000, np.uint8), recipe)


def test_equal_runs_give_equal_bytes(some):
    recipe = replace(SMALL, shuffle=True, momentum=0.9)
    one, events = run(*some, recipe)
    two, other_events = run(*some, recipe)
    assert one.network.parameters.tobytes() == two.network.parameters.tobytes()
    assert [replace(event, seconds=0) for event in events if isinstance(event, EpochDone)] == [
        replace(event, seconds=0) for event in other_events if isinstance(event, EpochDone)
    ]


def test_shuffling_is_a_pure_function_of_seed_and_epoch(some):
    def order(seed, epoch):
        return Training(*some, replace(SMALL, shuffle=True, seed=seed))._order(epoch).tolist()

    orders = [order(seed, epoch) for seed in (1, 2) for epoch in (1, 2)]
    assert orders == [order(seed, epoch) for seed in (1, 2) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(1000)) for order in orders)
    assert Training(*some, SMALL)._order(3).tolist() == list(range(1000))


def test_shuffled_training_is_training_on_shuffled_samples(some):
    recipe = replace(SMALL, shuffle=True, epochs=1)
    training, _ = run(*some, recipe)
    order = training._order(1)
    expected, _ = run(some[0][order], some[1][order], replace(recipe, shuffle=False))
    assert training.network.parameters.tobytes() == expected.network.parameters.tobytes()
    assert training.network.parameters.tobytes() != run(*some, SMALL)[0].network.parameters.tobytes()


def test_compiling_trains_nothing(some):
    training = Training(*some, SMALL)
    before = training.network.parameters.tobytes()
    training.compile()
    assert training.network.parameters.tobytes() == before


def test_one_sample_is_enough(some):
    training, events = run(some[0][:1], some[1][:1], replace(SMALL, epochs=20))
    assert events[-1].train_accuracy == 1
    assert training.network.predict(some[0][:1])[0].tolist() == some[1][:1].tolist()


def test_a_label_that_is_not_a_class_is_refused_before_any_step(some):
    pixels, labels = some
    labels = labels.copy()
    labels[-1] = 10
    training = Training(pixels, labels, SMALL)
    before = training.network.parameters.tobytes()
    with pytest.raises(ValueError, match="label 10: expected 0 to 9"):
        list(training.run())
    assert training.network.parameters.tobytes() == before


def test_a_nan_loss_ends_the_training(some):
    with pytest.raises(TrainingError, match=r"the loss in epoch 1 overflowed.*`learning_rate`"):
        run(*some, replace(SMALL, learning_rate=1e30))


def test_a_nan_input_ends_the_training(some):
    pixels = some[0].astype(np.float32) / 255
    pixels[500, 300] = np.nan
    with pytest.raises(TrainingError, match="the loss in epoch 1"):
        run(pixels, some[1], SMALL)


def test_weights_that_the_last_step_broke_end_the_training(some):
    pixels, labels = some[0][:16], some[1][:16]  # one batch: its loss is taken before the step
    with pytest.raises(TrainingError, match="the weights in epoch 1 overflowed"):
        run(pixels, labels, replace(SMALL, learning_rate=3e38, weight_decay=100.0))


def test_the_checksum_is_that_of_pixels_and_labels(some):
    pixels, labels = some
    checksum = Training(pixels, labels, SMALL).data_sha256()
    assert Training(pixels.copy(), labels.copy(), replace(SMALL, seed=1)).data_sha256() == checksum
    for array in (pixels, labels):
        changed = array.copy()
        changed.flat[0] ^= 1
        parts = (changed, labels) if array is pixels else (pixels, changed)
        assert Training(*parts, SMALL).data_sha256() != checksum
