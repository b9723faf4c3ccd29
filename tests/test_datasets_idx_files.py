import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastmnist.datasets.dataset import open_dataset
from fastmnist.datasets.idx_files import find_idx_files
from fastmnist.datasets.labelled import check_labels
from fastmnist.errors import DataError
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.inputs.stream import open_stream

STANDARD = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def write_set(folder: Path, *names: str, n_images: int = 2) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "images" in path.name.lower():
            write_images(path, np.zeros((n_images, 28, 28), np.uint8))
        else:
            write_labels(path, np.arange(n_images, dtype=np.uint8))


def found(folder: Path) -> tuple[str | None, ...]:
    paths = find_idx_files(folder).paths
    roles = ("train_images", "train_labels", "test_images", "test_labels")
    return tuple(str(paths[role].relative_to(folder)) if role in paths else None for role in roles)


def renamed(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.format(name) for name in STANDARD)


LAYOUTS = {
    "standard": STANDARD,
    "gzip": renamed("{}.gz"),
    "dots": tuple(name.replace("-idx", ".idx") for name in STANDARD),
    "dots, gzip": tuple(name.replace("-idx", ".idx") + ".gz" for name in STANDARD),
    "torchvision's MNIST": renamed("MNIST/raw/{}"),
    "torchvision's FashionMNIST": renamed("FashionMNIST/raw/{}"),
    "a folder around every file": renamed("{0}/{0}"),
    "the same below a folder": renamed("archive/{0}/{0}"),
    "EMNIST digits": tuple("emnist-digits-" + name.replace("t10k", "test") + ".gz" for name in STANDARD),
    "test- prefix": tuple(name.replace("t10k", "test") for name in STANDARD),
    "upper case": tuple(name.upper() for name in STANDARD),
    "known by content only": ("train-images", "train-labels.gz", "t10k-images", "t10k-labels"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_people_have_are_found(layout: str, tmp_path: Path) -> None:
    names = LAYOUTS[layout]
    write_set(tmp_path, *names)
    assert found(tmp_path) == names


def test_other_files_are_no_part_of_a_set(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD)
    for name in (
        "readme.txt",
        "._train-images-idx3-ubyte",
        ".train-images-idx3-ubyte.0a1b.part",
        "train-images.csv",
        "train-images-idx3-ubyte.md5",
        "restrain-images-idx3-ubyte",
        "train-images",
    ):
        (tmp_path / name).write_bytes(b"not IDX")
    assert found(tmp_path) == STANDARD


def test_a_file_that_is_idx_neither_by_name_nor_by_content_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "train-images").write_bytes(b"not IDX")
    write_labels(tmp_path / "t10k-images", np.zeros(1, np.uint8))  # labels are no images
    assert find_idx_files(tmp_path).paths == {}


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    assert find_idx_files(tmp_path).paths == {}
    assert find_idx_files(os.fsencode(tmp_path)).paths == {}


def test_a_missing_file_is_not_there(tmp_path: Path) -> None:
    write_set(tmp_path, STANDARD[0], STANDARD[3])
    assert found(tmp_path) == (STANDARD[0], None, None, STANDARD[3])


def test_of_a_plain_and_a_compressed_file_the_plain_one_is_taken(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD, *renamed("{}.gz"))
    assert found(tmp_path) == STANDARD


def test_a_sound_compressed_file_is_taken_before_a_plain_one_that_is_not_idx(tmp_path: Path) -> None:
    write_set(tmp_path, *renamed("{}.gz"))
    (tmp_path / STANDARD[0]).touch()  # what an interrupted gunzip leaves
    assert found(tmp_path) == renamed("{}.gz")


def test_of_a_file_and_its_copy_within_a_folder_the_file_is_taken(tmp_path: Path) -> None:
    dots = tuple(name.replace("-idx", ".idx") for name in STANDARD)
    write_set(tmp_path, *dots, *renamed("{0}/{0}"))  # Kaggle's archive of MNIST
    assert found(tmp_path) == dots


def test_the_nearest_set_is_taken(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD, *renamed("MNIST/raw/{}"))
    assert found(tmp_path) == STANDARD


def test_a_linked_folder_is_searched(tmp_path: Path) -> None:
    write_set(tmp_path / "elsewhere", *STANDARD)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "MNIST").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "data") == renamed("MNIST/{}")


def test_two_sets_below_one_folder_are_listed_and_none_is_taken(tmp_path: Path) -> None:
    write_set(tmp_path, *renamed("MNIST/raw/{}"), *renamed("FashionMNIST/raw/{}"))
    with pytest.raises(DataError) as error:
        find_idx_files(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: 2 data sets")
    assert "MNIST/raw/t10k-images-idx3-ubyte" in message
    assert "FashionMNIST/raw/t10k-images-idx3-ubyte" in message
    assert "\n" not in message


def test_halves_of_two_sets_are_not_mixed(tmp_path: Path) -> None:
    write_set(tmp_path, *renamed("MNIST/raw/{}")[:2], *renamed("FashionMNIST/raw/{}")[2:])
    with pytest.raises(DataError, match="2 data sets"):
        find_idx_files(tmp_path)


def test_two_sets_in_one_folder_are_listed_by_their_prefixes(tmp_path: Path) -> None:
    write_set(tmp_path, *renamed("emnist-digits-{}"), *renamed("emnist-letters-{}"))
    with pytest.raises(DataError, match=r"2 data sets \(emnist-digits-.*, emnist-letters-.*\)"):
        open_dataset(tmp_path).load("train")


def test_two_files_of_one_role_are_listed(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD, "test-images-idx3-ubyte")
    expected = r"2 files of test images \(t10k-images-idx3-ubyte, test-images-idx3-ubyte\), expected one"
    with pytest.raises(DataError, match=expected):
        find_idx_files(tmp_path)


def test_a_long_list_of_candidates_is_cut(tmp_path: Path) -> None:
    for number in range(12):
        write_set(tmp_path / f"set{number:02}", STANDARD[0])
    with pytest.raises(DataError, match=r"12 data sets .*set07\S* and 4 more\)"):
        find_idx_files(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_is_loaded_with_its_own_files(split: str, suffix: str, tmp_path: Path) -> None:
    write_images(tmp_path / f"train-images-idx3-ubyte{suffix}", np.full((3, 28, 28), 7, np.uint8))
    write_labels(tmp_path / f"train-labels-idx1-ubyte{suffix}", np.array([1, 2, 3], np.uint8))
    write_images(tmp_path / f"t10k-images-idx3-ubyte{suffix}", np.full((2, 28, 28), 9, np.uint8))
    write_labels(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", np.array([4, 5], np.uint8))
    pixels, labels, *_ = open_dataset(tmp_path).load(split)
    expected = (3, 7, [1, 2, 3]) if split == "train" else (2, 9, [4, 5])
    assert (len(pixels), int(pixels.min()), labels.tolist()) == expected
    assert pixels.shape[1] == 784


def test_missing_files_are_named_with_what_is_there_and_how_to_get_them(tmp_path: Path) -> None:
    write_set(tmp_path, STANDARD[0])
    with pytest.raises(DataError) as error:
        open_dataset(tmp_path).load("train")
    message = str(error.value)
    assert "no train-labels-idx1-ubyte; found train-images-idx3-ubyte;" in message
    assert f"fastmnist download {tmp_path}" in message
    with pytest.raises(DataError, match="no t10k-images-idx3-ubyte and no t10k-labels-idx1-ubyte"):
        open_dataset(tmp_path).load("test")


def test_a_folder_without_a_set_is_reported_with_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing"):
        open_dataset(tmp_path).load("train")
    (tmp_path / "it's\n.json").touch()
    with pytest.raises(DataError, match=r"found it's\\n\.json;") as error:
        open_dataset(tmp_path).load("train")
    assert str(error.value).isprintable()


def test_a_folder_that_holds_a_whole_set_in_one_file_says_to_name_it(tmp_path: Path) -> None:
    for name in ("test.csv", "train.csv", "notes.txt"):  # a download from Kaggle
        (tmp_path / name).touch()
    for split in ("train", "test"):
        with pytest.raises(DataError) as error:
            open_dataset(tmp_path).load(split)
        assert error.value.hint == f"name the file itself: {tmp_path}/{split}.csv"


def test_a_folder_that_is_not_there_can_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        open_dataset(tmp_path / "data")
    assert error.value.hint == f"correct the path, or fetch MNIST there: fastmnist download {tmp_path}/data"


@pytest.mark.parametrize(("name", "expected"), [("missing", "No such file"), ("file", "a file, expected a folder")])
def test_what_is_not_a_folder_is_refused(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{name}: {expected}"):
        open_dataset(tmp_path / name)


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD, n_images=0)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: no images"):
        open_dataset(tmp_path).load("train")


def test_a_fifo_named_like_data_is_refused_without_blocking(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD[1:])
    os.mkfifo(tmp_path / STANDARD[0])
    with pytest.raises(DataError, match="train-images-idx3-ubyte: a FIFO, expected a regular file"):
        open_dataset(tmp_path).load("train")


def test_an_empty_folder_named_like_data_is_a_missing_file(tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD[1:])
    (tmp_path / STANDARD[0]).mkdir()
    with pytest.raises(DataError, match="no train-images-idx3-ubyte;"):
        open_dataset(tmp_path).load("train")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (STANDARD[0], b"rubbish", "not an IDX file"),
        (STANDARD[0], b"", "an empty file"),
        (STANDARD[0], b"\0\0\x08\1\0\0\0\1\7", "IDX labels"),
        (STANDARD[1], gzip.compress(b"\0\0\x08\1\0\0\0\1\7", mtime=0)[:-1], "Compressed file ended before"),
        (STANDARD[1], b"\0\0\x08\1\0\0\0\2\0\x0a", "label 10 at index 1, expected 0 to 9"),
        (STANDARD[1], b"\0\0\x08\1\0\0\0\1\0", "has 1 labels"),
    ],
)
def test_a_damaged_file_is_named_not_called_missing(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    write_set(tmp_path, *STANDARD)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected) as error:
        open_dataset(tmp_path).load("train")
    assert name in str(error.value)


def test_more_classes_than_ten_are_allowed_when_asked_for(tmp_path: Path) -> None:
    write_set(tmp_path, STANDARD[0])
    write_labels(tmp_path / STANDARD[1], np.array([0, 25], np.uint8))
    assert open_dataset(tmp_path).load("train", [f"c{label}" for label in range(26)]).labels.tolist() == [0, 25]


def test_pixels_are_flat_and_labels_their_own(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)
    write_images(tmp_path / STANDARD[0], images)
    write_labels(tmp_path / STANDARD[1], np.array([9, 0, 3], np.uint8))
    pixels, labels, *_ = open_dataset(tmp_path).load("train")
    np.testing.assert_array_equal(pixels, images.reshape(3, 784))
    np.testing.assert_array_equal(labels, [9, 0, 3])
    assert pixels.dtype == labels.dtype == np.uint8


@pytest.mark.parametrize("n_labels", [0, 2, 4])
def test_unequal_counts_are_refused_with_both(n_labels: int, tmp_path: Path) -> None:
    write_set(tmp_path, STANDARD[0], n_images=3)
    write_labels(tmp_path / STANDARD[1], np.zeros(n_labels, np.uint8))
    with pytest.raises(DataError, match=rf"{STANDARD[0]}: 3 images, but .*{STANDARD[1]} has {n_labels} labels"):
        open_dataset(tmp_path).load("train")


def test_labels_are_checked_against_the_number_of_classes(tmp_path: Path) -> None:
    labels = np.array([0, 2, 1], np.uint8)
    check_labels(labels, 3, "labels")
    check_labels(np.empty(0, np.uint8), 1, "labels")
    with pytest.raises(DataError, match="label 2 at index 1, expected 0 to 1"):
        check_labels(labels, 2, "labels")


def test_the_normalised_images_of_a_set_are_those_that_predict_would_see(tmp_path: Path) -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 3:9, 3:6] = images[2, 10:20, 12:15] = 255
    write_images(tmp_path / STANDARD[0], images)
    write_labels(tmp_path / STANDARD[1], np.array([1, 2, 3], np.uint8))
    loaded = open_dataset(tmp_path).load("train", None, "mnist", threads=2)
    (batch,) = open_stream([os.fsencode(tmp_path / STANDARD[0])], "mnist")
    np.testing.assert_array_equal(loaded.pixels, batch.pixels[[0, 2]])
    assert (loaded.labels.tolist(), loaded.errors, loaded.preprocess) == ([1, 3], [batch.errors[1]], "mnist")


COUNT = """
import os, sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event in ("open", "os.scandir") else None)
from fastmnist.datasets.dataset import open_dataset
dataset = open_dataset(sys.argv[1])
dataset.load("train")
assert dataset.has_test
dataset.load("test")
names = [os.path.basename(os.fsdecode(path)) for path in opened if isinstance(path, (str, bytes))]
print(max(names.count(name) for name in os.listdir(sys.argv[1])), names.count(os.path.basename(sys.argv[1])))
"""


def test_a_file_is_opened_twice_to_check_and_to_read_it_and_the_folder_is_scanned_once(tmp_path: Path) -> None:
    write_set(tmp_path / "a set", *STANDARD)
    command = [sys.executable, "-c", COUNT, str(tmp_path / "a set")]
    assert subprocess.check_output(command, text=True) == "2 1\n"
