"""Tesseract reads a folder of rows, told that they are one line of digits: `python tesseract_rows.py FOLDER OUT`."""

import json
import subprocess
import sys
import time
from pathlib import Path

OPTIONS = ("--psm", "7", "-c", "tessedit_char_whitelist=0123456789")


def main() -> None:
    """Read the pictures in byte order; write their texts and the seconds it took as JSON."""
    start, texts = time.perf_counter(), []
    for path in sorted(Path(sys.argv[1]).glob("*.*g")):
        command = ["tesseract", str(path), "-", *OPTIONS]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        texts.append("".join(done.stdout.split()))
    seconds = time.perf_counter() - start
    Path(sys.argv[2]).write_text(json.dumps({"texts": texts, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
