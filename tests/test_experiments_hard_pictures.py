"""The sheet of hard pictures: docs/ says that all of them are read right."""

import numpy as np
import pytest

from experiments.hard_pictures import DRAWN, SEED, sheet
from fastmnist.api import load


@pytest.mark.parametrize("name", DRAWN)
def test_each_of_the_dozen_is_read_right(name, digits):
    images, labels = digits
    rng = np.random.default_rng([SEED, list(DRAWN).index(name)])
    position = int(rng.integers(len(images)))
    result = load("shipped").predict(DRAWN[name](images[position], rng))
    assert result.errors == [None]
    assert result.labels[0] == str(labels[position])


def test_the_sheet_holds_a_dozen(digits):
    assert len(DRAWN) == 12
    picture = sheet(digits[0][:50], digits[1][:50])
    assert picture.shape[2] == 3
    assert len(np.unique(picture)) > 100
