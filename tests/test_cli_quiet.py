"""What libpng and libjpeg write to descriptor 2 stays out of stderr; what Python writes there does not."""

import contextlib
import os
import sys

from test_images_decode import encoded, png_header, stderr_of

from fastmnist.cli.quiet import quiet_libraries

NOISY = """
import contextlib, sys
from fastmnist.cli.quiet import quiet_libraries
from fastmnist.images.decode import decode_picture
from fastmnist.errors import DataError

def work():
    print("one", file=sys.stderr)
    try:
        decode_picture(open(b"noisy.png", "rb").read(), b"noisy.png")
    except DataError:
        print("caught \\udcff", file=sys.stderr)

print("zero, ", end="", file=sys.stderr)
with {context}:
    work()
print("three", file=sys.stderr)
"""


def test_libpng_is_silenced_and_our_messages_come_through_in_order(tmp_path):
    (tmp_path / "noisy.png").write_bytes(png_header(1 << 20, 1))
    assert "libpng" in stderr_of(tmp_path, NOISY.format(context="contextlib.nullcontext()"))
    assert stderr_of(tmp_path, NOISY.format(context="quiet_libraries()")) == "zero, one\ncaught \\udcff\nthree\n"


def test_with_stderr_closed_libpng_does_not_write_into_our_files(tmp_path):
    (tmp_path / "noisy.png").write_bytes(png_header(1 << 20, 1))
    script = "context = {context}\nwith context:\n    file = open('out', 'wb', 0)\n    work()\n"
    script = NOISY.partition('print("zero')[0] + script
    stderr_of(tmp_path, script.format(context="contextlib.nullcontext()"), "2>&-")
    assert b"libpng" in (tmp_path / "out").read_bytes()
    stderr_of(tmp_path, script.format(context="quiet_libraries()"), "2>&-")
    assert (tmp_path / "out").read_bytes() == b""


def test_stderr_is_as_before_after_an_exception_in_the_quiet(capfd):
    stream = sys.stderr
    with contextlib.suppress(KeyError), quiet_libraries():
        os.write(2, b"lost\n")
        raise KeyError
    os.write(2, b"kept\n")
    assert sys.stderr is stream
    assert capfd.readouterr().err == "kept\n"


def test_opencvs_own_log_is_silent_even_outside_the_quiet(tmp_path):
    (tmp_path / "noisy.png").write_bytes(encoded("tiff")[:-20])
    assert "TIFF_" in stderr_of(tmp_path, "import cv2; cv2.imread('noisy.png')")
    assert "TIFF_" not in stderr_of(tmp_path, NOISY.format(context="contextlib.nullcontext()"))
