"""Tables as pandas writes them: with decimal points, an index, names that are numbers."""

import numpy as np
import pytest
from conftest import noted
from test_inputs_npz import rows_of

from fastmnist.datasets.dataset import open_dataset
from fastmnist.inputs.table import open_table

PIXELS = np.random.default_rng(0).integers(0, 256, (150, 784), dtype=np.uint8)
LABELS = (np.arange(150) % 10).astype(np.uint8)
NAMES = [f"pixel{pixel}" for pixel in range(784)]
NUMBERS = [str(pixel) for pixel in range(784)]


def write(path, pixels, *, labels=None, header=None, index=False):
    """Write a table; every cell as Python's str has it."""
    lines = [([""] if index else []) + header] if header else []
    for row, values in enumerate(pixels.tolist()):
        lines.append(([row] if index else []) + ([] if labels is None else [labels[row]]) + values)
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    return path


FORMS = {
    "floats to 255": (PIXELS.astype(float), {}),
    "floats to 1": (PIXELS / 255, {}),
    "floats to 1 in short": (np.round(PIXELS / 255, 4), {}),
    "float labels": (PIXELS, {"labels": LABELS.astype(float), "header": ["label", *NAMES]}),
    "float labels and pixels": (PIXELS / 255, {"labels": LABELS.astype(float)}),
    "an index": (PIXELS, {"index": True, "header": NAMES}),
    "an index and a label": (PIXELS, {"index": True, "labels": LABELS, "header": ["label", *NAMES]}),
    "an index and floats": (PIXELS / 255, {"index": True, "labels": LABELS, "header": ["label", *NUMBERS]}),
    "numbers as names": (PIXELS, {"header": NUMBERS}),
    "an index and numbers as names": (PIXELS, {"index": True, "header": NUMBERS}),
    "a label and numbers as names": (PIXELS, {"labels": LABELS, "header": ["label", *NUMBERS]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_pixels_and_labels(form, tmp_path):
    pixels, settings = FORMS[form]
    path = write(tmp_path / "a.csv", pixels, **settings)
    rows, notes = rows_of(str(path), preprocess="none")
    assert [row[3] for row in rows] == [None] * 150
    np.testing.assert_array_equal(np.array([row[2] for row in rows]), PIXELS)
    assert notes == []
    if "labels" in settings:
        with noted():
            images = open_dataset(path).load("train")
        np.testing.assert_array_equal(images.labels, LABELS)
        np.testing.assert_array_equal(images.pixels, PIXELS)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("x", "'x' in column 4 (pixel2), expected 0 to 1; fix the line"),
        ("", "'' in column 4 (pixel2)"),
        ("nan", "'nan' in column 4 (pixel2)"),
        ("inf", "'inf' in column 4 (pixel2)"),
        ("-0.5", "'-0.5' in column 4 (pixel2)"),
        ("1.5", "'1.5' in column 4 (pixel2)"),
        ("0.5,0.5", "786 columns, expected 785 as in the first line"),
    ],
)
def test_a_bad_decimal_costs_only_its_line(cell, found, tmp_path):
    path = write(tmp_path / "a.csv", PIXELS[:140] / 255, labels=LABELS)
    lines = path.read_text().splitlines()
    cells = lines[120].split(",")
    lines[120] = ",".join([*cells[:3], cell, *cells[4:]])
    path.write_text("\n".join(lines))
    rows, _ = rows_of(str(path), preprocess="none")
    for row, expected in zip(rows[:120] + rows[121:], np.delete(PIXELS[:140], 120, axis=0), strict=True):
        np.testing.assert_array_equal(row[2], expected)
    assert rows[120][3].startswith(f"{path}: row 120 (line 121): ")
    assert found in rows[120][3]


def test_a_bad_label_among_decimals_and_a_bad_cell_after_an_index_are_named(tmp_path):
    path = write(tmp_path / "a.csv", PIXELS[:3] / 255, labels=[1.0, 2.5, 3.0])
    rows, _ = rows_of(str(path), preprocess="none")
    assert "'2.5' in column 1 (label), expected a whole number from 0 to 255" in rows[1][3]
    path = write(tmp_path / "a.csv", PIXELS[:3].astype(int) + 200, index=True, header=NAMES)
    rows, _ = rows_of(str(path), preprocess="none")
    assert "in column " in rows[0][3]
    first = int(np.argmax(PIXELS[0].astype(int) + 200 > 255))
    assert f"in column {first + 2} (pixel{first}), expected a whole number" in rows[0][3]


def test_a_line_without_cells_after_its_index_is_a_bad_line(tmp_path):
    path = write(tmp_path / "a.csv", PIXELS[:2], index=True, header=NAMES)
    path.write_text(path.read_text() + "7\n8,\n")
    rows, _ = rows_of(str(path), preprocess="none")
    assert [row[3] is None for row in rows] == [True, True, False, False]


def test_whole_numbers_stay_whole_numbers(tmp_path):
    assert open_table(write(tmp_path / "a.csv", PIXELS)).scale is None
    assert open_table(write(tmp_path / "a.csv", PIXELS[:0], header=NAMES)).scale is None
