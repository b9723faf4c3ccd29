"""DigitClassifier is a scikit-learn classifier, and trains as fastmnist does."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import HANGS_AFTER, ROOT, cli_environment
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmnist.errors import DataError, FastmnistError, TrainingError
from fastmnist.estimator import DigitClassifier
from fastmnist.kernels.jit import using_threads
from fastmnist.training.loop import Training
from fastmnist.training.recipes import SEED, recipe_with

FAST = DigitClassifier((16,), max_iter=10, random_state=0)
TWO_SETTINGS = [
    DigitClassifier(),
    DigitClassifier(
        (32, 16), recipe="seed", batch_size=100, learning_rate_init=0.3, max_iter=60, alpha=0.01, momentum=0.9,
        nesterovs_momentum=True,
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def in_one_thread():
    """The data here are small: threads would only wait for each other, and results do not depend on them."""
    with using_threads(1):
        yield


@pytest.fixture(scope="module")
def few():
    """500 of scikit-learn's digits, unscaled, and their labels."""
    features, labels = load_digits(return_X_y=True)
    return features[:500], labels[:500]


@parametrize_with_checks(TWO_SETTINGS)
def test_all_of_scikit_learns_checks_pass(estimator, check):
    check(estimator)


# At home in scikit-learn


def in_another_process(code, cwd, **environment):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=cwd, env=cli_environment(**environment),
        capture_output=True, text=True, timeout=HANGS_AFTER,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_pipeline_is_cross_validated(few):
    scores = cross_val_score(make_pipeline(StandardScaler(), FAST), *few, cv=3)
    assert scores.min() > 0.8


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_grid_search_in_processes_or_threads_equals_a_serial_one(backend, few):
    from joblib import parallel_config

    grid = {"hidden_layer_sizes": [(8,), (16, 8)], "alpha": [0.0, 1.0]}

    def search(**settings):
        with parallel_config(**settings):
            return GridSearchCV(FAST, grid, cv=2).fit(*few)

    serial, parallel = search(backend="sequential"), search(backend=backend, n_jobs=2)
    for name, values in serial.cv_results_.items():
        if "time" not in name:
            assert np.array_equal(parallel.cv_results_[name], values), name
    assert pickle.dumps(parallel.best_estimator_.network_) == pickle.dumps(serial.best_estimator_.network_)


SAVE = """
import pickle, sys
from sklearn.datasets import load_digits
from fastmnist.estimator import DigitClassifier
features, labels = load_digits(return_X_y=True)
classifier = DigitClassifier((16,), max_iter=10, random_state=0).fit(features[:500], labels[:500])
with open("classifier.pickle", "wb") as file:
    pickle.dump(classifier, file)
"""


def test_one_pickled_by_another_process_predicts_what_one_of_this_does(few, tmp_path):
    in_another_process(SAVE, tmp_path, NUMBA_NUM_THREADS="2")
    other = pickle.loads((tmp_path / "classifier.pickle").read_bytes())
    ours = clone(FAST).fit(*few)
    assert other.predict_proba(few[0]).tobytes() == ours.predict_proba(few[0]).tobytes()
    assert np.array_equal(other.predict(few[0]), ours.predict(few[0]))


def test_the_page_on_scikit_learn_does_what_it_says(tmp_path):
    page = (ROOT / "docs" / "scikit-learn.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    shown = "\nprint(accuracy, search.best_score_, probabilities.shape, probabilities.dtype)"
    accuracy, best, *form = in_another_process(code + shown, tmp_path).split(maxsplit=2)
    assert form == ["(450, 10) float32\n"]
    assert min(float(accuracy), float(best)) > 0.95


# Any features, any labels


@pytest.mark.parametrize("n_features", [1, 2, 63, 64, 65, 784, 3000])
def test_any_number_of_features(n_features):
    rng = np.random.default_rng(n_features)
    labels = rng.integers(2, size=300)
    features = rng.normal(size=(300, n_features))
    features[:, : max(1, n_features // 10)] += 5 * labels[:, None]
    classifier = clone(FAST).fit(features[:200], labels[:200])
    assert classifier.n_features_in_ == n_features
    assert classifier.score(features[200:], labels[200:]) > 0.95


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1, 16, 1e6, 1e300])
def test_unscaled_digits_are_learnt_at_any_scale(scale, few):
    features, labels = few[0] * scale, few[1]
    classifier = DigitClassifier((100,), max_iter=40, random_state=0).fit(features[:400], labels[:400])
    assert classifier.score(features[400:], labels[400:]) > 0.85


def test_features_far_from_zero_and_unalike_are_learnt():
    features, labels = make_moons(400, noise=0.1, random_state=0)
    features = features * [1e-4, 1e5] + [2020, -1e6]
    classifier = clone(FAST).set_params(max_iter=100).fit(features[:300], labels[:300])
    assert classifier.score(features[300:], labels[300:]) > 0.95


@pytest.mark.parametrize(
    "names",
    [
        ["zero", "one", "two"],
        [-7, 0, 10**12],
        [0.0, 1.0, 3.0],
        [False, True, True],
        np.array(["b", "a", "ä"], object),
    ],
    ids=str,
)
def test_any_labels_come_back_as_they_were(names, few):
    features, digits = few
    labels = np.asarray(names)[np.minimum(digits, 2)]
    classifier = clone(FAST).set_params(max_iter=40).fit(features, labels)
    assert classifier.classes_.tolist() == sorted(set(labels.tolist()))
    predicted = classifier.predict(features)
    assert predicted.dtype == labels.dtype
    assert (predicted == labels).mean() > 0.9
    assert (classifier.classes_[classifier.predict_proba(features).argmax(axis=1)] == predicted).all()


def test_256_classes_are_the_most():
    features, labels = np.tile(np.eye(257), (3, 1)), np.tile(np.arange(257), 3)
    known = labels < 256
    assert clone(FAST).fit(features[known], labels[known]).predict_proba(features).shape == (771, 256)
    with pytest.raises(DataError, match="257 classes, expected at most 256; merge some of them"):
        clone(FAST).fit(features, labels)


def test_one_class_is_always_predicted():
    classifier = clone(FAST).fit(np.eye(5), ["only"] * 5)
    assert classifier.predict(-np.eye(5)).tolist() == ["only"] * 5
    assert (classifier.predict_proba(np.eye(5)) == 1).all()


def test_data_without_a_difference_give_a_prediction():
    probabilities = clone(FAST).fit(np.zeros((6, 3)), [0, 1] * 3).predict_proba(np.ones((2, 3)))
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value, few):
    features = few[0].copy()
    features[3, 3] = value
    with pytest.raises(ValueError, match="contains"):
        clone(FAST).fit(features, few[1])
    with pytest.raises(ValueError, match="contains"):
        clone(FAST).fit(*few).predict(features)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_it_must_be_fitted_first(method, few):
    with pytest.raises(NotFittedError):
        getattr(clone(FAST), method)(few[0])


# The training is fastmnist's


def test_the_network_is_that_of_the_projects_own_training(few):
    features, labels = few
    settings = {"hidden": (12, 7), "batch_size": 50, "learning_rate": 0.05, "epochs": 4, "momentum": 0.5}
    classifier = DigitClassifier(
        (12, 7), recipe="seed", batch_size=50, learning_rate_init=0.05, max_iter=4, momentum=0.5,
        nesterovs_momentum=True, alpha=0.5, random_state=3,
    ).fit(features, labels)  # fmt: skip
    seed = np.random.RandomState(3).randint(2**31 - 1)
    recipe = recipe_with("seed", nesterov=True, weight_decay=0.5 / 50, seed=int(seed), **settings)
    training = Training(classifier.scaling_.apply(features), labels.astype(np.uint8), recipe)
    for _ in training.run():
        pass
    assert classifier.network_.parameters.tobytes() == training.network.parameters.tobytes()


def test_alpha_is_weight_decay_times_the_batch_that_there_is(few):
    features, labels = few[0][:40], few[1][:40]
    by_alpha = clone(FAST).set_params(batch_size=128, alpha=0.4).fit(features, labels)
    recipe = recipe_with("default", weight_decay=0.01)
    by_recipe = clone(FAST).set_params(recipe=recipe, batch_size=40).fit(features, labels)
    assert by_alpha.network_.parameters.tobytes() == by_recipe.network_.parameters.tobytes()


def test_a_recipe_gives_what_no_parameter_says(few):
    recipe = SEED.with_settings(hidden=(9,), epochs=2, validation=400, augment=recipe_with("default").augment)
    classifier = DigitClassifier(recipe=recipe, random_state=0).fit(*few)
    assert (classifier.network_.layer_sizes, classifier.n_iter_) == ((64, 9, 10), 2)
    other = DigitClassifier(9, recipe="seed", max_iter=2, random_state=0).fit(*few)  # which holds out none
    assert classifier.network_.parameters.tobytes() == other.network_.parameters.tobytes()


def test_what_is_no_recipe_is_refused(few):
    with pytest.raises(TrainingError, match=r"recipe 3, expected one of seed, .*, or a Recipe"):
        DigitClassifier(recipe=3).fit(*few)


@pytest.mark.parametrize("sizes", [16, (16,), [16], np.array([16])], ids=repr)
def test_hidden_layers_may_be_given_as_mlpclassifier_takes_them(sizes, few):
    assert clone(FAST).set_params(hidden_layer_sizes=sizes).fit(*few).network_.layer_sizes == (64, 16, 10)


def test_equal_seeds_give_equal_networks_whatever_the_threads(few):
    def parameters(threads, random_state):
        with using_threads(threads):
            return clone(FAST).set_params(random_state=random_state).fit(*few).network_.parameters.tobytes()

    assert parameters(2, 0) == parameters(1, 0) != parameters(1, 1)
    np.random.seed(7)
    first, second = parameters(1, None), parameters(1, None)
    assert first != second
    np.random.seed(7)
    assert parameters(1, None) == first == parameters(1, np.random.RandomState(7))


def test_nesterovs_momentum_is_of_no_effect_without_momentum(few):
    plain, nesterov = (
        clone(FAST).set_params(momentum=0, nesterovs_momentum=value).fit(*few) for value in (False, True)
    )
    assert plain.network_.parameters.tobytes() == nesterov.network_.parameters.tobytes()


def test_verbose_prints_a_line_for_each_epoch(few, capsys):
    clone(FAST).set_params(max_iter=3, verbose=True).fit(*few)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\d\.\d{8}", "LOSS", line) for line in lines] == [f"Iteration {n}, loss = LOSS" for n in (1, 2, 3)]
    clone(FAST).set_params(max_iter=3).fit(*few)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": ()}, "no hidden layers, expected the sizes of one or more"),
        ({"hidden_layer_sizes": (0,)}, "hidden 0: expected a number from 1 to 100000"),
        ({"hidden_layer_sizes": (1.5,)}, "expected a tuple of whole numbers"),
        ({"batch_size": "auto"}, "batch size 'auto': expected a whole number"),
        ({"batch_size": 0}, "batch size 0: expected"),
        ({"learning_rate_init": -1.0}, "learning rate -1: expected a number above 0"),
        ({"max_iter": 0}, "epochs 0: expected"),
        ({"alpha": -1.0}, "alpha -1.0: expected a number of 0 or more"),
        ({"recipe": "tune"}, "recipe tune: it is for fine-tuning a model, expected default, seed or best"),
        ({"momentum": 1.0}, "momentum 1: expected"),
        ({"recipe": "fast"}, "recipe 'fast', expected one of seed, default, best"),
        ({"learning_rate_init": 1e20}, "training diverged"),
    ],
    ids=str,
)
def test_an_unusable_parameter_is_one_line(parameters, message, few):
    with pytest.raises(TrainingError, match=message) as caught:
        clone(FAST).set_params(**parameters).fit(*few)
    assert "\n" not in str(caught.value)


# The extra


@pytest.mark.parametrize("missing", ["sklearn", "sklearn.utils.validation"])
def test_without_scikit_learn_the_import_names_the_extra(missing, tmp_path):
    code = f"import sys; sys.modules[{missing!r}] = None\n"
    code += "try:\n    import fastmnist.estimator\nexcept ImportError as error:\n"
    code += "    print(type(error).__mro__[1].__name__, error)"
    line = in_another_process(code, tmp_path)
    assert line.startswith(f"{FastmnistError.__name__} fastmnist.estimator: ")
    assert line.endswith("the extra 'sklearn': pip install 'fastmnist[sklearn]'\n")
    assert line.count("\n") == 1


def test_the_plain_import_does_not_load_scikit_learn(tmp_path):
    code = "import sys, fastmnist.api, fastmnist.training.run; print('sklearn' in sys.modules)"
    assert in_another_process(code, tmp_path) == "False\n"


@pytest.mark.parametrize("settings", [{"hidden_layer_sizes": 5.0}, {"hidden_layer_sizes": "5"}, {"alpha": "1"}])
def test_settings_of_another_type_are_a_training_error(settings):
    with pytest.raises(TrainingError):
        DigitClassifier(**settings).fit(np.eye(4), [0, 1, 0, 1])
