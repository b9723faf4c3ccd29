"""Pickles, which can run arbitrary code: never loaded, but refused with the lines of Python that convert them."""

import os

from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.remote.address import file_name

_SUFFIXES = (".pkl", ".pickle", ".pkl.gz", ".pickle.gz", ".pt", ".pth")
_PROTOCOLS = range(2, 6)  # a pickle begins with 0x80 and its protocol (PEP 3154); older ones begin like any text


def is_pickle(path: AnyPath, magic: bytes) -> bool:
    """Tell whether a file whose content, plain or gzip, begins with `magic` is a pickle, or is named like one."""
    begins_so = magic[:1] == b"\x80" and magic[1:2] != b"" and magic[1] in _PROTOCOLS
    return begins_so or file_name(path).lower().endswith(_SUFFIXES)


def refusal(path: AnyPath) -> DataError:
    """Return the error, whose hint is the Python that converts the file."""
    name = printable(path)
    file = os.path.basename(name)
    stem = file.partition(".")[0]
    if file.lower().endswith((".pt", ".pth")):
        what, lines = (
            "a PyTorch file",
            f"import numpy, torch; images, labels, *_ = torch.load('{file}'); "
            f"numpy.savez('{stem}.npz', images=images.numpy(), labels=labels.numpy())",
        )
    else:
        load = f"gzip.open('{file}')" if file.lower().endswith(".gz") else f"open('{file}', 'rb')"
        what, lines = (
            "a pickle",
            f"import gzip, numpy, pickle; train, *_, test = pickle.load({load}, encoding='latin1'); "
            f"numpy.savez('{stem}.npz', x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])",
        )
    return DataError(
        f"{name}: {what}, which can run arbitrary code when loaded, expected arrays",
        hint=f"if you trust it, convert it with Python: {lines}",
    )
