"""Training beside its peers: seconds per epoch.

One clock for all: wall time from uint8 pixels in memory to the last update, conversions, lists and checks
included, evaluation excluded, averaged over the epochs of a run.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.checks import check
from bench.load import undisturbed
from bench.machine import NOT_INSTALLED
from bench.peers import jax_scan, numpy_loop, pytorch, pytorch_notebook, sklearn_mlp
from bench.peers.common import Floats, Parameters, Result
from bench.processes import PeerProcess
from bench.settings import DataSet, Settings, WrongResultError, mnist, read
from bench.table import Table
from bench.timing import compare_clocks
from fastmnist.kernels import reference
from fastmnist.model.network import Network
from fastmnist.training.loop import EpochDone, Training
from fastmnist.training.recipes import SEED, Recipe

SHUFFLED = SEED.with_settings(shuffle=True)
WIDE = SEED.with_settings(
    hidden=(800, 800), batch_size=128, momentum=0.9, learning_rate=0.02, weight_decay=1e-4, initial_scale=0.05,
    shuffle=True, epochs=3,
)  # fmt: skip
MIDDLE = WIDE.with_settings(hidden=(300, 100), batch_size=64, epochs=5)
ACCURACY_TOLERANCE = 0.01  # between ours and a peer that does the same from the same start
CHECKED_BATCHES = 10

# On products this small OpenBLAS is no faster with two threads, and on a machine that is not quite idle 40 times
# slower. Only threadpoolctl, which comes with scikit-learn, can tell it.
NUMPY_THREADS = 1 if importlib.util.find_spec("threadpoolctl") else None


@dataclass(frozen=True)
class Peer:
    """A peer of one recipe, with its own settings, and how many times faster we want to be."""

    name: str
    train: Callable[..., Result]
    goal: float | None = None
    repeats: int = 3
    settings: tuple[tuple[str, Any], ...] = ()
    rules: bool = True  # whether it trains by our rules, to about our accuracy


JAX = Peer("JAX, one jitted scan", jax_scan.train, 3, 5)
PYTORCH = Peer("PyTorch eager", pytorch.train, 8)
NUMPY32 = Peer("NumPy float32", numpy_loop.train, 6, settings=(("dtype", "float32"), ("threads", NUMPY_THREADS)))
NUMPY64 = Peer("NumPy float64, the notebook's loop", numpy_loop.train, 10, settings=(("threads", NUMPY_THREADS),))
SKLEARN = Peer("scikit-learn MLPClassifier", sklearn_mlp.train, 6)
NOTEBOOK = Peer("the notebook's PyTorch net, by its own rules", pytorch_notebook.train, rules=False)


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table of each recipe."""
    digits = mnist(settings)
    if settings.smoke:
        for recipe in (SEED.with_settings(epochs=2), MIDDLE.with_settings(epochs=2, shuffle=False)):
            yield _table(recipe, digits, (_wanting(NUMPY32, None), _wanting(NUMPY64, None)), settings)
        return
    yield _table(SEED, digits, (JAX, PYTORCH, SKLEARN, NUMPY32, NUMPY64, NOTEBOOK), settings)
    yield _table(SHUFFLED, digits, (_wanting(JAX, 2.5),), settings)
    yield _table(WIDE, digits, (_wanting(PYTORCH, 3), _wanting(JAX, None)), settings)
    yield _table(MIDDLE, digits, (_wanting(PYTORCH, 4), _wanting(JAX, None)), settings)
    yield _table(SEED.with_settings(learning_rate=0.01), digits.inverted(), (_wanting(JAX, None),), settings)
    if settings.fashion.is_dir():
        yield _table(SEED, read("Fashion-MNIST", settings.fashion), (_wanting(JAX, 1.5),), settings)


def _wanting(peer: Peer, goal: float | None) -> Peer:
    return replace(peer, goal=goal)


def _table(recipe: Recipe, data: DataSet, peers: tuple[Peer, ...], settings: Settings) -> Table:
    """Check and time one recipe beside its peers."""
    table = Table(_title(recipe, data))
    check_first_steps(recipe, data)
    for peer in peers:
        for _ in undisturbed(table, settings):
            _compare(recipe, data, peer, table, settings)
    return table


def _title(recipe: Recipe, data: DataSet) -> str:
    sizes = "-".join(map(str, (data.pixels.shape[1], *recipe.hidden, 10)))
    order = "shuffled every epoch" if recipe.shuffle else "file order"
    momentum = f", momentum {recipe.momentum:g}" if recipe.momentum else ""
    case = f"Training {sizes} on {data.name}, batch {recipe.batch_size}{momentum}, {order}"
    return f"{case}: time per epoch, over {recipe.epochs}"


def _compare(recipe: Recipe, data: DataSet, peer: Peer, table: Table, settings: Settings) -> None:
    """Add the row of one peer, which starts from the same weights where it can."""
    finished: dict[str, Parameters] = {}

    def ours() -> float:
        seconds, network = train(recipe, data)
        finished["ours"] = parameters_of(network)
        return seconds

    start = parameters_of(_start(recipe, data))
    with PeerProcess() as process:

        def theirs() -> float:
            keywords = _keywords(recipe) | {"initial": start} if peer.rules else {"epochs": recipe.epochs}
            keywords |= {"threads": settings.threads} | dict(peer.settings)
            result = process.call(peer.train, data.pixels, data.labels, **keywords)
            finished["theirs"] = result.weights, result.biases
            return result.seconds_per_epoch

        try:
            comparison = compare_clocks(ours, theirs, repeats=settings.repeats(peer.repeats))
        except ImportError as error:
            table.add(peer.name, None, note=f"{NOT_INSTALLED}: {error.name}")
            return
    accuracy, its = (accuracy_of(finished[who], data) for who in ("ours", "theirs"))
    if peer.rules and abs(accuracy - its) > ACCURACY_TOLERANCE:
        raise WrongResultError(f"{table.title}, {peer.name}: accuracy {its:.2%}, ours {accuracy:.2%}")
    goal = f"; goal {peer.goal:g} x" if peer.goal else ""
    table.add_comparison(f"vs {peer.name}", comparison, note=f"test accuracy {accuracy:.2%}, peer {its:.2%}{goal}")


def train(recipe: Recipe, data: DataSet) -> tuple[float, Network]:
    """Train and return the seconds per epoch and the network."""
    training = Training(data.pixels, data.labels, recipe)
    seconds = sum(event.seconds for event in training.run() if isinstance(event, EpochDone))
    return seconds / recipe.epochs, training.network


def parameters_of(network: Network) -> Parameters:
    """Return copies of a network's weights and biases."""
    layers = range(network.n_layers)
    return [network.weights(layer).copy() for layer in layers], [network.biases(layer).copy() for layer in layers]


def accuracy_of(parameters: Parameters, data: DataSet) -> float:
    """Return the share of right answers on the test images, by float64 arithmetic."""
    logits: Floats = reference.forward(*parameters, data.test_pixels)[-1]
    return float((logits.argmax(axis=1) == data.test_labels).mean())


def check_first_steps(recipe: Recipe, data: DataSet) -> None:
    """Compare the parameters after some steps, in file order, with the oracle's."""
    n = CHECKED_BATCHES * recipe.batch_size
    part = DataSet(data.name, data.pixels[:n], data.labels[:n], data.test_pixels, data.test_labels)
    recipe = recipe.with_settings(epochs=1, shuffle=False)
    weights, biases = ([array.astype(np.float64) for array in arrays] for arrays in parameters_of(_start(recipe, data)))
    reference.train(
        weights, biases, part.pixels, part.labels,
        batch_size=recipe.batch_size, learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
    )  # fmt: skip
    _, network = train(recipe, part)
    for ours, expected in zip(parameters_of(network), (weights, biases), strict=True):
        for layer, pair in enumerate(zip(ours, expected, strict=True)):
            check(f"layer {layer} after {CHECKED_BATCHES} steps", *pair, tolerance=1e-3)


def _start(recipe: Recipe, data: DataSet) -> Network:
    return Network.random((data.pixels.shape[1], *recipe.hidden, 10), recipe.seed, float(recipe.initial_scale))


def _keywords(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as the peers take it."""
    names = ("hidden", "batch_size", "epochs", "learning_rate", "weight_decay", "momentum", "shuffle", "seed")
    return {name: getattr(recipe, name) for name in names}
