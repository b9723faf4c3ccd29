"""Opens a labelled data set in any of the forms that people use."""

import os
from pathlib import Path

from fastmnist.datasets.class_folders import find_class_folders
from fastmnist.datasets.corrected import Corrected, is_corrected
from fastmnist.datasets.idx_files import find_idx_files
from fastmnist.datasets.labelled import Dataset
from fastmnist.datasets.numpy_file import NumpyFile
from fastmnist.datasets.parquet_files import ParquetFiles, find_parquet_files
from fastmnist.datasets.pixel_table import PixelTable
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.archive import MAGICS as ZIP_MAGICS
from fastmnist.inputs.idx import peek_magic
from fastmnist.inputs.npz import is_numpy_file
from fastmnist.inputs.parquet import is_parquet
from fastmnist.inputs.pickles import is_pickle, refusal
from fastmnist.inputs.table import is_table
from fastmnist.remote.address import is_address

_EXPECTED = (
    "a folder with IDX files or a folder of pictures for each class (0/ to 9/), a zip file of such folders, "
    "a table (.csv), an .npz file or a Parquet file"
)


def open_dataset(path: AnyPath) -> Dataset:
    """Return the data set at `path`: a table (.csv), an .npz or Parquet file, class folders in a zip file, or a folder.

    A table is one of pixels, or, by its header, one that `predict` wrote. In a folder IDX files come first, then
    Parquet files.

    Nothing is read yet. Raises DataError if what is there can't be listed, is no data set, or if more than one could
    be meant.
    """
    if is_table(path):
        return Corrected(path) if is_corrected(path) else PixelTable(path)
    if is_numpy_file(path):
        return NumpyFile(path)
    if is_address(path):
        raise DataError(
            f"{printable(path)}: an address, expected the address of a table (.csv) or an .npz file; copy any other "
            "data set to this machine first"
        )
    if os.path.isfile(path):
        return _open_file(path)
    files = find_idx_files(path)
    return files if files.paths else find_parquet_files(path) or find_class_folders(path) or files


def _open_file(path: AnyPath) -> Dataset:
    """Return the Parquet file at `path`, or the class folders in a zip file. Raises DataError for any other file."""
    magic = peek_magic(path)
    if is_pickle(path, magic):
        raise refusal(path)
    if is_parquet(path, magic):
        file = [Path(os.fsdecode(path))]
        return ParquetFiles(path, {"train": file, "test": file})
    if magic not in ZIP_MAGICS:
        raise DataError(
            f"{printable(path)}: a file, expected {_EXPECTED}",
            hint="name the folder of the data set; unpack archives other than zip files first",
        )
    folders = find_class_folders(path)
    if folders is None:
        raise DataError(
            f"{printable(path)}: no folders of pictures, expected one for each class (0/ to 9/); "
            "unpack a zip file of anything else"
        )
    return folders
