"""`predict` and `read` with --dask: a real scheduler, real workers, and what may happen to them."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager, nullcontext

import cv2
import numpy as np
import pytest
from conftest import ROOT, cli_environment
from test_cli_predict import write_pngs
from test_cli_read import pictures  # noqa: F401  (a fixture)

import fastmnist
from fastmnist.cluster import engine
from fastmnist.cluster.engine import Job
from fastmnist.errors import ClusterError
from fastmnist.inputs.idx import write_images
from fastmnist.output.csv import CsvFormat

# What a worker does first: from then on `fatal` happens before a run with a file of such a name is read.
PRELOAD = """
import os, signal, time
from fastmnist.cluster import jobs

folder, scheduler = os.environ["FOLDER"], int(os.environ["SCHEDULER"])

def fatal(name):
    %s

def predict(model, order, threads, predict=jobs._predict):
    for found in getattr(order.rows, "inputs", ()):
        if b"fatal" in found.path:
            fatal(os.path.join(folder, os.path.basename(os.fsdecode(found.path))))
    return predict(model, order, threads)

jobs._predict = predict
"""
DIE = PRELOAD % "os.kill(os.getpid(), signal.SIGKILL)"
DIE_ONCE = (
    PRELOAD
    % """if os.path.exists(name + "-once"):
        os.unlink(name + "-once")
        os.kill(os.getpid(), signal.SIGKILL)"""
)
# The model is the first thing that a worker unpacks.
DIE_OF_MODEL = """
import os, signal
from fastmnist.cluster import worker

def unpack(payload, unpack=worker.unpack):
    once = os.path.join(os.environ["FOLDER"], "once")
    if %s:
        os.kill(os.getpid(), signal.SIGKILL)
    return unpack(payload)

worker.unpack = unpack
"""
# Rows reach the part by blocks of 4 or 8 KB.
KILL_SCHEDULER = (
    PRELOAD
    % """while os.path.getsize(os.path.join(folder, "out.csv.part")) < 1000:
        time.sleep(0.01)
    os.kill(scheduler, signal.SIGKILL)"""
)
NO_FASTMNIST = "import sys; sys.modules['fastmnist'] = None"
OLD_FASTMNIST = "import fastmnist.version; fastmnist.version.__version__ = '0.0.1'"


@contextmanager
def started(module, *arguments, stderr=subprocess.DEVNULL, **environment):
    """A process of distributed's, ended with the context."""
    with subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments],
        env=cli_environment(**environment),
        stderr=stderr,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # a worker that begins just now would look for its scheduler for another 100 s


@contextmanager
def scheduler(n_retries=1):
    """The address and the process of a scheduler; the death of a task's worker costs so many retries."""
    with started(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0",
        stderr=subprocess.PIPE, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=str(n_retries),
    ) as process:  # fmt: skip
        found = (re.search(r"Scheduler at: +(tcp://\S+)", line) for line in process.stderr)
        yield next(match[1] for match in found if match), process


@contextmanager
def cluster(folder, preload="", n_workers=2, n_threads=1, of=None):
    """The address of a scheduler, `of` one that is there, with workers that run `preload` first."""
    (folder / "preload.py").write_text(preload)
    with nullcontext(of) if of else scheduler() as (address, process), started(
        "dask_worker", address, "--nworkers", str(n_workers), "--nthreads", str(n_threads),
        "--preload", folder / "preload.py", "--local-directory", folder,
        SCHEDULER=str(process.pid), FOLDER=str(folder),
    ):  # fmt: skip
        yield address


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A sound scheduler with two workers of two threads."""
    with cluster(tmp_path_factory.mktemp("cluster"), n_threads=2) as found:
        yield found


@pytest.fixture
def inputs(digits, tmp_path):
    """Some of each kind of input, in tmp_path."""
    write_pngs(tmp_path / "in", digits[0][:80])
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    cv2.imwritemulti(str(tmp_path / "in" / "pages.tiff"), list(digits[0][80:83]))
    write_images(tmp_path / "idx", digits[0][:300])
    write_images(tmp_path / "packed.idx3-ubyte.gz", digits[0][300:310])
    np.save(tmp_path / "array.npy", digits[0][310:330])
    return ["in", "missing.png", "idx", "packed.idx3-ubyte.gz", "array.npy"]


def told(run):
    """The lines of a run but those of the model, the cluster and the count with its seconds."""
    lines = [re.sub(r", [\d.]+ s.*", "", line) for line in run.stderr.splitlines()]
    return [line for line in lines if not line.startswith(("model: ", "tcp://", "local:", "compiling "))]


def equal_runs(run_cli, address, *arguments):
    """The run of a command with a cluster, after its file and its messages were compared with those without one."""
    one = run_cli(*arguments, "-o", "one.out")
    run = run_cli(*arguments, "-o", "many.out", "--dask", address)
    assert run.code == one.code, run.stderr
    assert told(run) == told(one)
    return run


@pytest.mark.parametrize("options", [[], ["--format", "jsonl", "--probabilities", "--shard", "2/3"]], ids=str)
def test_predict_writes_what_one_process_writes(run_cli, address, inputs, small_model, tmp_path, options):
    run = equal_runs(run_cli, address, "predict", "--model", small_model, *options, *inputs)
    assert (tmp_path / "many.out").read_bytes() == (tmp_path / "one.out").read_bytes()
    assert run.code == 1  # there is a file that can't be read
    assert f"{address}: 2 workers, 4 threads, dashboard: http" in run.stderr


def test_read_writes_what_one_process_writes(run_cli, address, pictures, tmp_path):  # noqa: F811
    run = equal_runs(run_cli, address, "read", "p", "--digits", "--min-confidence", "0.9")
    assert (tmp_path / "many.out").read_bytes() == (tmp_path / "one.out").read_bytes()
    assert run.code == 1


def test_the_dashboard_has_tasks_by_name(run_cli, address, inputs, small_model):
    from distributed import Client

    run_cli("predict", "--model", small_model, "idx", "--dask", address)
    with Client(address, set_as_default=False) as client:
        names = client.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.task_prefixes))
    assert {"mnist-predict", "mnist-model"} <= names
    assert max(map(len, names)) <= 15  # longer ones are cut, and look alike


@pytest.fixture
def fatal(digits, tmp_path):
    """A folder of 400 pictures, in runs of 64 to begin with; two of them have names that workers may die of."""
    write_pngs(tmp_path / "in", digits[0][:398])
    for place in (100, 330):
        (tmp_path / "in" / f"{place:05d}-fatal.png").write_bytes((tmp_path / "in" / "00000.png").read_bytes())
        (tmp_path / f"{place:05d}-fatal.png-once").touch()
    return ("predict", "in", "-o", "out.csv", "--model")


@pytest.fixture
def expected(fatal, small_model, tmp_path, monkeypatch):
    """The rows that one process writes."""
    monkeypatch.chdir(tmp_path)
    model = fastmnist.load(small_model)
    rows = CsvFormat(model.class_names)
    return rows.header + b"".join(piece for part in model.stream(["in"]) for piece in rows.rows(part))


def test_workers_that_are_killed_cost_a_retry(run_cli, fatal, expected, small_model, tmp_path):
    with cluster(tmp_path, DIE_ONCE) as address:
        run = run_cli(*fatal, small_model, "--dask", address)
    assert run.code == 0
    assert run.errors == []
    assert (tmp_path / "out.csv").read_bytes() == expected
    assert not list(tmp_path.glob("*-once"))  # both have died


def test_a_file_that_kills_every_worker_is_a_row(run_cli, small_model, digits, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:3])
    (tmp_path / "in" / "00001-fatal.png").write_bytes((tmp_path / "in" / "00001.png").read_bytes())
    with scheduler(n_retries=0) as found, cluster(tmp_path, DIE, of=found) as address:
        run = run_cli("predict", "in", "--model", small_model, "--dask", address)
    assert run.code == 1
    (error,) = run.errors
    assert "in/00001-fatal.png: every worker that read it died, expected a picture; replace it, or check" in error
    assert [line.split(",")[0] for line in run.lines[1:]] == [
        "in/00000.png", "in/00001-fatal.png", "in/00001.png", "in/00002.png"
    ]  # fmt: skip
    assert [line.endswith(",,,") for line in run.lines[1:]] == [False, True, False, False]


def test_a_worker_that_is_killed_while_it_loads_the_model_costs_a_retry(run_cli, inputs, small_model, tmp_path):
    (tmp_path / "once").touch()
    preload = DIE_OF_MODEL % "os.path.exists(once) and not os.unlink(once)"
    with scheduler(n_retries=0) as found, cluster(tmp_path, preload, of=found) as address:
        run = run_cli("predict", "idx", "--model", small_model, "--dask", address)
    assert run.code == 0, run.stderr
    assert len(run.lines) == 301
    assert not (tmp_path / "once").exists()


def test_a_model_that_kills_every_worker_is_one_line(run_cli, inputs, small_model, tmp_path):
    with scheduler(n_retries=0) as found, cluster(tmp_path, DIE_OF_MODEL % "True", of=found) as address:
        run = run_cli("predict", "idx", "--model", small_model, "--dask", address)
    assert run.code == 1
    expected = f"{address}: its workers die while loading the model; check their logs"
    assert run.errors == [f"fastmnist: error: {expected}"]


def test_a_part_goes_on_after_the_scheduler_was_killed(run_cli, fatal, expected, address, small_model, tmp_path):
    with cluster(tmp_path, KILL_SCHEDULER) as doomed:
        (tmp_path / "in" / "00100-fatal.png").rename(tmp_path / "in" / "00100-harmless.png")
        run = run_cli(*fatal, small_model, "--dask", doomed)
    assert run.code == 1
    assert run.errors == [
        f"fastmnist: error: {doomed}: the connection to the scheduler was lost; check that the scheduler is running, "
        "and run the command again"
    ]
    assert "out.csv.part keeps the rows so far; to continue, run the same command with --resume" in run.stderr
    run = run_cli(*fatal, small_model, "--resume", "--dask", address)
    assert run.code == 0
    assert re.search(r"resuming after \d{3} rows of an earlier run", run.stderr)
    assert (tmp_path / "out.csv").read_bytes() == expected.replace(b"00100-fatal", b"00100-harmless")


def test_a_worker_without_this_fastmnist_is_one_line(run_cli, inputs, small_model, tmp_path):
    with scheduler() as one:
        for preload, found in ((NO_FASTMNIST, "no fastmnist"), (OLD_FASTMNIST, "fastmnist 0.0.1")):
            with cluster(tmp_path, preload, n_workers=1, of=one) as address:
                run = run_cli("predict", "idx", "--model", small_model, "-o", "out.csv", "--dask", address)
            assert run.code == 1
            (error,) = run.errors
            expected = f"{found}, expected fastmnist {fastmnist.__version__}; install it there"
            assert re.fullmatch(rf"fastmnist: error: worker tcp://127.0.0.1:\d+: {expected}", error)
            assert not (tmp_path / "out.csv").exists()


def test_pieces_are_taken_as_workers_need_them_and_come_back_in_order(address):
    taken, most_ahead = 0, 0

    def pieces():
        nonlocal taken
        while taken < 200:
            taken += 1
            yield taken

    job = Job("test", 0, max, split=None, give_up=None)  # of the model 0, a piece, and two threads
    with engine.open_cluster(address) as found:
        for n_made, (piece, done) in enumerate(found.work_on(job, pieces()), 1):
            assert piece == n_made
            assert done.made == max(piece, 2)
            most_ahead = max(most_ahead, taken - n_made)
    assert n_made == 200
    assert 0 < most_ahead < 2 * engine.AHEAD


def test_tasks_are_begun_in_order(small_model, tmp_path):
    """A task each time for the model's attribute: the first wait until the model has been unpacked."""
    from distributed import Client, get_task_stream

    job = Job("test", fastmnist.load(small_model), getattr, split=None, give_up=None)
    with cluster(tmp_path, n_workers=1) as address, Client(address, set_as_default=False) as client:
        with get_task_stream(client) as stream, engine.open_cluster(address) as found:
            assert [done.made for _, done in found.work_on(job, ["preprocess"] * 20)] == ["auto"] * 20
        begun = sorted((task["startstops"][-1]["start"], str(task["key"])) for task in stream.data)
    numbers = [int(key.rpartition("-")[2]) for _, key in begun if "model" not in key]
    assert numbers == list(range(20))


def test_a_large_model_is_no_warning(address):
    job = Job("test", "x" * 50_000_000, str.count, split=None, give_up=None)  # of x in it, from the second thread on
    with engine.open_cluster(address) as found:
        assert [done.made for _, done in found.work_on(job, ["x"])] == [50_000_000 - 2]


def test_what_a_task_raises_is_raised_here(address):
    job = Job("test", 0, divmod, split=None, give_up=None)
    with engine.open_cluster(address) as found, pytest.raises(TypeError, match="divmod expected 2 arguments, got 3"):
        list(found.work_on(job, [1]))


def test_the_library_takes_a_cluster(address, small_model, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:300])
    model = fastmnist.load(small_model)
    (expected,) = model.predict_files(tmp_path / "idx")
    with fastmnist.open_cluster(address) as found:
        (actual,) = model.predict_files(tmp_path / "idx", cluster=found)
    np.testing.assert_array_equal(actual.labels, expected.labels)
    np.testing.assert_array_equal(actual.probabilities, expected.probabilities)


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.1)
    expected = (
        r"tcp://127.0.0.1:1: no Dask scheduler answers \(.*\), expected one; check the address, and that it is running"
    )
    with pytest.raises(ClusterError, match=f"^{expected}$"), engine.open_cluster("tcp://127.0.0.1:1"):
        pass


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"needs the extra 'dask': pip install 'fastmnist\[dask\]'$"):
        engine.open_cluster("local:2").__enter__()


@pytest.mark.parametrize("address", ["local:0", "local:", "local:99999", "local:2x"])
def test_the_library_refuses_such_local_workers(address):
    with pytest.raises(ClusterError, match="expected local:N, with N from 1 to 1,024"):
        engine.open_cluster(address).__enter__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dask", "local:0"], "'local:0': expected the address of a scheduler, as in tcp://host:8786, or local:N"),
        (["--dask", "host"], "'host': expected the address of a scheduler"),
        (["--dask", "tcp://host:1", "--threads", "2"], "set the workers' threads with Dask's --nthreads"),
        (["--dask", "local:2", "--show", "1"], "--show, --dump-preprocessed and --report show what this process reads"),
        (
            ["--dask", "local:2", "--report", "r.html"],
            "--show, --dump-preprocessed and --report show what this process",
        ),
        (["--dask", "local:2", "--dump-preprocessed", "d"], "omit --dask"),
    ],
    ids=str,
)
def test_wrong_usage_is_told_before_anything_is_loaded(run_cli, small_model, options, message):
    run = run_cli("predict", "in", "--model", small_model, *options)
    assert run.code == 2
    assert message in run.stderr
    assert "model: " not in run.stderr


PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
SHELL, PYTHON = (re.findall(rf"^```{name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for name in ("sh", "python"))


def sh(commands, folder, **environment):
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", commands], cwd=folder, env=cli_environment(PATH=path, **environment), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.fixture
def images(digits, tmp_path):
    """A folder `images` as the page has it."""
    write_pngs(tmp_path / "images", digits[0][:30])
    return tmp_path


def test_the_pages_commands_start_processes_of_this_machine(images):
    (command,) = (line for line in SHELL[0].splitlines() if line.startswith("fastmnist predict "))
    done = sh(f"{command}; {command.replace(' --dask local:2 -o out.csv', ' -o one.csv')}", images)
    assert re.search(rb"local:2: 2 workers, \d+ threads, dashboard: http://127.0.0.1:", done.stderr)
    assert (images / "out.csv").read_bytes() == (images / "one.csv").read_bytes()


def test_the_pages_python_does_what_it_says(address, images):
    code = PYTHON[0].replace("local:2", address)
    assert code != PYTHON[0]
    sh(f"{sys.executable} -c '{code}' > labels", images)
    assert (images / "labels").read_text().startswith("['7' '2' '1' '0' '4'")


def test_the_pages_array_is_the_whole_job(images):
    script, merge = SHELL[1:]
    for task in range(2):
        sh(script, images, SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT="2")
    sh(f"{merge}fastmnist predict images/ -o one.csv", images)
    assert (images / "out.csv").read_bytes() == (images / "one.csv").read_bytes()


def test_the_pages_class_for_ray_adds_the_labels(images):
    (code,) = (block for block in PYTHON if "class Digits" in block)
    names = {}
    exec(code, names)  # noqa: S102
    files = sorted((images / "images").iterdir())[:3]
    batch = {"path": np.array(list(map(str, files))), "bytes": np.array([file.read_bytes() for file in files], object)}
    added = names["Digits"]()(batch)
    assert added["path"] is batch["path"]
    assert added["label"].tolist() == ["7", "2", "1"]
    assert (added["confidence"] > 0.9).all()
