"""The library's `train` and `evaluate`: what they take, and that the commands do the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_api import SHORT, rows_of, rows_written
from test_cli_predict import write_pngs

import fastmnist
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.training.recipes import SEED
from fastmnist.training.run import MOST_EPOCHS


def test_train_writes_the_same_bytes_as_the_command(run_cli, small_set, tmp_path):
    assert run_cli("train", small_set, "--epochs", "2", "--validation", "100", "-o", tmp_path / "c").code == 0
    epochs = []
    model = fastmnist.train(small_set, epochs=2, validation=100, on_epoch=epochs.append)
    model.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert fastmnist.load(tmp_path / "a").predict(small_set / "t10k-images-idx3-ubyte").probabilities.tobytes() == (
        model.predict(small_set / "t10k-images-idx3-ubyte").probabilities.tobytes()
    )


def test_arrays_train_the_same_model_as_their_idx_files(digits, tmp_path):
    images, labels = digits[0][:300], digits[1][:300]
    for split, part in (("train", slice(200)), ("t10k", slice(200, None))):
        write_images(tmp_path / f"{split}-images-idx3-ubyte", images[part])
        write_labels(tmp_path / f"{split}-labels-idx1-ubyte", labels[part])
    fastmnist.train(tmp_path, **SHORT).save(tmp_path / "idx")
    expected = (tmp_path / "idx").read_bytes()
    test = images[200:], labels[200:]
    names = [str(label) for label in labels[:200]]
    for given in (images[:200], images[:200].reshape(-1, 784) / 255):
        for given_labels in (labels[:200], labels[:200].astype(np.int64), labels[:200].tolist(), names):
            fastmnist.train(given, given_labels, test=test, **SHORT).save(tmp_path / "arrays")
            assert (tmp_path / "arrays").read_bytes() == expected


def test_pictures_and_names_of_classes_are_trained_on(digits, tmp_path):
    write_pngs(tmp_path, digits[0][:40])
    paths = sorted(tmp_path.iterdir())
    names = ["even" if label % 2 == 0 else "odd" for label in digits[1][:40]]
    model = fastmnist.train(paths, names, recipe="default", hidden=(16,), epochs=40)
    assert (model.class_names, model.preprocess) == (["even", "odd"], "auto")
    assert (model.predict(paths).labels == names).mean() > 0.9
    figures = fastmnist.evaluate(model, paths, names)
    assert figures.accuracy == (model.predict(paths).labels == names).mean()
    other = fastmnist.train(paths, names, class_names=["odd", "even"], **SHORT)
    assert other.class_names == ["odd", "even"]


def test_a_folder_of_classes_is_what_the_command_makes_of_it(digits, run_cli, tmp_path):
    for label in (3, 5):
        write_pngs(tmp_path / "set" / str(label), digits[0][digits[1] == label][:30])
    assert run_cli("train", tmp_path / "set", "--recipe", "seed", "-o", tmp_path / "c").code == 0
    model = fastmnist.train(tmp_path / "set", recipe="seed")
    model.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    shown = json.loads(run_cli("evaluate", tmp_path / "set", "--model", tmp_path / "c", "--json").stdout)
    assert {"class_names": ["3", "5"], **fastmnist.evaluate(model, tmp_path / "set").as_dict()} == shown
    written = rows_written(run_cli("predict", "--model", tmp_path / "c", tmp_path / "set"))
    assert rows_of(model.predict(tmp_path / "set")) == written


def test_a_run_that_was_interrupted_is_resumed_to_the_same_model(small_set, tmp_path):
    def stop(epoch):
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    settings = {"recipe": "seed", "hidden": (8,), "epochs": 3, "checkpoint": tmp_path / "c"}
    with pytest.raises(KeyboardInterrupt):
        fastmnist.train(small_set, **settings, on_epoch=stop)
    with pytest.raises(fastmnist.TrainingError, match="a checkpoint already exists"):
        fastmnist.train(small_set, **settings)
    epochs = []
    resumed = fastmnist.train(small_set, **settings, resume=True, on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [2, 3]
    whole = fastmnist.train(small_set, **{**settings, "checkpoint": None})
    assert resumed.trained.parameters.tobytes() == whole.trained.parameters.tobytes()
    with pytest.raises(fastmnist.TrainingError, match="no checkpoint named"):
        fastmnist.train(small_set, resume=True)


def test_the_history_of_a_long_training_is_thinned_to_the_last_epoch(digits):
    images, labels = digits[0][:20], digits[1][:20]
    epochs = []
    history = fastmnist.train(
        images, labels, recipe="seed", hidden=4, epochs=401, validation=5, on_epoch=epochs.append
    ).origin["history"]
    assert history["epoch"] == list(range(2, 402, 3))[-len(history["epoch"]) :]
    for name, column in history.items():
        assert column == [round(getattr(epochs[epoch - 1], name), 6) for epoch in history["epoch"]]
    assert len(history) == 5
    assert 100 <= len(history["epoch"]) <= MOST_EPOCHS
    assert fastmnist.train(images, labels, recipe="seed", hidden=4, epochs=1).origin["history"]["epoch"] == [1]


def test_a_recipe_of_ones_own_and_settings_by_name(digits):
    images, labels = digits[0][:50], digits[1][:50]
    own = fastmnist.train(images, labels, recipe=replace(SEED, name="mine", hidden=(9, 8), epochs=2, batch_size=7))
    assert own.origin["recipe"]["name"] == "mine"
    named = fastmnist.train(images, labels, recipe="seed", hidden=[9, 8], epochs=np.int64(2), batch_size=7)
    assert named.trained.parameters.tobytes() == own.trained.parameters.tobytes()
    bent = fastmnist.train(images, labels, **SHORT, augment={"rotation": 9.0})
    assert bent.origin["recipe"]["augment"] == {"rotation": 9.0, "smoothness": 5.0}
    assert fastmnist.train(images, labels, recipe="seed", epochs=1, hidden=6).trained.layer_sizes == (784, 6, 10)


BAD_SETTINGS = {
    "an unknown recipe": ({"recipe": "bset"}, "recipe 'bset', expected one of seed, default, best"),
    "an unknown setting": ({"epoch": 3}, "unknown setting 'epoch', expected one of name, hidden, epochs"),
    "an unknown strength": ({"augment": {"rotate": 3}}, "unknown setting 'rotate', expected one of rotation"),
    "a fraction of epochs": ({"epochs": 2.5}, "epochs 2.5: expected a whole number"),
    "words for a number": ({"learning_rate": "fast"}, "learning rate 'fast': expected a number"),
    "True for a number": ({"batch_size": True}, "batch size True: expected a whole number"),
    "1 for True": ({"shuffle": 1}, "shuffle 1: expected True or False"),
    "words for sizes": ({"hidden": "100"}, "hidden '100': expected a tuple of whole numbers"),
    "fractions for sizes": ({"hidden": (10.5,)}, r"hidden \(10.5,\): expected a tuple of whole numbers"),
    "out of range": ({"momentum": 2}, "momentum 2: expected a number from 0 to below 1"),
    "no hidden layers": ({"hidden": ()}, "no hidden layers, expected the sizes of one or more"),
    "no file could hold it": ({"hidden": (100_000,)}, "a network of .* bytes, expected at most"),
    "too deep for a file": ({"hidden": (1,) * 20}, "21 layers, expected at most"),
    "all held out": ({"validation": 50}, "50 of 50 images held out"),
}


@pytest.mark.parametrize("fault", BAD_SETTINGS)
def test_settings_that_cannot_work_are_errors(fault, digits):
    settings, message = BAD_SETTINGS[fault]
    with pytest.raises(fastmnist.TrainingError, match=message):
        fastmnist.train(digits[0][:50], digits[1][:50], **settings)


BAD_LABELS = {
    "too few": (lambda labels: labels[:-1], "50 images and 49 labels, expected the same number"),
    "a matrix": (lambda labels: labels.reshape(5, 10), r"labels of shape \(5, 10\), expected \(n,\)"),
    "not classes": (lambda labels: labels + 1, r"label 10 at index \d+, expected 0 to 9"),
    "negative": (lambda labels: labels.astype(int) - 1, "label -1 at index 3, expected 0 to 9"),
    "far off": (lambda labels: labels.astype(int) + 256, "label 263 at index 0, expected 0 to 9"),
    "fractions": (lambda labels: labels / 2, "labels of dtype float64, expected whole numbers or class names"),
}


@pytest.mark.parametrize("fault", BAD_LABELS)
def test_labels_that_do_not_fit_are_errors(fault, digits, model):
    spoil, message = BAD_LABELS[fault]
    for call in (fastmnist.train, lambda images, labels: fastmnist.evaluate(model, images, labels)):
        with pytest.raises(fastmnist.DataError, match=message):
            call(digits[0][:50], spoil(digits[1][:50]))


@pytest.mark.parametrize("n", [None, 1, 3])
def test_a_test_set_is_images_and_labels(n, digits):
    images, labels = digits[0][:20], digits[1][:20]
    test = images if n is None else (images, labels, labels)[:n]
    with pytest.raises(fastmnist.DataError, match=r"not a pair, expected images and labels: test=\(images, labels\)"):
        fastmnist.train(images, labels, test=test, **SHORT)


def test_names_that_are_not_classes_are_errors(digits, model):
    with pytest.raises(fastmnist.DataError, match="label 'seven', expected one of the classes 0, 1, 2"):
        fastmnist.evaluate(model, digits[0][:2], ["seven", "2"])
    with pytest.raises(fastmnist.DataError, match="class name '=1'"):
        fastmnist.train(digits[0][:2], ["=1", "2"])
    with pytest.raises(fastmnist.DataError, match="1 class names, expected 2 to 256"):
        fastmnist.train(digits[0][:2], ["a", "a"])
    with pytest.raises(fastmnist.DataError, match="ndarray without labels"):
        fastmnist.train(digits[0][:2])


def test_training_refuses_images_that_cannot_be_read_and_evaluating_counts_them(model, seven, tmp_path):
    images, labels = [seven, b"no picture", seven], [7, 7, 7]
    with pytest.raises(
        fastmnist.DataError,
        match=r"1 of 3 images of the training set can't be read, expected all of them.*<bytes>: no pict",
    ):
        fastmnist.train(images, labels)
    with pytest.raises(fastmnist.DataError, match="1 of 3 images of the test set can't be read"):
        fastmnist.train([seven], [7], test=(images, labels))
    skipped = fastmnist.train(images, labels, test=(images, labels), skip_unreadable=True, epochs=1)
    assert (
        skipped.network.parameters.tobytes()
        == fastmnist.train([seven] * 2, [7] * 2, epochs=1).network.parameters.tobytes()
    )
    assert skipped.origin["test_accuracy"] is not None
    with pytest.raises(fastmnist.DataError, match="1 of 1 images of the training set can't be read, expected some"):
        fastmnist.train([b"no picture"], [7], skip_unreadable=True)
    figures = fastmnist.evaluate(model, images, labels)
    assert (figures.n_samples, figures.n_errors, figures.accuracy) == (2, 1, 1.0)
    with pytest.raises(fastmnist.DataError, match="none of the 1 images can be read"):
        fastmnist.evaluate(model, [b"no picture"], [7])


def test_evaluate_is_what_the_command_prints(model, mnist_dir, digits, run_cli):
    shown = json.loads(run_cli("evaluate", mnist_dir, "--model", "shipped", "--json").stdout)
    for figures in (fastmnist.evaluate(model, mnist_dir), fastmnist.evaluate(model, *digits)):
        assert {"class_names": model.class_names, **figures.as_dict()} == shown


def test_labels_as_pandas_has_them_are_class_names(digits):
    labels = np.array([str(label) for label in digits[1][:20]], dtype=object)
    model = fastmnist.train(digits[0][:20], labels, epochs=1, hidden=(5,))
    assert model.class_names == list("0123456789")


def test_labels_of_different_shapes_are_an_error(digits):
    with pytest.raises(fastmnist.DataError, match="labels of unequal lengths, expected one label for each image"):
        fastmnist.train(digits[0][:2], [[1], [1, 2]])


def test_the_largest_label_is_told_as_a_number(digits):
    with pytest.raises(fastmnist.DataError, match="the names of all 256 classes"):
        fastmnist.train(digits[0][:2], [1, 255])
