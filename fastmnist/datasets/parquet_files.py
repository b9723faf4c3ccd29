"""Parquet files as a data set: one file, or a folder of them as Hugging Face lays it out, in shards or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmnist.datasets.idx_files import folders_near
from fastmnist.datasets.labelled import (
    Dataset,
    LabelledImages,
    Loading,
    Split,
    Uint8,
    check_labels,
    listed,
    numbered,
    preprocess_for,
)
from fastmnist.errors import AnyPath, DataError, counted, printable
from fastmnist.inputs.parquet import Reader, open_parquet
from fastmnist.inputs.workers import Workers
from fastmnist.shapes import DIGITS, N_PIXELS

# train-00000-of-00002.parquet, train.parquet; and 0000.parquet in a folder train/.
_NAME = re.compile(r"(train|test)(-(?P<shard>\d+)-of-(?P<n_shards>\d+)(-[0-9a-f]+)?)?\.parquet", re.IGNORECASE)
_NUMBER = re.compile(r"\d+\.parquet")
_SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class ParquetFiles(Dataset):
    """The files of each split, in order; a file that was named itself serves for both."""

    path: AnyPath
    splits: dict[Split, list[Path]]

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set."""
        return "test" in self.splits and self.splits["test"] != self.splits.get("train")

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read one split. Raises DataError where it is not there, or a file is damaged or has no labels."""
        name, classes = printable(self.path), list(how.class_names or DIGITS)
        if split not in self.splits:
            raise DataError(
                f"{name}: no {split}.parquet and no {split}-00000-of-N.parquet, expected the {split} half; put it there"
            )
        labels = []
        for path in self.splits[split]:
            labels.append(open_parquet(path).labels())
            check_labels(labels[-1], len(classes), path)
        if not sum(map(len, labels)):
            raise DataError(f"{name}: no images, expected at least one; use another data set")
        pixels, errors = _read(self.splits[split], how)
        is_sound = np.ones(len(pixels), np.bool_)
        is_sound[list(errors)] = False
        messages = [errors[row] for row in sorted(errors)]
        preprocess = how.preprocess or preprocess_for(pixels[is_sound])
        names = numbered(is_sound) if errors else ()
        return LabelledImages(
            pixels[is_sound], np.concatenate(labels)[is_sound], classes, messages, preprocess, names=names
        )


def _read(paths: list[Path], how: Loading) -> tuple[Uint8, dict[int, str]]:
    """Return the digits of all files, uint8 (n, 784), and row -> message where there is none. Raises DataError."""
    parts, n_before = [np.zeros((0, N_PIXELS), np.uint8)], 0
    errors: dict[int, str] = {}
    with Workers(how.threads) as workers:
        for path in paths:
            source = open_parquet(path)
            reader, first = Reader(source, how.preprocess, workers), 0
            for rows in source.batches():
                pixels, found = reader.read(rows, range(first, first + len(rows)))
                errors |= {n_before + row: error for row, error in found.items()}
                first, n_before = first + len(rows), n_before + len(rows)
                parts.append(pixels)
    return np.concatenate(parts), errors


def find_parquet_files(directory: AnyPath) -> ParquetFiles | None:
    """Return the Parquet files in a folder, or in the nearest folders below it that have any, None where none has.

    Raises DataError where more than one data set could be meant, or shards are missing.
    """
    for folders in folders_near(directory):
        found = [splits for folder in folders if (splits := _splits_in(folder))]
        if len(found) > 1:
            sets = [next(iter(splits.values()))[0] for splits in found]
            raise DataError(
                f"{printable(directory)}: {len(found)} data sets ({listed(sets)}), expected one; name the folder of one"
            )
        if found:
            return ParquetFiles(directory, found[0])
    return None


def _splits_in(folder: Path) -> dict[Split, list[Path]]:
    """Return the files of each split: told by their names, or by those of the folders they are in."""
    found: dict[Split, list[Path]] = {}
    for split in _SPLITS:
        named = [path for path in _files(folder) if _NAME.fullmatch(path.name) and path.name.lower().startswith(split)]
        paths = named or [path for path in _files(folder / split) if _NUMBER.fullmatch(path.name)]
        if paths:
            _check_shards(paths)
            found[split] = paths
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder in the order of their names; none if it can't be listed."""
    try:
        yield from sorted(path for path in folder.iterdir() if not path.is_dir())
    except OSError:
        return


def _check_shards(paths: list[Path]) -> None:
    """Raise DataError where the names of the files of a split tell that some are missing, or too many."""
    matches = [match for path in paths if (match := _NAME.fullmatch(path.name))]
    n_expected = int(matches[0]["n_shards"] or 1) if matches else len(paths)
    shards = {(int(match["shard"] or 0), match["n_shards"]) for match in matches}
    is_complete = not matches or shards == {(shard, matches[0]["n_shards"]) for shard in range(n_expected)}
    if len(paths) != n_expected or not is_complete:
        raise DataError(
            f"{printable(paths[0].parent)}: {len(paths)} Parquet files of one split ({listed(paths)}), expected "
            f"{counted(n_expected, 'shard')}, each once, by their names; get the missing ones, or move any others away"
        )
