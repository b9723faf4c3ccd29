"""Safe wherever it is called from: threads, forks, copies, pickles, memory maps, and a process that is not ours."""

import copy
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from threading import Barrier

import joblib
import numba
import numpy as np
import pytest
from conftest import HANGS_AFTER, cli_environment, random_network

import fastmnist
from fastmnist.kernels import jit
from fastmnist.model.network import Network
from fastmnist.shapes import DIGITS
from fastmnist.training.augmentation import Augmenter
from fastmnist.training.recipes import Augmentation
from fastmnist.training.trainer import Trainer

N_THREADS, N_ROUNDS = 8, 100

MAY_FORK = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12
needs_threads = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


@pytest.fixture(scope="module")
def network():
    return random_network((784, 32, 10))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(256, size=(500, 784), dtype=np.uint8)


def answers(network, pixels):
    """All that a network says of images, as bytes."""
    labels, confidences, probabilities = network.predict_probabilities(pixels)
    return b"".join(array.tobytes() for array in (labels, confidences, probabilities, network.logits(pixels)))


@pytest.fixture
def set_threads():
    """Set Numba's threads for this test."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


def test_eight_threads_on_one_network_answer_as_one_does(network, pixels):
    batches = [pixels[first : first + 100 + 13 * first // 50] for first in range(0, 50 * N_THREADS, 50)]
    expected = [answers(network, batch) for batch in batches]
    barrier = Barrier(N_THREADS)

    def work(batch):
        barrier.wait()
        return answers(network, batch)

    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(N_ROUNDS):
            assert list(pool.map(work, batches)) == expected


def test_threads_that_train_and_distort_do_not_disturb_each_other(pixels):
    labels, order = (np.arange(len(pixels)) % 10).astype(np.uint8), np.arange(len(pixels))
    augmentation = Augmentation(rotation=10, elastic=1, thickness=0.3)

    def work(seed):
        network = random_network((784, 32, 10), seed)
        copies = Augmenter(augmentation, len(pixels)).distort(pixels, order, seed, 1)
        Trainer(network, 50, 0.9, len(pixels)).train(copies, labels, order, 0.1, 0.0)
        return answers(network, pixels)

    expected = [work(seed) for seed in range(N_THREADS)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(5):
            assert list(pool.map(work, range(N_THREADS))) == expected


@needs_threads
@pytest.mark.parametrize(("made_with", "called_with"), [(1, 2), (2, 1)])
def test_the_number_of_threads_may_change_between_making_and_calling(made_with, called_with, pixels, set_threads):
    set_threads(made_with)
    network = random_network((784, 32, 10))
    trainer, augmenter = Trainer(network, 50, 0.9, 500), Augmenter(Augmentation(rotation=10), 500)
    labels, order = (np.arange(500) % 10).astype(np.uint8), np.arange(500)

    def work():
        trainer.train(augmenter.distort(pixels, order, 0, 1), labels, order, 0.1, 0.0)
        return answers(network, pixels)

    state = {name: array.copy() for name, array in trainer.state().items()}
    expected = work()
    for name, array in trainer.state().items():
        array[:] = state[name]
    set_threads(called_with)
    assert work() == expected


@MAY_FORK
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_process_answers_as_its_parent(method, network, pixels):
    """A fork after a parallel kernel ran, too: the threads of OpenMP are not there in the child."""
    expected = answers(network, pixels)
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(answers, [network] * 4, [pixels] * 4)) == [expected] * 4


@MAY_FORK
def test_a_forked_child_trains_as_its_parent(pixels):
    labels, order = (np.arange(500) % 10).astype(np.uint8), np.arange(500)
    network = random_network((784, 32, 10))
    trainer = Trainer(network, 50, 0.9, 500)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        trainer.train(pixels, labels, order, 0.1, 0.0)
        os.write(writing, network.parameters.tobytes()[:1000])
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    trainer.train(pixels, labels, order, 0.1, 0.0)
    assert os.read(reading, 1000) == network.parameters.tobytes()[:1000]


COPIES = {
    "pickle": lambda network, _: pickle.loads(pickle.dumps(network)),
    "copy": lambda network, _: copy.copy(network),
    "deepcopy": lambda network, _: copy.deepcopy(network),
    "joblib": lambda network, path: joblib.load(joblib.dump(network, path)[0]),
    "memory map": lambda network, path: joblib.load(joblib.dump(network, path)[0], mmap_mode="r"),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_predicts_the_same_and_has_parameters_of_its_own(way, network, pixels, tmp_path):
    before = answers(network, pixels)
    other = COPIES[way](network, tmp_path / "network")
    assert other.layer_sizes == network.layer_sizes
    assert answers(other, pixels) == before
    other.parameters[:] = 0
    assert answers(network, pixels) == before


def test_images_may_be_memory_mapped(network, pixels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    assert answers(network, np.load(tmp_path / "pixels.npy", mmap_mode="r")) == answers(network, pixels)


WATCH = """
import os, pkgutil, signal, sys, threading, warnings, logging
import numpy as np, numba
import sklearn.utils.multiclass  # what it sets itself is not ours
from numba.core import config

def outside():
    return {
        "environment": dict(os.environ), "filters": list(warnings.filters), "showwarning": warnings.showwarning,
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook), "streams": (sys.stdout, sys.stderr),
        "numba": {name: value for name, value in vars(config).items() if name.isupper()},
        "numpy": (np.geterr(), np.get_printoptions()), "loggers": logging.getLogger().handlers[:],
        "threads": threading.active_count(), "folder": os.getcwd(), "random": np.random.get_state()[1].tobytes(),
    }

before = outside()
import fastmnist
for module in pkgutil.walk_packages(fastmnist.__path__, "fastmnist."):
    if module.name != "fastmnist.__main__":
        __import__(module.name)
after = outside()
print([name for name in before if before[name] != after[name]], len(os.listdir(os.environ["XDG_CACHE_HOME"])))
"""


def test_importing_changes_nothing_outside_the_package(tmp_path):
    environment = cli_environment(XDG_CACHE_HOME=str(tmp_path), GOMP_SPINCOUNT=None)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH],
        env=environment, capture_output=True, text=True, timeout=HANGS_AFTER,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("[] 0\n", "")


def test_loading_opencv_leaves_its_settings_in_the_environment_alone():
    code = "import json, os; from fastmnist.images.decode import opencv; opencv();"
    code += "print(json.dumps({name: value for name, value in os.environ.items() if name.startswith('OPENCV')}))"
    environment = {**cli_environment(OPENCV_LOG_LEVEL="DEBUG"), "OPENCV_IO_MAX_IMAGE_PIXELS": "9"}
    expected = {name: value for name, value in environment.items() if name.startswith("OPENCV")}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == expected


def test_the_threads_of_numba_are_as_they_were_after_a_call(network, pixels, set_threads):
    set_threads(1)
    network.predict(pixels)
    assert numba.get_num_threads() == 1


def test_a_forked_child_has_one_thread(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert jit.n_threads() == 1


def test_no_more_threads_than_this_process_may_use(monkeypatch):
    monkeypatch.setattr(jit, "MAX_THREADS", 1)
    assert jit.n_threads() == 1


@pytest.mark.parametrize(("asked", "expected"), [(None, "cpus"), ("3", "inf")])
def test_only_what_the_user_asked_for_goes_beyond_them(asked, expected):
    code = "from fastmnist.kernels.jit import MAX_THREADS; from fastmnist.threads import usable_cpus; print("
    code += "'cpus' if MAX_THREADS == usable_cpus() else MAX_THREADS)"
    environment = cli_environment(NUMBA_NUM_THREADS=asked)
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip() == expected


def test_a_network_in_a_cycle_of_pickling_keeps_its_bytes(network):
    assert pickle.dumps(pickle.loads(pickle.dumps(network))) == pickle.dumps(network)
    assert isinstance(pickle.loads(pickle.dumps(network)), Network)


# The same of a whole model


@pytest.fixture(scope="module")
def model():
    return fastmnist.Model(random_network((784, 32, 10)), list(DIGITS), "auto", temperature=1.5)


def said(model, pixels):
    """All that a model says of images, some of which can't be read, as bytes."""
    result = model.predict([pixels, b"no picture", pixels[0].reshape(28, 28)])
    return b"".join(
        array.tobytes() for array in (result.indices, result.confidences, result.probabilities)
    ), result.errors


def test_eight_threads_on_one_model_answer_as_one_does(model, pixels):
    batches = [pixels[first : first + 50] for first in range(0, 50 * N_THREADS, 50)]
    expected = [said(model, batch) for batch in batches]
    fresh = copy.deepcopy(model)  # whose calibrated network is not made yet
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(N_ROUNDS):
            assert list(pool.map(said, [fresh] * N_THREADS, batches)) == expected


@MAY_FORK
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_model_in_a_child_process_answers_as_in_its_parent(method, model, pixels):
    expected = said(model, pixels)
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(said, [model] * 4, [pixels] * 4)) == [expected] * 4


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_model_predicts_the_same(way, model, pixels, tmp_path):
    expected = said(model, pixels)
    other = COPIES[way](model, tmp_path / "model")
    assert (other.class_names, other.preprocess, other.temperature) == (model.class_names, "auto", 1.5)
    assert said(other, pixels) == expected


def test_a_limit_of_threads_holds_for_one_call(model, pixels, set_threads):
    set_threads(numba.config.NUMBA_NUM_THREADS)
    expected = said(model, pixels)
    for part in model.stream([], threads=1):
        raise AssertionError(part)
    assert model.predict(pixels, threads=1).probabilities.tobytes() in expected[0]
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
