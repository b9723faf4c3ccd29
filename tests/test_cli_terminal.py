"""What a terminal shows: bars, rows and messages each on lines of their own, and lines for a person."""

import re
import shutil
import subprocess
import sys

import cv2
import pytest
from conftest import HANGS_AFTER, ROOT, TERMINAL, interrupted_on_terminal, screen, shown_on_terminal
from test_cli_predict import HEADER, write_pngs

from fastmnist.inputs.idx import write_images

SEVEN = r"seven\.png  7  \d\d\.\d %|seven\.png  7  100\.0 %"


@pytest.fixture
def picture(tmp_path):
    shutil.copy(ROOT / "tests" / "seven.png", tmp_path)
    return tmp_path


def shown(*arguments, cwd, **settings):
    """The exit code of `fastmnist ARGUMENTS`, and the lines on its terminal, where stdout is too."""
    code, text = shown_on_terminal(*arguments, cwd=cwd, stdout=TERMINAL, **settings)
    assert "Traceback" not in text
    return code, screen(text)


def test_the_screen_shows_what_came_last():
    assert screen("abcd\rxy\n\033[1mbold\033[0m\n") == ["xycd", "bold"]


def test_one_picture_is_a_line_that_people_read(picture):
    code, lines = shown("predict", "--model", "shipped", "seven.png", cwd=picture)
    assert code == 0
    assert lines[0].startswith("model: ")
    assert re.fullmatch(SEVEN, lines[1])
    assert re.fullmatch(r"1 image, 0 errors, \d+\.\d\d s", lines[2])
    assert len(lines) == 3


def test_a_picture_of_several_pages_is_a_line_for_each(digits, tmp_path):
    cv2.imwritemulti(str(tmp_path / "two.tiff"), list(digits[0][:2]))
    code, lines = shown("predict", "--model", "shipped", "two.tiff", cwd=tmp_path)
    assert code == 0
    assert re.fullmatch(r"two\.tiff \[0\]  7  \d+\.\d %", lines[1])
    assert re.fullmatch(r"two\.tiff \[1\]  2  \d+\.\d %", lines[2])


@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        (["seven.png", "--format", "csv"], HEADER),
        (["seven.png", "--probabilities"], f"{HEADER},probability_0"),
        (["seven.png", "seven.png"], HEADER),
        (["."], HEADER),
        (["seven.png", "--format", "kaggle"], "ImageId,Label"),
    ],
)
def test_all_else_is_rows_on_a_terminal_too(arguments, header, picture):
    code, lines = shown("predict", "--model", "shipped", *arguments, cwd=picture)
    assert code == 0
    assert lines[1].startswith(header)
    assert not any(re.fullmatch(SEVEN, line) for line in lines)


def test_one_picture_is_csv_in_a_pipe_and_in_a_file(run_cli, picture):
    piped = run_cli("predict", "--model", "shipped", "seven.png")
    assert piped.lines[0] == HEADER
    assert "images/s" not in piped.stderr
    assert "pictures/s" not in run_cli("read", "seven.png").stderr
    code, _ = shown("predict", "--model", "shipped", "seven.png", "-o", "out.csv", cwd=picture)
    assert code == 0
    assert (picture / "out.csv").read_bytes() == piped.stdout
    with open(picture / "redirected.csv", "wb") as file:
        shown_on_terminal("predict", "--model", "shipped", "seven.png", cwd=picture, stdout=file)
    assert (picture / "redirected.csv").read_bytes() == piped.stdout


def test_one_picture_that_cannot_be_read_has_no_label_on_its_line(tmp_path):
    (tmp_path / "a\033[2Jb.png").write_bytes(b"no picture")
    code, lines = shown("predict", "--model", "shipped", "a\033[2Jb.png", cwd=tmp_path)
    assert code == 1
    assert lines[1].startswith("fastmnist: error: a\\x1b[2Jb.png: ")
    assert lines[2] == "a\\x1b[2Jb.png  no label"


@pytest.mark.parametrize(("environment", "is_red"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)])
def test_an_error_has_colour_where_the_user_wants_it(environment, is_red, tmp_path):
    code, text = shown_on_terminal("info", "none.safetensors", cwd=tmp_path, stdout=TERMINAL, **environment)
    assert code == 1
    assert ("\033[31m" in text) == is_red
    assert screen(text) == [
        "fastmnist: error: none.safetensors: no such file, expected a model",
        "hint: train one with 'fastmnist train', or use shipped, the one that comes with fastmnist",
    ]


def test_no_bar_is_drawn_over_rows(small_model, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0])
    code, text = shown_on_terminal("predict", "--model", small_model, "idx", cwd=tmp_path, stdout=TERMINAL)
    assert code == 0
    lines = text.split("\r\n")
    assert [line for line in lines if not re.fullmatch(r"idx,\d+,\d,0\.\d{6}", line)] == [
        f"model: {small_model} (--model)", HEADER, lines[-2], "",
    ]  # fmt: skip
    assert re.fullmatch(r"10,000 images, 0 errors, .* images/s", lines[-2])


def test_errors_and_rows_come_in_order(small_model, digits, tmp_path):
    write_pngs(tmp_path / "a", digits[0][:2])
    _, lines = shown("predict", "--model", small_model, "missing.png", "a", cwd=tmp_path)
    assert lines[1] == HEADER
    assert lines[2].startswith("fastmnist: error: missing.png: ")
    assert [line.split(",")[0] for line in lines[3:6]] == ["missing.png", "a/00000.png", "a/00001.png"]


def test_with_an_output_file_the_bar_and_the_messages_have_lines_of_their_own(small_model, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0])
    code, lines = shown("predict", "--model", small_model, "missing.png", "idx", "-o", "out.csv", cwd=tmp_path)
    assert code == 1
    assert re.fullmatch(r"predicting: 100%\|.*\| 10.0k/10.0k \[.*images/s\]", lines[2])
    assert [line.split(":")[0] for line in lines[:2]] == ["model", "fastmnist"]
    assert lines[3].startswith("10,001 images, 1 error, ")


def test_the_bar_of_a_narrow_terminal_is_not_cut_off(small_model, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0])
    (tmp_path / "list").write_bytes(b"idx")
    predict = ("predict", "--model", small_model, "-o", "out.csv")
    code, text = shown_on_terminal(*predict, "idx", cwd=tmp_path, columns=40)
    assert code == 0
    bars = [line for line in re.split("[\r\n]", text) if line.startswith("predicting")]
    assert all(re.fullmatch(r"predicting: +\d+%\|.+\| (\?|\d\d:\d\d) left", bar) and len(bar) < 40 for bar in bars)
    assert bars[-1].startswith("predicting: 100%")
    _, text = shown_on_terminal(*predict, "--files-from", "list", cwd=tmp_path, columns=40)  # nobody knows how many
    assert "\rpredicting: 10.0k images" in text


def test_a_signal_that_a_finalizer_swallows_is_raised_again_without_a_word():
    """What a finalizer raises, Python tells and drops: here the exception of a Ctrl-C that came within one."""
    script = """if True:
        import os, signal
        from fastmnist.cli import main

        class Closing:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)

        def run():
            Closing()
            signal.pause()

        main._run = run
        main.main()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANGS_AFTER)
    assert (done.returncode, done.stderr) == (130, "fastmnist: stopped by SIGINT\n")


def test_the_clock_of_a_bar_begins_after_compiling(small_set, tmp_path):
    cache = str(tmp_path / "cache")
    code, text = shown_on_terminal(
        "train", small_set, "--recipe", "seed", "--epochs", "40", "--threads", "1", cwd=tmp_path, XDG_CACHE_HOME=cache
    )
    assert code == 0
    assert screen(text)[1] == "compiling kernels (first run only, about 10 s)"
    bars = re.findall(r"training: +\d+%\|[^|]*\| (\S+)/40.0k \[(.*?), ", text)
    assert next(clock for position, clock in bars if position != "0.00") == "00:00<?"  # compiling took seconds


def test_a_stop_has_a_line_of_its_own_after_a_row_cut_short(small_model, digits, tmp_path):
    """Far more rows than a terminal holds until they are read: the program is still writing when Ctrl-C comes."""
    write_images(tmp_path / "idx", digits[0])
    arguments = ("predict", "--model", small_model, "idx")
    code, lines = interrupted_on_terminal(*arguments, cwd=tmp_path, at=b"idx,100,")
    assert code == 130
    assert lines[-1] == "fastmnist: stopped by SIGINT"


def test_a_stopped_training_says_what_its_checkpoint_keeps(small_set, tmp_path):
    arguments = ("train", small_set, "--recipe", "seed", "--epochs", "10000", "--checkpoint", "c.safetensors")
    code, lines = interrupted_on_terminal(*arguments, cwd=tmp_path, at=b"epoch 2/")
    assert code == 130
    assert lines[-1] == "fastmnist: stopped by SIGINT"
    (note,) = (line for line in lines if "keeps" in line)
    assert re.fullmatch(r"c\.safetensors keeps \d+ epochs?; to continue, run the same command with --resume", note)
    assert sum(line.startswith("training:") and "%|" in line for line in lines) == 1


def test_what_other_packages_log_stays_out_of_stderr(tmp_path):
    script = (
        "import logging; from fastmnist.cli.terminal import showing_logs\n"
        "with showing_logs():\n"
        "    logging.getLogger('gcsfs').error('within')\n"
        "    logging.getLogger('fastmnist').warning('ours')\n"
        "logging.getLogger('gcsfs').error('after')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["ours", "after"]
