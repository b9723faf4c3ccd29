"""What all commands share: help, usage errors, exit codes, standard streams that are closed, full or gone."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, cli_command, cli_environment, random_network

from fastmnist import __version__
from fastmnist.cli import main
from fastmnist.model.model_file import Model, save_model

COMMANDS = ["", "download", "train", "predict", "evaluate", "info", "warmup", "doctor", "export", "convert"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_neither_numpy_nor_numba(command, tmp_path):
    script = """if True:
        import sys
        from fastmnist.cli.main import main
        try:
            main()
        finally:
            print(sorted({"numpy", "numba", "cv2"} & set(sys.modules)))
    """
    shown = subprocess.run(
        [sys.executable, "-c", script, *command.split(), "--help"],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0
    assert shown.stdout.startswith("Usage: fastmnist")
    assert shown.stdout.splitlines()[-1] == "[]"
    assert shown.stderr == ""


def test_the_check_for_loaded_modules_would_see_one(tmp_path):
    script = "import sys, numpy; print(sorted({'numpy', 'numba', 'cv2'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "['numpy']\n"


def test_a_warning_of_several_lines_is_shown_as_it_is_but_for_control_characters(capfd):
    main._show_warning(UserWarning("\n\nMismatched versions found\n\n| dask | 1 |\x1b[2J\n"))
    lines = ["fastmnist: warning: Mismatched versions found", "", "| dask | 1 |\\x1b[2J"]
    assert capfd.readouterr().err.splitlines() == lines


def test_version(run_cli):
    shown = run_cli("--version")
    assert (shown.code, shown.stdout.decode(), shown.stderr) == (0, f"fastmnist {__version__}\n", "")


def test_the_installed_command_is_the_module(tmp_path):
    command = os.path.join(os.path.dirname(sys.executable), "fastmnist")
    shown = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.stdout == f"fastmnist {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Usage: fastmnist"),
        (["nonsense"], "No such command 'nonsense'"),
        (["predict"], "Missing argument 'INPUT...'"),
        (["train"], "Missing argument 'DATA'"),
        (["train", "data", "--nonsense"], "--nonsense"),
        (["train", "data", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["train", "data", "--batch-size", "x"], "Invalid value for '--batch-size'"),
        (["train", "data", "--hidden", "100,0"], "100,0: expected a number from 1 to 100000"),
        (["train", "data", "--hidden", "many"], "expected sizes separated by commas"),
        (["train", "data", "--threads", "0"], "Invalid value for '--threads'"),
        (["train", "data", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "data", "--recipe", "worst"], "Invalid value for '--recipe'"),
        (["download", "data", "--dataset", "cifar"], "Invalid value for '--dataset'"),
    ],
)
def test_wrong_usage_is_reported_and_exits_with_2(arguments, told, run_cli):
    run = run_cli(*arguments)
    assert run.code == 2
    assert run.stdout == b""
    assert told in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "arguments", [["a\033[2Jb"], ["train", "data", "--a\033[2Jb"], ["train", "x", "--hidden", "\r"]]
)
def test_usage_errors_repeat_no_control_characters(arguments, run_cli):
    run = run_cli(*arguments)
    assert run.code == 2
    assert run.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "arguments", [["info", "none.safetensors"], ["info", "no\nne.safetensors"], ["info", "\033[31mred\x07"]]
)
def test_an_error_is_its_cause_and_a_hint_without_control_characters(arguments, run_cli):
    run = run_cli(*arguments)
    assert run.code == 1
    assert run.stdout == b""
    cause, hint = run.stderr.splitlines()
    assert cause.startswith("fastmnist: error: ")
    assert cause.endswith(": no such file, expected a model")
    assert hint == "hint: train one with 'fastmnist train', or use shipped, the one that comes with fastmnist"
    assert cause.isprintable()


def test_debug_shows_the_traceback(run_cli):
    run = run_cli("--debug", "info", "none.safetensors")
    assert run.code == 1
    assert "Traceback (most recent call last)" in run.stderr
    assert "ModelError" in run.stderr
    assert run.stderr.splitlines()[-2].startswith("fastmnist: error: none.safetensors: no such file")


def test_a_fault_of_ours_is_a_line_that_says_so(tmp_path):
    script = """if True:
        import sys
        import fastmnist.model.model_file
        from fastmnist.cli.main import main
        def load_model(path):
            raise RuntimeError("two\\nlines")
        fastmnist.model.model_file.load_model = load_model
        main()
    """
    run = subprocess.run([sys.executable, "-c", script, "info", "x"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        "fastmnist: error: RuntimeError: two\\nlines: this is a bug in fastmnist",
        "hint: run 'fastmnist --debug ...' to see where",
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("MemoryError('of 3 GiB')", "not enough memory: of 3 GiB"),
        ("ImportError('libx.so: cannot map', name='numba.core')", "numba.core can't be loaded: libx.so: cannot map"),
    ],
)
def test_what_the_machine_lacks_is_no_bug_of_ours(error, told, tmp_path):
    script = f"""if True:
        import fastmnist.model.model_file
        from fastmnist.cli.main import main
        def load_model(path):
            raise {error}
        fastmnist.model.model_file.load_model = load_model
        main()
    """
    run = subprocess.run([sys.executable, "-c", script, "info", "x"], cwd=tmp_path, capture_output=True, text=True)
    cause, hint = run.stderr.splitlines()
    assert (run.returncode, cause) == (1, f"fastmnist: error: {told}")
    assert hint.startswith("hint: ")


def test_what_the_encoding_of_stdout_lacks_is_escaped(run_cli, tmp_path):
    save_model(tmp_path / "greek", Model(random_network((784, 8, 2)), ["\u0431", "\u0434"], "auto"))
    run = run_cli("doctor", "--model", "greek", env={"PYTHONIOENCODING": "latin-1"})
    assert "this is a bug" not in run.stderr
    assert rb"classes \u0431, \u0434" in run.stdout


@pytest.mark.parametrize("threads", ["0", "-2", "many", ""])
def test_an_impossible_number_of_threads_for_numba_is_a_usage_error(threads, run_cli):
    run = run_cli("doctor", env={"NUMBA_NUM_THREADS": threads})
    assert (run.code, run.stdout) == (2, b"")
    assert f"NUMBA_NUM_THREADS is {threads!r}, expected a whole number, at least 1" in run.stderr
    assert run_cli("doctor", env={"NUMBA_NUM_THREADS": "1"}).code == 0


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["info", "MODEL"]])
def test_a_full_disk_is_reported(command, run_cli, small_model):
    with open("/dev/full", "wb") as full:
        run = run_cli(*(str(small_model) if word == "MODEL" else word for word in command), stdout=full)
    assert run.code == 1
    assert run.errors == ["fastmnist: error: writing output: No space left on device"]


def shell(redirection, *arguments, cwd):
    """Run `fastmnist ARGUMENTS REDIRECTION` by sh."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *cli_command(*map(str, arguments))],
        cwd=cwd,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command", [["--help"], ["--version"], ["info", "MODEL"], ["predict", "--model", "MODEL", "."]]
)
def test_a_closed_stdout_is_reported(command, tmp_path, small_model):
    run = shell(">&-", *(small_model if word == "MODEL" else word for word in command), cwd=tmp_path)
    assert run.returncode == 1
    assert "error: stdout is closed" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_closed_stderr_changes_no_result(tmp_path, small_model):
    usual = shell("", "info", small_model, cwd=tmp_path)
    silent = shell("2>&-", "info", small_model, cwd=tmp_path)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, usual.stdout, "")
    assert shell("2>&-", "info", "none.safetensors", cwd=tmp_path).returncode == 1
    assert shell("2>&-", "predict", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_even_what_swallows_exceptions(sent, code, tmp_path):
    """As compilers do, whose callbacks can't raise."""
    script = """if True:
        import signal
        import fastmnist.model.model_file
        from fastmnist.cli.main import main
        def load_model(path):
            print("ready", flush=True)
            for _ in range(2):
                try:
                    signal.pause()
                except BaseException:
                    pass
            try:
                signal.pause()
            except BaseException:
                raise ImportError("made of something else")
        fastmnist.model.model_file.load_model = load_model
        main()
    """
    command = [sys.executable, "-c", script, "info", "x"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(sent)
        assert process.communicate() == (b"", f"fastmnist: stopped by {sent.name}\n".encode())
    assert process.returncode == code


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_while_kernels_are_compiled(sent, code, small_model, tmp_path):
    (tmp_path / "0.png").write_bytes((ROOT / "tests" / "seven.png").read_bytes())
    process = subprocess.Popen(
        cli_command("predict", "--model", small_model, "0.png", "-o", "out.csv"),
        cwd=tmp_path,
        env=cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        if line.startswith(b"compiling kernels"):
            process.send_signal(sent)
            break
    assert process.communicate()[1] == f"fastmnist: stopped by {sent.name}\n".encode()
    assert process.returncode == code
    assert {"out.csv", "out.csv.part"}.isdisjoint(os.listdir(tmp_path))


def test_an_ignored_interrupt_stays_ignored(tmp_path):
    script = """if True:
        import os, signal
        import fastmnist.model.model_file
        from fastmnist.cli.main import main
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        fastmnist.model.model_file.load_model = lambda path: os.kill(os.getpid(), signal.SIGINT)
        main()
    """
    run = subprocess.run([sys.executable, "-c", script, "info", "x"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1  # of what came after the signal
    assert "stopped" not in run.stderr


def test_a_stderr_without_a_reader_changes_no_result(tmp_path, small_model):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        for arguments, code in ((["info", small_model], 0), (["info", "none.safetensors"], 1), (["predict"], 2)):
            command = cli_command(*arguments)
            run = subprocess.run(command, cwd=tmp_path, env=cli_environment(), stdout=subprocess.PIPE, stderr=writer)
            assert run.returncode == code
            assert bool(run.stdout) == (code == 0)
    finally:
        os.close(writer)


def test_a_reader_of_stdout_that_has_gone_is_not_an_error(tmp_path, small_model):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = subprocess.run(
            cli_command("info", small_model),
            cwd=tmp_path,
            env=cli_environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writer)
    assert run.returncode == 0
    assert run.stderr.startswith("model: ")
    assert run.stderr.count("\n") == 1


def test_the_short_forms_of_version_and_quiet(run_cli, small_model, small_set):
    assert run_cli("-V").stdout == run_cli("--version").stdout
    talk = {
        "info": [small_model],
        "evaluate": [small_set, "--model", small_model],
        "predict": [small_set / "t10k-images-idx3-ubyte", "--model", small_model],
    }
    for command, arguments in talk.items():
        usual, quiet, long = (run_cli(command, *arguments, *option) for option in ([], ["-q"], ["--quiet"]))
        assert usual.stderr.startswith("model: ")
        assert (quiet.code, quiet.stdout, quiet.stderr) == (0, usual.stdout, "")
        assert long.stderr == ""


def test_quiet_keeps_errors_and_how_to_resume(run_cli, small_model, tmp_path):
    run = run_cli("predict", "-q", "--model", small_model, "missing.png")
    assert run.code == 1
    assert run.stderr.splitlines() == run.errors
    assert len(run.errors) == 1
    assert len(run_cli("info", "-q", "none.safetensors").errors) == 1


def test_the_help_fits_80_columns(run_cli):
    for command in (*COMMANDS, "read", "merge"):
        lines = run_cli(*command.split(), "--help", env={"COLUMNS": "80"}).lines
        assert [line for line in lines if len(line) > 79] == [], command


END = """if True:
    import atexit, sys, threading
    from fastmnist.cli.main import run

    def outlast():
        threading.main_thread().join()
        print("the thread has ended")

    atexit.register(print, "registered for the end")
    if sys.argv.pop(1) == "thread":
        threading.Thread(target=outlast).start()
    run()
"""


@pytest.mark.parametrize(("how", "more"), [("alone", []), ("thread", ["the thread has ended"])])
@pytest.mark.parametrize(("option", "code"), [("--version", 0), ("--nonsense", 2)])
def test_a_process_ends_with_all_that_was_to_be_done(how, more, option, code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", END, how, option], cwd=tmp_path, env=cli_environment(), capture_output=True, text=True
    )
    version = [f"fastmnist {__version__}"] if code == 0 else []
    assert (done.returncode, done.stdout.splitlines()) == (code, [*version, *more, "registered for the end"])
