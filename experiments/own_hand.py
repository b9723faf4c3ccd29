"""How much a few pictures of one's own handwriting help: `python -m experiments.own_hand [DATA]`.

A model is fine-tuned on 20, 50, 100 and 200 digits in one handwriting, and tested on other digits in it and on MNIST.
The handwritings are simulated: each gives all digits one slant, rotation, proportion and stroke width, beyond those
that the shipped model was trained on. The digits are the last of MNIST's training set, which the shipped model was not
trained to classify: it has seen some of them only joined to others, as no digit. `--load-digits` does the same with
scikit-learn's digits, by 43 people: the first half is for fine-tuning, the second for testing.
"""

import argparse
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

import fastmnist
from experiments.normalization import sklearn_digits
from experiments.training_set import written
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.shapes import N_PIXELS, SIDE

Images = npt.NDArray[np.uint8]

COUNTS = 20, 50, 100, 200  # pictures to train on
UNSEEN = 2000  # the last of MNIST's training digits, which the shipped model was not trained to name
N_HANDS, STRENGTH, MARGIN = 8, 2.25, 20


class Hand(NamedTuple):
    """Digits of one hand, in MNIST's form: images (n, 784) and labels (n,) to train on and to test on."""

    own: Images
    own_labels: Images
    others: Images
    other_labels: Images


def drawn_hand(digits: Images, labels: Images, number: int) -> Hand:
    """Return the digits, uint8 (n, 784), as a hand writes them; the first half is its own."""
    images, kept = [], []
    for position, digit in enumerate(digits.reshape(-1, SIDE, SIDE)):
        large = written(digit, np.random.default_rng([1, number]), STRENGTH)
        try:
            images.append(fastmnist.read_images(255 - np.pad(large, MARGIN), preprocess="mnist")[0])
        except DataError:
            continue
        kept.append(position)
    return halves(np.stack(images), labels[kept])


def halves(images: Images, labels: Images) -> Hand:
    """Return the first half of images (n, 28, 28) as one's own."""
    flat, middle = images.reshape(-1, N_PIXELS), len(labels) // 2
    return Hand(flat[:middle], labels[:middle], flat[middle:], labels[middle:])


def first_of_each(labels: Images, n: int) -> npt.NDArray[np.int64]:
    """Return the positions of `n` digits, as many of each class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == digit)[: n // 10] for digit in range(10)]))


def accuracy(model: fastmnist.Model, images: Images, labels: Images) -> float:
    """Return the share of images (n, 784) that a model reads right."""
    return float(np.mean(model.network.predict(np.ascontiguousarray(images))[0] == labels))


def scanned_hand() -> Hand:
    """Return scikit-learn's 1,797 digits, read as pictures are."""
    pictures, labels = sklearn_digits()
    images = [fastmnist.read_images(picture.content, preprocess="mnist")[0] for picture in pictures]
    return halves(np.stack(images), labels)


def report(hands: list[Hand], mnist: tuple[Images, Images]) -> None:
    """Print a table: accuracy on the hands and on MNIST, before and after."""
    shipped = fastmnist.load("shipped")
    before = np.mean([accuracy(shipped, hand.others, hand.other_labels) for hand in hands])
    print("| pictures to train on | that hand | MNIST |\n|---:|---:|---:|")
    print(f"| 0 | {before:.2%} | {accuracy(shipped, *mnist):.2%} |")
    for count in COUNTS:
        figures = []
        for hand in hands:
            own = first_of_each(hand.own_labels, count)
            model = fastmnist.train(hand.own[own].reshape(-1, SIDE, SIDE), hand.own_labels[own], start="shipped")
            figures.append((accuracy(model, hand.others, hand.other_labels), accuracy(model, *mnist)))
        on_hand, on_mnist = np.mean(figures, axis=0)
        print(f"| {count} | {on_hand:.2%} | {on_mnist:.2%} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.own_hand", description="What own pictures are worth.")
    parser.add_argument("data", nargs="?", default="data", help="MNIST's folder [data]")
    parser.add_argument("--load-digits", action="store_true", help="scikit-learn's digits, and MNIST's test set")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.load_digits:
        report([scanned_hand()], open_dataset(arguments.data).load("test")[:2])
        return
    pixels, labels = (array[-UNSEEN:] for array in open_dataset(arguments.data).load("train")[:2])
    report([drawn_hand(pixels, labels, number) for number in range(N_HANDS)], (pixels, labels))


if __name__ == "__main__":
    main()
