"""What recipes may ask for besides plain SGD, one by one: schedule, averages, validation, augmentation, going on."""

from dataclasses import replace

import numpy as np
import pytest
from test_kernels_augment import digits

from fastmnist.errors import TrainingError
from fastmnist.evaluation import evaluate
from fastmnist.training import loop as training_module
from fastmnist.training.augmentation import Augmenter
from fastmnist.training.loop import EpochDone, Training
from fastmnist.training.recipes import HE, SEED, Augmentation
from fastmnist.training.trainer import Trainer

N_SAMPLES = 200
AUGMENT = Augmentation(rotation=10, scale=0.1, shear=0.1, translation=1, elastic=1, thickness=0.2)
SMALL = replace(SEED, hidden=(20, 17), epochs=3, batch_size=16, momentum=0.9, learning_rate=0.02, initial_scale=HE)
EVERYTHING = replace(
    SMALL,
    shuffle=True,
    nesterov=True,
    schedule="cosine",
    warmup=0.5,
    label_smoothing=0.1,
    average=0.7,
    augment=AUGMENT,
    validation=30,
)


@pytest.fixture(scope="module")
def some():
    """Pixels and labels that have nothing to do with each other."""
    return digits(N_SAMPLES), np.random.default_rng(0).integers(10, size=N_SAMPLES, dtype=np.uint8)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks an epoch, as with real data."""
    monkeypatch.setattr(training_module, "SAMPLES_PER_CALL", 64)


def run(some, recipe):
    training = Training(*some, recipe)
    return training, [event for event in training.run() if isinstance(event, EpochDone)]


def test_he_weights_keep_the_size_of_activations(some):
    network = Training(*some, replace(SMALL, hidden=(300, 200))).network
    for layer, n_in in enumerate((784, 300, 200)):
        assert network.weights(layer).std() == pytest.approx(np.sqrt(2 / n_in), rel=0.1)
        assert not network.biases(layer).any()


def test_each_block_has_the_learning_rate_of_its_middle(some, monkeypatch):
    rates = []
    train = Trainer.train

    def spy(trainer, inputs, labels, order, learning_rate, *arguments, **settings):
        if len(order):
            rates.append(learning_rate)
        return train(trainer, inputs, labels, order, learning_rate, *arguments, **settings)

    monkeypatch.setattr(Trainer, "train", spy)
    recipe = replace(SMALL, schedule="cosine", warmup=0.5)
    _, epochs = run(some, recipe)
    middles = [epoch + middle / N_SAMPLES for epoch in range(3) for middle in (32, 96, 160, 196)]
    assert rates == pytest.approx([recipe.rate_at(done) for done in middles])
    assert [epoch.learning_rate for epoch in epochs] == rates[3::4]


def test_averages_are_those_of_the_blocks_results(some):
    plain, averaged = Training(*some, SMALL), Training(*some, replace(SMALL, average=0.7))
    expected, done = None, 0
    for event, other in zip(plain.run(), averaged.run(), strict=True):
        if isinstance(event, EpochDone):
            assert (event.train_loss, event.train_accuracy) == (other.train_loss, other.train_accuracy)
            continue
        now = plain.network.parameters.astype(np.float64)
        n_samples = 64 if event.n_samples < N_SAMPLES else 8
        done += n_samples / N_SAMPLES
        weight = max(1 - np.exp(-n_samples / N_SAMPLES / 0.7), n_samples / N_SAMPLES / done)
        expected = now if expected is None else expected + weight * (now - expected)
        assert averaged.network.parameters == pytest.approx(expected, abs=1e-5)
    assert (averaged.network.parameters != plain.network.parameters).any()


def test_the_samples_held_out_are_the_last_and_train_nothing(some):
    pixels, labels = some
    training, epochs = run(some, replace(SMALL, validation=50))
    expected, _ = run((pixels[:-50], labels[:-50]), SMALL)
    assert training.network.parameters.tobytes() == expected.network.parameters.tobytes()
    assert len(training.pixels) == 150
    told = evaluate(training.network, pixels[-50:], labels[-50:])
    assert (epochs[-1].validation_loss, epochs[-1].validation_accuracy) == (told.loss, told.accuracy)
    last = run(some, SMALL)[1][-1]
    assert last.validation_loss is last.validation_accuracy is None


def test_averages_are_what_is_validated(some):
    training, epochs = run(some, replace(SMALL, validation=50, average=2))
    assert epochs[-1].validation_loss == evaluate(training.network, some[0][-50:], some[1][-50:]).loss


@pytest.mark.parametrize("validation", [N_SAMPLES, N_SAMPLES + 1])
def test_something_must_be_left_to_train_on(validation, some):
    with pytest.raises(TrainingError, match=f"{validation} of 200 images held out"):
        Training(*some, replace(SMALL, validation=validation))


def test_augmented_training_is_training_on_each_epochs_copies(some):
    recipe = replace(SMALL, augment=AUGMENT, shuffle=True)
    training = Training(*some, recipe)
    trainer = Training(*some, recipe)._trainer
    augmenter = Augmenter(AUGMENT, N_SAMPLES)
    epoch = 0
    for event in training.run():
        if isinstance(event, EpochDone):
            epoch += 1
            order = training._order(epoch)
            copies = augmenter.distort(some[0], order, recipe.seed, epoch)
            for first in range(0, N_SAMPLES, 64):
                block = np.arange(first, min(first + 64, N_SAMPLES))
                trainer.train(copies, some[1][order], block, recipe.learning_rate, recipe.weight_decay)
            assert training.network.parameters.tobytes() == trainer.network.parameters.tobytes()
    assert epoch == 3


def test_only_images_of_28_by_28_pixels_can_be_augmented(some):
    recipe = replace(SMALL, augment=AUGMENT)
    for pixels in (some[0][:, :700].copy(), some[0].astype(np.float32)):
        with pytest.raises(TrainingError, match="28 x 28 pixels"):
            Training(pixels, some[1], recipe)


@pytest.mark.parametrize("recipe", [SMALL, replace(SMALL, momentum=0.0), EVERYTHING], ids=["sgd", "bare", "everything"])
@pytest.mark.parametrize("epochs_done", [1, 2])
def test_restoring_a_copy_of_the_state_resumes_exactly(recipe, epochs_done, some):
    expected, epochs = run(some, recipe)
    training = Training(*some, recipe)
    for event in training.run():
        if isinstance(event, EpochDone) and event.epoch == epochs_done:
            break
    fresh = Training(*some, recipe)
    for name, array in fresh.state().items():
        array[:] = training.state()[name]
    fresh.epochs_done = training.epochs_done
    rest = [event for event in fresh.run() if isinstance(event, EpochDone)]
    assert fresh.network.parameters.tobytes() == expected.network.parameters.tobytes()
    assert [event.train_loss for event in rest] == [event.train_loss for event in epochs[epochs_done:]]
