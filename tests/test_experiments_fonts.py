"""Characters in plain fonts, which the package's model is shown."""

import numpy as np
import pytest

from experiments import fonts


@pytest.mark.parametrize("kind", fonts.KINDS)
def test_every_character_is_drawn_whole(kind):
    for seed, character in enumerate(fonts.KINDS[kind]):
        picture = fonts.picture_of(character, np.random.default_rng(seed))
        np.testing.assert_array_equal(picture, fonts.picture_of(character, np.random.default_rng(seed)))
        assert (picture < 128).any()
        assert (picture[[0, -1]] == 255).all()
        assert (picture[:, [0, -1]] == 255).all()


def test_digits_are_read_and_letters_refused(model):
    def share_labelled(characters):
        pictures = [fonts.picture_of(each, np.random.default_rng(n)) for n, each in enumerate(5 * characters)]
        return (model.predict(pictures).labels != "").mean()

    assert share_labelled(fonts.KINDS["digits"]) > 0.95
    assert share_labelled(fonts.KINDS["letters"]) < 0.15
