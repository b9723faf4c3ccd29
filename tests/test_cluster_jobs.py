"""What a cluster's client and workers do, in one process; test_cli_dask.py has real ones."""

import os

import fsspec
import numpy as np
import pytest
from test_cli_predict import write_pngs

from fastmnist import api
from fastmnist.cluster import jobs
from fastmnist.cluster.worker import Done, unpack, work
from fastmnist.errors import ClusterError, DataError
from fastmnist.inputs import runs
from fastmnist.inputs.idx import write_images
from fastmnist.output.csv import CsvFormat


class OneProcess:
    """A cluster of this process. `before` and `after` are called around the work of each piece."""

    def __init__(self, before=lambda order: order, after=lambda: None):
        self.before, self.after, self.sizes = before, after, []

    def work_on(self, job, pieces):
        for piece in pieces:
            self.sizes.append(len(getattr(piece.rows, "numbers", ())))
            made = job.work(job.model, self.before(piece), 1)
            self.after()
            yield piece, Done(made, 0.01)


@pytest.fixture
def model(small_model):
    return api.load(small_model)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(parts, model):
    return b"".join(bytes(piece) for part in parts for piece in CsvFormat(model.class_names).rows(part))


def test_pixels_stay_with_the_workers(model, here, digits):
    write_images(here / "idx", digits[0][:20])
    (part,) = jobs.predict(OneProcess(), model, ["idx"], "auto")
    assert part.batch.pixels.shape == (0, 784)


def test_a_file_that_ends_early_is_told_once_as_in_one_process(model, here, digits, monkeypatch):
    monkeypatch.setattr(runs, "ARRAY_BATCHES", 1)
    monkeypatch.setattr(runs, "BATCH_SIZE", 10)
    write_images(here / "idx", digits[0][:60])
    write_images(here / "other", digits[0][:20])
    n_pieces = 0

    def cut():
        nonlocal n_pieces
        n_pieces += 1
        if n_pieces == 2:
            os.truncate(here / "idx", 1000)

    parts = list(jobs.predict(OneProcess(after=cut), model, ["idx", "other"], "auto"))
    rows = [(path, index) for part in parts for path, index in zip(part.batch.paths, part.batch.indices, strict=True)]
    expected = [*((b"idx", index) for index in range(20)), (b"idx", None), *((b"other", index) for index in range(20))]
    assert rows == expected
    assert n_pieces == 8


def test_files_that_a_worker_lacks_and_the_client_has_are_no_rows(model, here, digits):
    write_pngs(here / "in", digits[0][:3])

    def hide(order):
        os.rename("in", "hidden")
        return order

    cluster = OneProcess(hide, lambda: os.rename("hidden", "in"))
    with pytest.raises(ClusterError, match=r"^in/00000.png: a worker has no such file, expected the client's storage"):
        list(jobs.predict(cluster, model, ["in"], "auto"))


def test_pictures_at_addresses_need_no_folder_and_no_file_of_the_worker(model, here, digits):
    files = fsspec.filesystem("memory")
    write_pngs(here / "in", digits[0][:5])
    for path in (here / "in").iterdir():
        files.pipe_file(f"/of-a-cluster/{path.name}", path.read_bytes())
    asked = []
    cluster = OneProcess(lambda order: asked.append(order.folder) or order)
    try:
        actual = rows_of(
            jobs.predict(cluster, model, ["memory://of-a-cluster", "memory://of-a-cluster/none.png"], "auto"), model
        )
    finally:
        files.rm("/of-a-cluster", recursive=True)
    assert asked == [None]
    lines = actual.decode().splitlines()
    expected = rows_of(jobs.predict(OneProcess(), model, ["in"], "auto"), model).decode().splitlines()
    assert [line.partition(",")[2] for line in lines[:5]] == [line.partition(",")[2] for line in expected]
    assert lines[5:] == ["memory://of-a-cluster/none.png,,,"]


def test_files_that_nobody_has_are_rows(model, here):
    (part,) = jobs.predict(OneProcess(), model, ["none.png"], "auto")
    assert part.errors[0].startswith("none.png: No such file or directory")


def test_a_folder_that_a_worker_lacks_is_told(model, here):
    cluster = OneProcess(lambda order: order._replace(folder=f"{here}/elsewhere"))
    with pytest.raises(ClusterError, match=r"elsewhere: a worker can't enter it.*mount it there$"):
        list(jobs.predict(cluster, model, ["none.png"], "auto"))


def test_workers_go_to_the_clients_folder_for_relative_paths_alone(model, here, digits, monkeypatch):
    write_pngs(here / "in", digits[0][:3])
    folders = []

    def elsewhere(order):
        folders.append(order.folder)
        monkeypatch.chdir("/")
        return order

    cluster = OneProcess(elsewhere, lambda: monkeypatch.chdir(here))
    relative = list(jobs.predict(cluster, model, ["in"], "auto"))
    absolute = list(jobs.predict(cluster, model, [str(here / "in")], "auto"))
    assert folders == [str(here), None]
    assert [part.errors for part in relative + absolute] == [{}, {}]


def test_the_number_of_files_in_a_task_follows_what_they_take(model, here):
    paths = (f"{number}.png" for number in range(10_000))
    cluster = OneProcess()
    assert sum(len(part.batch.paths) for part in jobs.predict(cluster, model, paths, "auto")) == 10_000
    assert cluster.sizes == [64, 4096, 4096, 10_000 - 64 - 2 * 4096]


def test_nothing_but_files_is_read_by_workers(model):
    with pytest.raises(DataError, match=r"^<stdin>: a picture that other processes can't read"):
        list(jobs.read(OneProcess(), model, ["-"], None))
    with pytest.raises(DataError, match=r"^length 0, expected a number of digits"):
        list(jobs.read(OneProcess(), model, ["in"], 0))


def test_rows_are_those_of_one_process(model, here, digits):
    write_images(here / "idx", digits[0][:200])
    np.savez(here / "set.npz", x_test=digits[0][:30])
    inputs = ["idx", "set.npz", "none.png"]
    assert rows_of(jobs.predict(OneProcess(), model, inputs, "auto"), model) == rows_of(model.stream(inputs), model)


def test_a_worker_unpacks_what_it_does():
    import pickle

    assert unpack(pickle.dumps([1])) == [1]
    assert work(pickle.dumps((max, 5)), 3, threads=2).made == 5
