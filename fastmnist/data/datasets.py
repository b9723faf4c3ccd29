"""A folder of labelled images, in any of the forms that people have -> pixels, labels and class names."""

from collections.abc import Callable, Sequence

from fastmnist.data.class_folders import find_class_folders, has_split_folder, read_class_folders
from fastmnist.data.labelled import LabelledImages
from fastmnist.data.locate import DatasetFiles, Split, load_split, locate
from fastmnist.errors import AnyPath

DIGITS = [str(digit) for digit in range(10)]


def load(
    directory: AnyPath,
    split: Split,
    class_names: Sequence[str] | None = None,
    *,
    threads: int = 1,
    on_note: Callable[[str], None],
) -> LabelledImages:
    """Return one split of the data set in `directory`: IDX files, or class folders where there are none.

    `class_names` are the classes, in the order of their labels. By default they are the names of the class folders,
    in byte order, and 0 to 9 for IDX files. Up to `threads` threads decode image files; `on_note` gets a line for
    what is passed over. Raises DataError if there is no such split, or it is damaged, empty or of other classes.
    """
    if locate(directory) == DatasetFiles():
        folders = find_class_folders(directory, split)
        if folders is not None:
            return read_class_folders(folders, class_names, threads=threads, on_note=on_note)
    classes = DIGITS if class_names is None else list(class_names)
    return LabelledImages(*load_split(directory, split, len(classes)), classes, [])


def has_test_set(directory: AnyPath) -> bool:
    """Tell whether `directory` has a test set apart from its training set. Raises DataError if it can't be listed."""
    files = locate(directory)
    return files.test_images is not None or (files == DatasetFiles() and has_split_folder(directory, "test"))
