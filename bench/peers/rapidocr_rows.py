"""RapidOCR (PP-OCRv4) reads a folder of rows, in an environment of its own: it brings another OpenCV.

`python rapidocr_rows.py FOLDER OUT` writes the text of each picture, its digits alone, as JSON, and the seconds.
"""

import json
import sys
import time
from pathlib import Path

from rapidocr_onnxruntime import RapidOCR


def main() -> None:
    """Read the pictures in byte order."""
    paths = sorted(Path(sys.argv[1]).glob("*.*g"))
    read = RapidOCR()
    read(str(paths[0]))
    start = time.perf_counter()
    texts = []
    for path in paths:
        lines = read(str(path))[0] or []
        texts.append("".join(c for _, text, _ in sorted(lines, key=lambda line: line[0][0][0]) for c in text))
    seconds = time.perf_counter() - start
    digits = ["".join(c for c in text if c.isdecimal()) for text in texts]
    Path(sys.argv[2]).write_text(json.dumps({"texts": digits, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
