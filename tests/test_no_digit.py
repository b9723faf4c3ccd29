"""Models that can refuse: their files, what they predict, their figures, how they are trained."""

import pickle

import cv2
import numpy as np
import pytest
from conftest import random_network
from test_model_file import refused, rewrite

import fastmnist
from fastmnist.api import Model
from fastmnist.datasets.labelled import Loading
from fastmnist.errors import DataError, TrainingError
from fastmnist.evaluation import evaluate
from fastmnist.inputs.idx import write_images
from fastmnist.inputs.selection import Selection
from fastmnist.kernels import reference
from fastmnist.model.calibration import fit_temperature
from fastmnist.model.model_file import load_model, save_model
from fastmnist.model.network import Network
from fastmnist.output.csv import CsvFormat
from fastmnist.output.jsonl import JsonlFormat
from fastmnist.output.kaggle import KaggleFormat
from fastmnist.output.part_file import part_file
from fastmnist.output.rows import RowFormat
from fastmnist.shapes import is_no_digit
from fastmnist.training.recipes import recipe_with
from fastmnist.training.run import TrainingRun, training_sets
from fastmnist.training.start import begin_with, mean_with

SETTINGS = {
    "recipe": "seed",
    "hidden": (32,),
    "epochs": 60,
    "learning_rate": 0.03,
    "batch_size": 8,
    "initial_scale": "he",
    "shuffle": True,
}
TOLD = "no digit: it looks like nothing the model knows"


def halves_model(**facts):
    """A model of images that are bright at the top or at the bottom, and of none that are dark."""
    network = Network((784, 2, 3))
    network.weights(0)[:392, 0] = network.weights(0)[392:, 1] = 1 / 392
    network.weights(1)[0, 0] = network.weights(1)[1, 1] = 20
    network.biases(1)[2] = 5
    return Model(network, ["top", "bottom"], "none", **facts)


def images_of(kinds, seed=0):
    """Noise, uint8 (n, 28, 28): bright at the top (t) or at the bottom (b), or dark (-)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (len(kinds), 28, 28), dtype=np.uint8)
    for image, kind in zip(images, kinds, strict=True):
        if kind != "-":
            image[slice(0, 14) if kind == "t" else slice(14, 28)] += 200
    return images


LABELS = {"t": "top", "b": "bottom", "-": ""}
REFUSED = float(reference.softmax(np.array([[0.0, 0.0, 5.0]]))[0, 2])  # a black image's probability: 0.99


def test_no_digit_is_known_in_any_spelling():
    assert all(map(is_no_digit, ("no digit", "No Digit", "no_digit", "NO-DIGIT")))
    assert not any(map(is_no_digit, ("no", "digit", "nodigits", "no digit at all", "0", "")))


# The model and its file


def test_what_a_model_tells_is_saved_and_loaded(tmp_path):
    save_model(tmp_path / "m", halves_model(temperature=2.0, origin={"note": "x"}))
    model = load_model(tmp_path / "m")
    assert (model.can_refuse, model.class_names, model.temperature) == (True, ["top", "bottom"], 2.0)
    assert model.metadata["no_digit"] is True
    assert "no_digit" not in model.origin
    assert pickle.loads(pickle.dumps(model)).can_refuse
    save_model(tmp_path / "again", model)
    plain = Model(random_network((784, 2, 2)), ["top", "bottom"], "none")
    assert not plain.can_refuse
    assert "no_digit" not in plain.metadata


def test_255_classes_and_no_digit_are_as_many_as_there_may_be(tmp_path):
    names = [f"c{number}" for number in range(255)]
    save_model(tmp_path / "m", Model(random_network((784, 1, 256)), names, "none"))
    assert load_model(tmp_path / "m").can_refuse


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"no_digit": "yes"}, "no_digit in its metadata is neither true nor false"),
        ({"no_digit": 1}, "no_digit in its metadata is neither true nor false"),
        ({"no_digit": None}, "no_digit in its metadata is neither true nor false"),
        ({"no_digit": False}, "class names that do not match 3 classes"),
        ({"class_names": ["a", "b", "c"]}, 'class names that do not match 2 classes and "no digit"'),
        ({"class_names": ["a"]}, 'class names that do not match 2 classes and "no digit"'),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(changes, told, tmp_path):
    save_model(tmp_path / "m.safetensors", halves_model())
    rewrite(tmp_path / "m.safetensors", **changes)
    assert told in refused(tmp_path / "m.safetensors")


def test_no_digit_alone_is_no_model(tmp_path):
    save_model(tmp_path / "m.safetensors", halves_model())
    last = {"2.weight": np.zeros((1, 2), np.float32), "2.bias": np.zeros(1, np.float32)}
    rewrite(tmp_path / "m.safetensors", last, class_names=[], layer_sizes=[784, 2, 1])
    assert "class names that do not match 0 classes" in refused(tmp_path / "m.safetensors")


def test_how_sure_a_model_is_of_a_picture_is_how_sure_it_is_of_a_class():
    images, model = images_of("t-b-"), halves_model(temperature=3.0)
    probabilities = model.network.predict_probabilities(images.reshape(4, 784))[2]
    np.testing.assert_array_equal(model.confidences(images), probabilities[:, :2].max(axis=1))
    assert (model.confidences(images)[[1, 3]] < probabilities[[1, 3], 2]).all()
    plain = Model(random_network((784, 5, 10)), list("0123456789"), "none")
    np.testing.assert_array_equal(plain.confidences(images), plain.network.predict(images.reshape(4, 784))[1])


# Predictions


def test_an_image_that_is_refused_has_no_label_and_an_error():
    result = halves_model().predict(np.concatenate([np.zeros((1, 28, 28), np.uint8), images_of("tb-")]))
    assert result.labels.tolist() == ["", "top", "bottom", ""]
    assert result.indices.tolist() == [-1, 0, 1, -1]
    assert result.errors[0] == f"<array>: image 0: {TOLD} ({REFUSED:.2f})"
    assert [error is None for error in result.errors] == [False, True, True, False]
    assert result.refused.tolist() == [True, False, False, True]
    assert np.isnan(result.confidences).tolist() == [True, False, False, True]
    assert result.probabilities.shape == (4, 2)
    assert np.isnan(result.probabilities[[0, 3]]).all()
    np.testing.assert_allclose(result.probabilities[1:3].max(axis=1), result.confidences[1:3])


def test_the_probabilities_of_the_classes_leave_room_for_no_digit():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, :14] = 77  # logits 6.04, 0, 5
    result = halves_model().predict(image)
    expected = reference.softmax(np.array([[20 * 77 / 255, 0, 5.0]]))[0]
    np.testing.assert_allclose(result.probabilities[0], expected[:2], rtol=1e-4)
    assert result.probabilities.sum() < 0.8


def test_what_cannot_be_read_is_not_refused_but_unreadable(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((28, 28), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no picture")  # its pixels are zeros too
    cv2.imwrite(str(tmp_path / "c.png"), images_of("t")[0])
    (part,) = halves_model().stream([str(tmp_path)])
    assert (list(part.batch.errors), list(part.refusals), list(part.errors)) == ([1], [0], [1, 0])
    assert part.refusals[0] == f"{tmp_path}/a.png: {TOLD} ({REFUSED:.2f})"
    assert "b.png" in part.errors[1]
    assert TOLD not in part.errors[1]
    assert halves_model().predict(str(tmp_path)).refused.tolist() == [True, False, False]
    assert halves_model().predict([]).refused.tolist() == []


@pytest.mark.parametrize("kinds", ["t-b--bbt", "-", "tb", "-" * 40, "-t" * 3000])
def test_rows_of_an_idx_file_are_the_same_made_by_the_kernel_and_one_by_one(kinds, tmp_path):
    write_images(tmp_path / "idx", images_of(kinds))
    row_format, labels = CsvFormat(["top", "bottom"]), []
    for part in halves_model().stream([str(tmp_path / "idx")]):
        made = row_format.rows(part)
        assert all(isinstance(piece, memoryview) for piece in made)  # by the kernel
        lines = b"".join(row_format.rows(part))
        assert lines == b"".join(RowFormat.rows(row_format, part))
        labels += [line.split(b",")[2].decode() for line in lines.splitlines()]
    assert labels == [LABELS[kind] for kind in kinds]


@pytest.mark.parametrize("kind", [CsvFormat, JsonlFormat, KaggleFormat])
def test_rows_without_a_label_are_known_again_when_a_job_is_resumed(kind, tmp_path):
    write_images(tmp_path / "idx", images_of("-t-b-"))
    cv2.imwrite(str(tmp_path / "a.png"), images_of("-")[0])
    (tmp_path / "b.png").write_bytes(b"no picture")
    inputs, row_format = [str(tmp_path / name) for name in ("a.png", "idx", "b.png")], kind(["top", "bottom"])

    def run(path, resume):
        n_failed = 0
        with part_file(path, {}, row_format, resume=resume) as part:
            for rows in halves_model().stream(inputs, selection=Selection(count_known=part.count_known)):
                part.file.writelines(row_format.rows(rows))
                n_failed += len(rows.errors)
        return n_failed + part.n_failed

    assert run(tmp_path / "whole", False) == 5
    whole = (tmp_path / "whole").read_bytes()
    for place in range(0, len(whole) + 1, 7):
        (tmp_path / "out.part").write_bytes(whole[:place])
        (tmp_path / "out.part.json").write_text("{}")
        assert run(tmp_path / "out", True) == 5
        assert (tmp_path / "out").read_bytes() == whole


def test_a_plain_model_refuses_nothing():
    model = Model(random_network((784, 5, 256)), [f"c{number}" for number in range(256)], "none")
    model.trained.biases(1)[255] = 100
    assert model.predict(images_of("t-b")).labels.tolist() == ["c255"] * 3


# Figures


def test_the_figures_are_those_of_plain_numpy():
    kinds, true = "ttb-b-tbt-", np.array([0, 1, 1, 0, 1, 1, 0, 0, 0, 1], np.uint8)
    model, pixels = halves_model(), images_of(kinds).reshape(10, 784)
    predicted = np.array(["tb-".index(kind) for kind in kinds])
    figures = evaluate(model.network, pixels, true, can_refuse=True)
    confusion = [[int(((true == row) & (predicted == column)).sum()) for column in range(3)] for row in range(2)]
    assert np.column_stack([figures.confusion, figures.refused]).tolist() == confusion
    assert figures.confusion.dtype == figures.refused.dtype == np.int64
    assert figures.predictions.tolist() == predicted.tolist()
    assert (figures.n_samples, figures.n_refused, figures.accuracy) == (10, 3, (predicted == true).mean())
    for label in range(2):
        right, said, of_class = ((predicted == label) & (true == label)).sum(), predicted == label, true == label
        assert figures.recall[label] == pytest.approx(right / of_class.sum())
        assert figures.precision[label] == pytest.approx(right / said.sum())
        assert figures.f1[label] == pytest.approx(2 * right / (said.sum() + of_class.sum()))
    probabilities = reference.softmax(model.network.logits(pixels))
    assert figures.loss == pytest.approx(-np.log(probabilities[np.arange(10), true]).mean(), rel=1e-5)
    answered = predicted < 2
    sure, is_right = probabilities.max(axis=1)[answered], (predicted == true)[answered]
    assert sure.min() > 14 / 15  # all in one bin
    assert figures.calibration_error == pytest.approx(abs(sure.mean() - is_right.mean()), rel=1e-5)
    mistakes = {(row, column, confusion[row][column]) for row in range(2) for column in range(3) if row != column}
    assert set(figures.top_confusions) == {cell for cell in mistakes if cell[2]}
    assert figures.as_dict()["refused"] == [row[2] for row in confusion]


def test_a_model_that_refuses_all_has_figures_of_0():
    model = halves_model()
    figures = fastmnist.evaluate(model, images_of("---"), ["top", "top", "bottom"])
    assert (figures.accuracy, figures.calibration_error, figures.refused.tolist()) == (0, 0, [2, 1])
    assert figures.recall.tolist() == figures.precision.tolist() == figures.f1.tolist() == [0, 0]
    assert figures.top_confusions == [(0, 2, 2), (1, 2, 1)]


def test_a_plain_model_has_no_figures_of_refusals(model, digits):
    figures = evaluate(random_network(), digits[0][:50].reshape(50, 784), digits[1][:50])
    assert (figures.refused, figures.n_refused) == (None, 0)
    assert "refused" not in figures.as_dict()


# Training


KINDS = "tb" * 30
OTHERS = images_of("-" * 40, seed=1)


def labels_of(kinds):
    return [LABELS[kind] for kind in kinds]


def trained(**changes):
    given = {"no_digit": OTHERS, **SETTINGS, **changes}
    return fastmnist.train(images_of(KINDS), labels_of(KINDS), **given)


def test_a_model_learns_to_tell_no_digit():
    model = trained()
    assert (model.trained.n_classes, model.class_names, model.can_refuse) == (3, ["bottom", "top"], True)
    assert model.predict(images_of("tb--bt", seed=2)).labels.tolist() == labels_of("tb--bt")


def test_images_of_no_digit_come_as_predict_takes_images(tmp_path):
    write_images(tmp_path / "others", OTHERS)
    (tmp_path / "table.csv").write_text("".join(",".join(map(str, image.ravel())) + "\n" for image in OTHERS))
    (tmp_path / "folder").mkdir()
    for number, image in enumerate(OTHERS):
        cv2.imwrite(str(tmp_path / "folder" / f"{number:02}.png"), image)
    expected = trained(preprocess="none").trained.parameters
    forms = [
        tmp_path / "others",
        str(tmp_path / "table.csv"),
        tmp_path / "folder",
        [tmp_path / "folder" / f"{number:02}.png" for number in range(20)] + [OTHERS[20:]],
        OTHERS.reshape(40, 784) / 255,
    ]
    for form in forms:
        np.testing.assert_array_equal(trained(no_digit=form, preprocess="none").trained.parameters, expected)


def test_they_are_read_as_the_labelled_images_are():
    square = np.zeros((1, 28, 28), np.uint8)
    square[0, 2:9, 2:9] = 255  # "mnist" puts it into the middle
    how = Loading(None, "mnist", 1)
    whole, _ = training_sets(square, ["7"], None, how, no_digit=square)
    np.testing.assert_array_equal(whole.pixels[0], whole.pixels[1])
    assert (whole.labels.tolist(), whole.n_no_digit) == ([10, 7], 1)
    assert (whole.pixels[0] != square.ravel()).any()


def model_of(run):
    for _ in run.events():
        pass
    return run.model()


def test_a_model_expects_few_images_of_no_digit():
    expecting = {}
    for count in (20, 40):
        run = TrainingRun(*training_sets(images_of(KINDS), labels_of(KINDS), None, Loading(None, None, 1),
                                         no_digit=OTHERS[:count]), recipe_with("seed", hidden=(4,)))  # fmt: skip
        before = run.training.network.parameters.copy()
        expecting[count] = model_of(run)
        trained_bias = run.training.network.biases(1)
        shift = expecting[count].trained.biases(1) - trained_bias
        np.testing.assert_allclose(shift, [0, 0, np.log(0.15 / 0.85) - np.log(count / 60)], rtol=1e-5)
        assert (before != run.training.network.parameters).any()
        np.testing.assert_array_equal(run.model().trained.parameters, expecting[count].trained.parameters)


def test_the_images_held_out_are_labelled_ones():
    images, labels = images_of(KINDS), labels_of(KINDS)
    whole, _ = training_sets(images, labels, None, Loading(None, None, 1), no_digit=OTHERS)
    recipe = recipe_with("seed", hidden=(4,), validation=10)
    run = TrainingRun(whole, None, recipe)
    np.testing.assert_array_equal(run.training.held_out[0], images[-10:].reshape(10, 784))
    np.testing.assert_array_equal(run.training.pixels[:40], OTHERS.reshape(40, 784))
    assert run.training.labels[:40].tolist() == [2] * 40
    assert run.training.held_out[1].tolist() == [["bottom", "top"].index(label) for label in labels[-10:]]


def test_with_a_validation_set_it_is_calibrated_on_labelled_images():
    model = trained(validation=20)
    held_out = images_of(KINDS)[-20:].reshape(20, 784)
    labels = np.array([model.class_names.index(label) for label in labels_of(KINDS)[-20:]], np.uint8)
    assert model.origin["validation_accuracy"] == 1
    assert model.temperature == fit_temperature(model.trained.logits(held_out), labels)


@pytest.mark.parametrize("validation", [60, 61, 99, 100])
def test_no_more_than_the_labelled_images_can_be_held_out(validation):
    with pytest.raises(TrainingError, match=f"{validation} of 60 images held out"):
        trained(validation=validation)


def test_the_test_set_counts_refusals_as_wrong():
    model = trained(test=(images_of("tb--"), ["top", "bottom", "top", "bottom"]))
    assert model.origin["test_accuracy"] == 0.5


def test_whether_anything_was_learnt_is_asked_of_the_labelled_images(notes):
    noise, labels = images_of("-" * 40, seed=3), ["top", "bottom"] * 20
    fastmnist.train(noise, labels, no_digit=images_of("t" * 200), **{**SETTINGS, "epochs": 1})
    assert any("the network has learnt nothing" in note for note in notes)


def test_without_such_images_nothing_changes():
    images, labels = images_of(KINDS), labels_of(KINDS)
    model = fastmnist.train(images, labels, **SETTINGS)
    assert (model.trained.n_classes, model.can_refuse) == (2, False)


def test_a_checkpoint_is_of_its_images_of_no_digit(tmp_path):
    whole = trained(checkpoint=tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(epoch):
        if epoch.epoch == 5:
            raise StopError

    with pytest.raises(StopError):
        trained(checkpoint=tmp_path / "c", on_epoch=stop)
    for others in (OTHERS[::-1], OTHERS[:-1]):
        with pytest.raises(TrainingError, match="different training data"):
            trained(checkpoint=tmp_path / "c", resume=True, no_digit=others)
    resumed = trained(checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(resumed.trained.parameters, whole.trained.parameters)


def test_images_that_cannot_be_read_are_refused_or_left_out(tmp_path, notes):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    others = [tmp_path / "broken.png", OTHERS]
    with pytest.raises(DataError, match="1 of 41 images of no digit can't be read, expected all of them"):
        trained(no_digit=others)
    notes.clear()
    skipped = trained(no_digit=others, skip_unreadable=True)
    np.testing.assert_array_equal(skipped.trained.parameters, trained().trained.parameters)
    assert sum("broken.png" in note for note in notes) == 1
    assert "1 of 41 images of no digit can't be read and are left out" in notes
    with pytest.raises(DataError, match=r"broken.png: 1 of 1 images of no digit can't be read, expected some"):
        trained(no_digit=tmp_path / "broken.png", skip_unreadable=True)


def test_no_images_of_no_digit_are_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", [], np.zeros((0, 784), np.uint8)):
        with pytest.raises(DataError, match="no images given with `no_digit`, expected at least one"):
            trained(no_digit=nothing)


@pytest.mark.parametrize("name", ["no digit", "No_Digit"])
def test_no_digit_is_no_class(name, tmp_path):
    images = images_of("tb")
    for given in ({"labels": ["top", name]}, {"labels": [0, 1], "class_names": ["top", name]}):
        with pytest.raises(DataError, match=f"class name '{name}': expected real classes only; .*`no_digit`"):
            fastmnist.train(images, **given, **SETTINGS)
    for folder in ("top", name):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), images[0])
    with pytest.raises(DataError, match=f"{name}: expected real classes only; .*`no_digit`; move the folder away"):
        fastmnist.train(tmp_path, **SETTINGS)
    with pytest.raises(DataError, match=f"class name '{name}'"):
        fastmnist.train(tmp_path, class_names=["top", name], **SETTINGS)
    (tmp_path / "corrected.csv").write_text(f"path,index,label\n{tmp_path}/top/a.png,,1\n{tmp_path}/x.png,,{name}\n")
    with pytest.raises(DataError, match=f"class name '{name}'"):
        fastmnist.train(tmp_path / "corrected.csv", **SETTINGS)


def test_as_many_classes_as_labels_have_room_for_leave_none_for_no_digit():
    names = [f"c{number:03}" for number in range(256)]
    with pytest.raises(DataError, match="256 class names, expected 2 to 255"):
        fastmnist.train(images_of("t" * 256), names, no_digit=OTHERS, **SETTINGS)


# Training further


def test_the_last_output_stays_the_last_one():
    start, network = random_network((784, 20, 4), 1), random_network((784, 20, 6), 2)
    before = network.weights(1).copy()
    begin_with(network, start, can_refuse=True)
    np.testing.assert_array_equal(network.weights(0), start.weights(0))
    np.testing.assert_array_equal(network.weights(1)[:, [0, 1, 2, 5]], start.weights(1))
    np.testing.assert_array_equal(network.biases(1)[[0, 1, 2, 5]], start.biases(1))
    np.testing.assert_array_equal(network.weights(1)[:, [3, 4]], before[:, [3, 4]])
    network = random_network((784, 20, 6), 2)
    mean = mean_with(network, start, 0.25, can_refuse=True)
    for ours, others, theirs in (
        (mean.weights(1), network.weights(1), start.weights(1)),
        (mean.biases(1), network.biases(1), start.biases(1)),
    ):
        expected = others.copy()
        expected[..., [0, 1, 2, 5]] = 0.75 * others[..., [0, 1, 2, 5]] + 0.25 * theirs
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(mean.weights(0), 0.75 * network.weights(0) + 0.25 * start.weights(0), atol=1e-7)


FURTHER = {"recipe": "tune", "epochs": 10, "learning_rate": 0.02, "augment": {"elastic": 0}}


def test_a_model_trained_further_goes_on_telling_no_digit():
    images, labels = images_of("tb" * 10, seed=4), labels_of("tb" * 10)
    model = fastmnist.train(images, labels, start=trained(), **{**FURTHER, "epochs": 60})
    assert (model.class_names, model.trained.n_classes, model.can_refuse) == (["bottom", "top"], 3, True)
    assert model.predict(images_of("tb--", seed=6)).labels.tolist() == labels_of("tb--")


def test_new_classes_come_before_no_digit():
    columns = images_of("-" * 20, seed=5)
    columns[:, :, 10:14] = 255
    images, labels = np.concatenate([images_of("tb" * 10, seed=4), columns]), labels_of("tb" * 10) + ["a new one"] * 20
    model = fastmnist.train(images, labels, start=trained(), no_digit=OTHERS, **{**FURTHER, "epochs": 60})
    assert (model.class_names, model.trained.n_classes) == (["bottom", "top", "a new one"], 4)
    assert model.can_refuse
    seen = np.concatenate([images_of("tb--", seed=6), columns[:1]])
    assert model.predict(seen).labels.tolist() == ["top", "bottom", "", "", "a new one"]


def test_a_plain_model_learns_to_tell_no_digit():
    plain = fastmnist.train(images_of(KINDS), labels_of(KINDS), **SETTINGS)
    model = fastmnist.train(
        images_of("tb" * 10, 4), labels_of("tb" * 10), start=plain, no_digit=OTHERS, **{**FURTHER, "epochs": 60}
    )
    assert (model.can_refuse, model.trained.n_classes) == (True, 3)
    assert model.predict(images_of("tb--", seed=6)).labels.tolist() == labels_of("tb--")


def test_a_model_with_no_room_for_new_classes_says_so():
    names = [f"c{number:03}" for number in range(255)]
    start = Model(random_network((784, 4, 256)), names, "none")
    with pytest.raises(DataError, match="256 class names, expected 2 to 255"):
        fastmnist.train(images_of("tb"), ["c001", "x"], start=start, epochs=1)
