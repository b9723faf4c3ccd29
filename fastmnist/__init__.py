"""Train and run fully connected handwritten-digit recognisers on a CPU, fast.

    import fastmnist

    model = fastmnist.load()
    model.predict("photo.jpg").labels

Importing this costs and changes nothing; NumPy, Numba and OpenCV are loaded when they are first needed.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from fastmnist.errors import (
    ClusterError,
    DataError,
    DownloadError,
    FastmnistError,
    MissingExtraError,
    ModelError,
    OutputError,
    RemoteError,
    TrainingError,
)
from fastmnist.version import __version__

if TYPE_CHECKING:
    from fastmnist.api import Model, convert, evaluate, load, read_images, train
    from fastmnist.cluster.engine import open_cluster
    from fastmnist.evaluation import Evaluation
    from fastmnist.result import Result
    from fastmnist.training.loop import EpochDone
    from fastmnist.training.recipes import Augmentation, Recipe

__all__ = [
    "Augmentation",
    "ClusterError",
    "DataError",
    "DownloadError",
    "EpochDone",
    "Evaluation",
    "FastmnistError",
    "MissingExtraError",
    "Model",
    "ModelError",
    "OutputError",
    "Recipe",
    "RemoteError",
    "Result",
    "TrainingError",
    "__version__",
    "convert",
    "evaluate",
    "load",
    "open_cluster",
    "read_images",
    "train",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library is silent unless asked


_HOMES = {
    **dict.fromkeys(("Model", "convert", "evaluate", "load", "read_images", "train"), "fastmnist.api"),
    "EpochDone": "fastmnist.training.loop",
    "Evaluation": "fastmnist.evaluation",
    "Result": "fastmnist.result",
    "open_cluster": "fastmnist.cluster.engine",
    **dict.fromkeys(("Augmentation", "Recipe"), "fastmnist.training.recipes"),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
