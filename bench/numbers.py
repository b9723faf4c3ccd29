"""Rows of digits: how many are read exactly, and how fast, beside RapidOCR and Tesseract on the same pictures."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

from bench.machine import NOT_INSTALLED
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from experiments.rows import ROWS, Digits, draw
from fastmnist.api import Model, load

PICTURES, OF_PEERS, SMOKE = 1000, 100, 20
VENV = Path(".venv-ocr")  # RapidOCR's own environment


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table: the share of texts that are exactly right, of pages that of lines."""
    data, model = mnist(settings), load("shipped")
    digits = Digits(data.test_pixels.reshape(-1, 28, 28), data.test_labels)
    table = Table("Numbers: texts read exactly, %")
    peers = {"RapidOCR": _rapidocr(settings), "Tesseract": _tesseract(settings)}
    for name in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            n = SMOKE if settings.smoke else PICTURES
            truth = _write(Path(folder), name, digits, n, settings)
            right, seconds, with_length = _ours(model, Path(folder), truth, settings)
            if right < 0.5 * n and name == "clear":
                raise WrongResultError(f"{right} of {n} clear rows are read right")
            note = f"{n / seconds:,.0f} pictures/s"
            n_texts = sum(map(len, truth))
            table.add(f"{name}, {n:,} pictures", 100 * right / n_texts, note=note)
            if name == "touching":
                table.add("touching, with the length told", 100 * with_length / n_texts)
            if name == "page":
                continue
            for peer, command in peers.items():
                _beside(table, f"{name}, {peer}", command, Path(folder), [lines[0] for lines in truth], settings)
    yield table


def _write(folder: Path, name: str, digits: Digits, n: int, settings: Settings) -> list[list[str]]:
    """Write a set of pictures; return the texts of the lines of each."""
    truth = []
    for number, picture in enumerate(draw(name, digits, n, settings.threads)):
        (folder / f"{number:04d}{picture.rendering.suffix}").write_bytes(picture.rendering.content)
        truth.append(picture.lines)
    return truth


def _ours(model: Model, folder: Path, truth: list[list[str]], settings: Settings) -> tuple[int, float, int]:
    """Return how many texts are right, the seconds for all, and how many are right where the length is told."""
    list(model.read_files(sorted(folder.iterdir())[:4], threads=settings.threads))
    start = time.perf_counter()
    pages = list(model.read_files(folder, threads=settings.threads))
    seconds = time.perf_counter() - start
    right = sum(
        _n_right([number.text for number in page.numbers], lines) for page, lines in zip(pages, truth, strict=True)
    )
    told = 0
    for path, lines in zip(sorted(folder.iterdir()), truth, strict=True):
        if len(lines) == 1:
            (page,) = model.read(path, length=len(lines[0]))
            told += [number.text for number in page.numbers] == lines
    return right, seconds, told


def _n_right(found: list[str], lines: list[str]) -> int:
    """Return how many lines were read, in order; a row is right where nothing but its text was found."""
    if len(lines) == 1:
        return int(found == lines)
    return sum(block.size for block in SequenceMatcher(None, lines, found, autojunk=False).get_matching_blocks())


def _beside(
    table: Table, name: str, command: list[str] | None, folder: Path, truth: list[str], settings: Settings
) -> None:
    """Add how many rows a peer reads, of the first few: they are slow."""
    if command is None:
        table.add(name, None, note=NOT_INSTALLED if not settings.smoke else "not in a smoke run")
        return
    n = min(OF_PEERS, len(truth))
    with tempfile.TemporaryDirectory() as few:
        for path in sorted(folder.iterdir())[:n]:
            shutil.copy(path, few)
        out = Path(few) / "out.json"
        subprocess.run([*command, few, str(out)], check=True, capture_output=True)
        result = json.loads(out.read_text(encoding="utf-8"))
    right = sum(found == text for found, text in zip(result["texts"], truth, strict=False))
    table.add(f"{name}, the first {n}", None, 100 * right / n, note=f"{n / result['seconds']:,.1f} pictures/s")


def _rapidocr(settings: Settings) -> list[str] | None:
    """Return the command of RapidOCR, in an environment that is made for it; None where that fails."""
    if settings.smoke:
        return None
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "rapidocr-onnxruntime"]
    if subprocess.run(pip, check=False, capture_output=True).returncode:
        return None
    return [str(python), str(Path(__file__).parent / "peers" / "rapidocr_rows.py")]


def _tesseract(settings: Settings) -> list[str] | None:
    if settings.smoke or shutil.which("tesseract") is None:
        return None
    return [sys.executable, str(Path(__file__).parent / "peers" / "tesseract_rows.py")]
