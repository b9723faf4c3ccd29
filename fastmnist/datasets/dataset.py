"""A labelled data set in any of the forms people have."""

from fastmnist.datasets.class_folders import find_class_folders
from fastmnist.datasets.corrected import Corrected, is_corrected
from fastmnist.datasets.idx_files import find_idx_files
from fastmnist.datasets.labelled import Dataset
from fastmnist.datasets.pixel_table import PixelTable
from fastmnist.errors import AnyPath
from fastmnist.inputs.table import is_table


def open_dataset(path: AnyPath) -> Dataset:
    """Return the data set at `path`: a table (.csv), else the folder's IDX files, else its class folders.

    A table is one of pixels, or, by its header, one that `predict` wrote.

    Nothing is read yet. Raises DataError if the folder can't be listed or more than one data set could be meant.
    """
    if is_table(path):
        return Corrected(path) if is_corrected(path) else PixelTable(path)
    files = find_idx_files(path)
    return (not files.paths and find_class_folders(path)) or files
