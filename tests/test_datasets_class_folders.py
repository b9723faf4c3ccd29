"""Class folders, and the one place where a data set of any form is read."""

import os
import zipfile

import cv2
import numpy as np
import pytest
from conftest import noted

from fastmnist.datasets.class_folders import find_class_folders
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.inputs.idx import write_images, write_labels


def picture(seed):
    """A 28x28 picture, different for every seed; MNIST's form, so that nothing changes it."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 4:24] = np.random.default_rng(seed).integers(1, 256, (20, 20))
    return image


def make(folder, *names, data=None):
    """Write a picture under each of `names`; its seed is its position."""
    for seed, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(cv2.imencode(".png", picture(seed))[1].tobytes() if data is None else data)


def read(folder, split="train", class_names=None, **settings):
    """The images of a split, and the notes."""
    with noted() as notes:
        return open_dataset(folder).load(split, class_names, **settings), notes


def seeds_and_labels(images, n_seeds=50):
    """Each image's seed with its label, in order of the seeds."""
    seed_of = {picture(seed).tobytes(): seed for seed in range(n_seeds)}
    return sorted((seed_of[row.tobytes()], int(label)) for row, label in zip(images.pixels, images.labels, strict=True))


def refusal(folder, split="train", class_names=None):
    with pytest.raises(DataError) as caught:
        read(folder, split, class_names)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_folder_names_are_the_classes_in_byte_order(tmp_path):
    make(tmp_path, "b/0.png", "a/1.png", "10/2.png", "B/3.PNG", "9/4", "a/deeper/5.png", "a/6.png")
    images, notes = read(tmp_path)
    assert images.class_names == ["10", "9", "B", "a", "b"]
    assert (images.pixels.dtype, images.labels.dtype, images.errors, notes) == (np.uint8, np.uint8, [], [])
    assert seeds_and_labels(images) == [(0, 4), (1, 3), (2, 0), (3, 2), (4, 1), (5, 3), (6, 3)]


def test_the_order_is_mixed_and_the_same_for_any_number_of_threads(tmp_path):
    make(tmp_path, *(f"{seed % 2}/{seed:02}.png" for seed in range(40)))
    first, second = (read(tmp_path, threads=threads)[0] for threads in (1, 3))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert 5 < np.count_nonzero(np.diff(first.labels.astype(int))) < 35  # sorted would be 1, taking turns 39


SPLITS = [("train", "test"), ("training", "testing"), ("Train", "TEST"), ("training", "test")]


@pytest.mark.parametrize(("train", "test"), SPLITS)
def test_folders_called_train_and_test_are_the_splits(tmp_path, train, test):
    make(tmp_path, f"{train}/0/a.png", f"{train}/1/a.png", f"{test}/0/a.png", f"{test}/1/a.png", "other/0/a.png")
    assert seeds_and_labels(read(tmp_path, "train")[0]) == [(0, 0), (1, 1)]
    assert seeds_and_labels(read(tmp_path, "test")[0]) == [(2, 0), (3, 1)]
    assert open_dataset(tmp_path).has_test


def test_without_split_folders_all_serves_for_both_and_there_is_not_a_test_set(tmp_path):
    make(tmp_path, "0/a.png", "1/a.png")
    for split in ("train", "test"):
        assert seeds_and_labels(read(tmp_path, split)[0]) == [(0, 0), (1, 1)]
    assert not open_dataset(tmp_path).has_test


def test_a_split_that_is_not_there_is_reported(tmp_path):
    make(tmp_path, "train/0/a.png", "train/1/a.png")
    assert not open_dataset(tmp_path).has_test
    assert "found train" in refusal(tmp_path, "test")


def test_a_class_may_be_called_train(tmp_path):
    make(tmp_path, "train/a.png", "tram/a.png")
    images, _ = read(tmp_path)
    assert (images.class_names, seeds_and_labels(images)) == (["train", "tram"], [(0, 0), (1, 1)])
    assert find_class_folders(tmp_path).splits["train"].top == os.fsencode(tmp_path)


def test_two_folders_for_one_split_are_refused(tmp_path):
    make(tmp_path, "train/0/a.png", "training/0/a.png")
    assert "train, training, expected one folder of train images" in refusal(tmp_path)


def test_idx_files_come_before_class_folders(tmp_path):
    make(tmp_path, "0/a.png", "1/a.png")
    write_images(tmp_path / "train-images-idx3-ubyte", np.stack([picture(7)]))
    write_labels(tmp_path / "train-labels-idx1-ubyte", np.array([3], np.uint8))
    images, _ = read(tmp_path)
    assert (images.class_names, seeds_and_labels(images)) == (list("0123456789"), [(7, 3)])


def test_class_names_say_how_many_labels_idx_files_have(tmp_path):
    write_images(tmp_path / "train-images-idx3-ubyte", np.stack([picture(seed) for seed in range(12)]))
    write_labels(tmp_path / "train-labels-idx1-ubyte", np.arange(12, dtype=np.uint8))
    names = [f"c{label}" for label in range(12)]
    assert read(tmp_path, class_names=names)[0].class_names == names
    assert "label 11 at index 11, expected 0 to 10" in refusal(tmp_path, class_names=names[:11])
    assert "label 10 at index 10, expected 0 to 9" in refusal(tmp_path)


def test_given_class_names_order_the_labels_and_not_all_need_a_folder(tmp_path):
    make(tmp_path, "a/0.png", "b/1.png")
    images, _ = read(tmp_path, "test", ["b", "c", "a"])
    assert (images.class_names, seeds_and_labels(images)) == (["b", "c", "a"], [(0, 2), (1, 0)])


def test_folders_that_are_not_classes_are_reported_with_the_classes(tmp_path):
    make(tmp_path, "circle/0.png", "square/1.png")
    message = refusal(tmp_path, "test", ["circle", "star"])
    assert "class folders circle, square, expected some of the classes circle, star" in message


def test_bad_images_are_a_line_each_and_the_rest_is_read(tmp_path):
    make(tmp_path, "0/a.png", "1/b.png", "1/c.png")
    make(tmp_path, "0/broken.png", data=b"x")
    os.mkfifo(tmp_path / "1" / "fifo.png")
    images, _ = read(tmp_path)
    assert seeds_and_labels(images) == [(0, 0), (1, 1), (2, 1)]
    assert [error.partition(": ")[0] for error in images.errors] == [
        str(tmp_path / "0" / "broken.png"),
        str(tmp_path / "1" / "fifo.png"),
    ]


def test_an_empty_class_folder_is_refused_where_the_folders_are_the_classes(tmp_path):
    make(tmp_path, "0/a.png", "1/a.png", "2/notes.txt")
    assert f"{tmp_path}/2: no images, expected some in each class folder" in refusal(tmp_path)
    images, notes = read(tmp_path, "test", ["0", "1", "2"])
    assert seeds_and_labels(images) == [(0, 0), (1, 1)]
    assert notes == [
        f"{tmp_path}/2: holds no images; IDX files, arrays, tables, zip and Parquet files must be named directly",
        "ignored 1 file without an image suffix",
    ]


@pytest.mark.parametrize("name", [b"-e", b"=1+1", b"_", b"\xff", b"new\nline", b"a\x1b[2J", b"a "])
def test_a_folder_name_that_can_be_no_label_is_refused(tmp_path, name):
    make(tmp_path, "good/a.png", name + b"/a.png")
    assert "not a class name" in refusal(tmp_path)


def test_words_in_any_alphabet_with_spaces_and_commas_are_class_names(tmp_path):
    names = ["T-shirt, top", "\N{GREEK SMALL LETTER ALPHA}", 'say "a"']
    make(tmp_path, *(f"{name}/a.png" for name in names))
    assert read(tmp_path)[0].class_names == sorted(names, key=os.fsencode)


@pytest.mark.parametrize("n_folders", [1, 257])
def test_one_class_or_more_than_a_label_can_tell_are_refused(tmp_path, n_folders):
    make(tmp_path, *(f"{number}/a.png" for number in range(n_folders)))
    assert f"{n_folders} class folders (0" in refusal(tmp_path)
    assert "expected 2 to 256" in refusal(tmp_path)


def test_linked_class_folders_are_read_hidden_ones_are_not(tmp_path):
    make(tmp_path / "elsewhere", "a.png")
    make(tmp_path / "set", "1/b.png", ".cache/c.png", ".hidden.png", "__MACOSX/1/._b.png")
    os.symlink("../elsewhere", tmp_path / "set" / "0")
    images, _ = read(tmp_path / "set")
    assert (images.class_names, len(images.labels)) == (["0", "1"], 2)


def test_a_link_that_leads_round_in_circles_is_passed_over(tmp_path):
    make(tmp_path, "0/a.png", "1/b.png")
    os.symlink("loop", tmp_path / "loop")
    assert read(tmp_path)[0].class_names == ["0", "1"]


def test_a_folder_without_images_in_folders_is_not_a_data_set(tmp_path):
    make(tmp_path, "a.png", "docs/notes.txt")
    assert find_class_folders(tmp_path) is None
    assert f"{tmp_path}: a.png outside class folders, expected a folder of pictures for each class" in refusal(tmp_path)


def test_paths_are_understood_with_and_without_a_slash_at_the_end(tmp_path, monkeypatch):
    make(tmp_path / "set", "0/a.png", "1/b.png")
    monkeypatch.chdir(tmp_path / "set")
    for folder in (".", "./", "../set/", b"../set", tmp_path / "set"):
        assert seeds_and_labels(read(folder)[0]) == [(0, 0), (1, 1)]


def with_idx(folder, images):
    write_images(folder / "train-images-idx3-ubyte", np.array(images, np.uint8))
    write_labels(folder / "train-labels-idx1-ubyte", np.arange(len(images), dtype=np.uint8) % 10)


def test_image_files_are_brought_into_the_form_of_the_training_images(tmp_path, digits):
    with_idx(tmp_path, digits[0][:50])
    assert read(tmp_path)[0].preprocess == "auto"
    with_idx(tmp_path, np.roll(digits[0][:50], 5, axis=2))
    images, _ = read(tmp_path)
    assert images.preprocess == "none"
    np.testing.assert_array_equal(images.pixels, np.roll(digits[0][:50], 5, axis=2).reshape(50, 784))
    assert read(tmp_path, preprocess="auto")[0].preprocess == "auto"


def test_idx_files_are_normalised_where_that_is_asked_for(tmp_path, digits):
    shifted = np.roll(digits[0][:50], 3, axis=1)
    shifted[7] = 0
    with_idx(tmp_path, shifted)
    images, _ = read(tmp_path, preprocess="mnist", threads=2)
    assert (images.preprocess, len(images.pixels)) == ("mnist", 49)
    np.testing.assert_array_equal(images.labels, np.delete(np.arange(50) % 10, 7))
    assert len(images.errors) == 1
    assert "image 7: no ink" in images.errors[0]
    assert in_mnist_form(images.pixels.reshape(-1, 28, 28)).all()


def test_images_of_any_size_are_normalised_in_class_folders_unless_that_is_unwanted(tmp_path, digits):
    for label in "01":
        large = 255 - cv2.resize(digits[0][int(label)], (100, 100))
        make(tmp_path, f"{label}/a.png", data=cv2.imencode(".png", large)[1].tobytes())
    images, _ = read(tmp_path)
    assert (images.preprocess, len(images.labels), images.errors) == ("auto", 2, [])
    assert in_mnist_form(images.pixels.reshape(-1, 28, 28)).all()
    refused, _ = read(tmp_path, preprocess="none")
    assert (len(refused.labels), len(refused.errors)) == (0, 2)


def test_a_zip_file_of_one_endless_path_is_refused_at_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.writestr("a/" * 32_000 + "1.png", cv2.imencode(".png", picture(0))[1].tobytes())
    assert "expected 2 to 256" in refusal(tmp_path / "deep.zip")


def test_the_folders_around_the_class_folders_of_a_zip_file_do_not_matter(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("one/readme.png", b"no picture")
        for seed in range(6):
            archive.writestr(f"one/two/{seed % 3}/inner/{seed}.png", cv2.imencode(".png", picture(seed))[1].tobytes())
    images, _ = read(tmp_path / "set.zip")
    assert images.class_names == ["0", "1", "2"]
    assert seeds_and_labels(images) == [(seed, seed % 3) for seed in range(6)]
