"""ONNX files: what ONNX Runtime makes of them is what `predict` says."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import random_network
from test_no_digit import halves_model, images_of

from fastmnist import __version__
from fastmnist.api import Model
from fastmnist.errors import OutputError
from fastmnist.export.onnx import export_onnx
from fastmnist.model.integer_network import Rounding
from fastmnist.shapes import DIGITS

MODELS = {
    "three classes": lambda: Model(random_network((784, 20, 3)), ["a", "b", "c"], "none"),
    "deep, with a temperature": lambda: Model(random_network((784, 30, 20, 10)), list(DIGITS), "auto", temperature=0.5),
    "of integers": lambda: Model(
        random_network((784, 60, 20, 10)),
        list(DIGITS),
        "auto",
        0.5,
        rounding=Rounding([[1] * 60, [-1, 0] * 10], [2.0, 3.0]),
    ),
    "refuses": halves_model,
    "refuses, with a temperature": lambda: halves_model(temperature=2.5),
}
SHAPES = [(784,), (1, 28, 28)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def outputs(path, pixels):
    """What ONNX Runtime returns: labels and probabilities."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], {"pixels": pixels})


def predictions(model, images):
    """What fastmnist says of images (n, 28, 28), those that it refuses too: labels and probabilities."""
    result = model.predict(images, preprocess="none")
    probabilities = model.network.predict_probabilities(images.reshape(len(images), -1))[2]
    return result.indices, probabilities[:, : len(model.class_names)]


def assert_alike(theirs, probabilities):
    """Assert that they are equal but for a step here and there: sums in float32 may be rounded to the next one."""
    differences = np.abs(theirs - probabilities).max(axis=1)
    assert (differences < 1e-5).mean() > 0.97
    assert differences.max() < 0.005


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_a_runtime_says_what_predict_says(name, shape, path, digits):
    model = MODELS[name]()
    images = np.concatenate([images_of("tb-" * 100), digits[0][:200]])
    labels, probabilities = predictions(model, images)
    assert len(set(labels)) > 2
    assert (-1 in labels) == model.can_refuse
    export_onnx(path, model, shape)
    their_labels, theirs = outputs(path, images.reshape(-1, *shape))
    np.testing.assert_array_equal(their_labels, labels)
    assert_alike(theirs, probabilities)
    assert (their_labels.dtype, theirs.dtype) == (np.int64, np.float32)


def test_the_shipped_model_reads_10_000_digits_alike(path, model, digits):
    export_onnx(path, model)
    labels, probabilities = predictions(model, digits[0])
    their_labels, theirs = outputs(path, digits[0].reshape(-1, 784))
    np.testing.assert_array_equal(their_labels, labels)
    assert_alike(theirs, probabilities)


@pytest.mark.parametrize("n", [0, 1])
def test_any_number_of_images_will_do(n, path):
    export_onnx(path, halves_model())
    labels, probabilities = outputs(path, np.zeros((n, 784), np.uint8))
    assert (labels.tolist(), probabilities.shape) == ([-1] * n, (n, 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_the_file_is_whole_and_old_enough_for_old_runtimes(name, shape, path):
    export_onnx(path, MODELS[name](), shape)
    written = onnx.load(path)
    onnx.checker.check_model(written, full_check=True)
    assert written.ir_version == 7
    assert [(entry.domain, entry.version) for entry in written.opset_import] == [("", 13)]
    assert (written.producer_name, written.producer_version) == ("fastmnist", __version__)


def test_its_metadata_name_the_classes_and_how_to_preprocess(path):
    export_onnx(path, Model(random_network((784, 2, 2)), ["é", "2, or two"], "mnist"))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == ["é", "2, or two"]
    assert metadata["preprocess"] == "mnist"


def test_its_weights_have_the_names_and_numbers_of_the_model_file(path):
    model = MODELS["deep, with a temperature"]()
    export_onnx(path, model)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer}
    for layer in range(3):
        np.testing.assert_array_equal(constants[f"{2 * layer}.weight"], model.trained.weights(layer).T)
        np.testing.assert_array_equal(constants[f"{2 * layer}.bias"], model.trained.biases(layer))


@pytest.mark.parametrize("name", MODELS)
def test_equal_models_are_equal_files(name, tmp_path):
    for number in range(2):
        export_onnx(tmp_path / str(number), MODELS[name]())
    export_onnx(tmp_path / "other", MODELS[name](), (1, 28, 28))
    contents = [(tmp_path / name).read_bytes() for name in ("0", "1", "other")]
    assert contents[0] == contents[1] != contents[2]


def test_images_of_another_size_are_refused(path):
    with pytest.raises(ValueError, match=r"images of shape \(3, 28, 28\): expected 784 pixels"):
        export_onnx(path, halves_model(), (3, 28, 28))
    assert not path.exists()


def test_without_its_extra_the_error_names_it_and_an_old_file_stays(path, monkeypatch):
    path.write_bytes(b"old")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OutputError, match=r"model\.onnx: an ONNX file, which needs the extra 'onnx': pip install "):
        export_onnx(path, halves_model())
    assert path.read_bytes() == b"old"
