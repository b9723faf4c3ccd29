"""Packages that only an extra installs, as pip knows them: pip install 'fastmnist[onnx]'."""

import importlib
from types import ModuleType

from fastmnist.errors import FastmnistError


def import_extra(module: str, extra: str, what: str, error_type: type[FastmnistError]) -> ModuleType:
    """Import `module`, which `extra` installs. Where it is not there, raises `error_type` about `what` needs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise error_type(f"{what}, which needs the extra '{extra}': pip install 'fastmnist[{extra}]'") from None
