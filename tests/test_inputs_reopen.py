"""Files are opened again page by page, each page decoded once."""

import numpy as np
import pytest
from test_images_pages import heic, pdf, pictures, tiff

from fastmnist.errors import DataError
from fastmnist.images.pages import decode_pages
from fastmnist.inputs import reopen as module
from fastmnist.inputs.reopen import Reopener


@pytest.mark.parametrize(("name", "file"), [("a.tif", tiff), ("a.pdf", pdf), ("a.heic", heic)])
def test_pages_are_those_of_the_file_whether_one_or_many(name, file, tmp_path):
    path = str(tmp_path / name).encode()
    for n in (1, 3):
        content = file(pictures(n))
        (tmp_path / name).write_bytes(content)
        reopener = Reopener()
        for page, expected in enumerate(decode_pages(content, path)):
            data, picture = reopener.picture(path, None if n == 1 else page)
            assert data == content
            np.testing.assert_array_equal(picture, expected)


def test_pages_in_order_are_decoded_once_and_others_are_found_too(tmp_path, monkeypatch):
    decoded = []

    def counting(data, name):
        for page in decode_pages(data, name):
            decoded.append(page)
            yield page

    monkeypatch.setattr(module, "decode_pages", counting)
    (tmp_path / "a.tif").write_bytes(tiff(pictures(4)))
    path, reopener = str(tmp_path / "a.tif").encode(), Reopener()
    for page in (0, 1, 3):
        reopener.picture(path, page)
    assert len(decoded) == 4
    np.testing.assert_array_equal(reopener.picture(path, 1)[1], pictures(4)[1])
    assert len(decoded) == 6


def test_what_is_there_no_more_is_an_error(tmp_path):
    path, reopener = str(tmp_path / "a.tif").encode(), Reopener()
    (tmp_path / "a.tif").write_bytes(tiff(pictures(2)))
    reopener.picture(path, 0)
    with pytest.raises(DataError, match=r"a\.tif: no page 5 any more"):
        reopener.picture(path, 5)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(DataError, match="No such file"):
        reopener.picture(path, 0)
