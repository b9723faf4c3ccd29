"""Files are opened again page by page, each page decoded once."""

import numpy as np
import pytest
from test_images_pages import heic, pdf, pictures, tiff

from fastmnist.errors import DataError
from fastmnist.images.pages import decode_pages
from fastmnist.inputs import again as module
from fastmnist.inputs.again import Again


@pytest.mark.parametrize(("name", "file"), [("a.tif", tiff), ("a.pdf", pdf), ("a.heic", heic)])
def test_pages_are_those_of_the_file_whether_one_or_many(name, file, tmp_path):
    path = str(tmp_path / name).encode()
    for n in (1, 3):
        content = file(pictures(n))
        (tmp_path / name).write_bytes(content)
        again = Again()
        for page, expected in enumerate(decode_pages(content, path)):
            data, picture = again.picture(path, None if n == 1 else page)
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
    path, again = str(tmp_path / "a.tif").encode(), Again()
    for page in (0, 1, 3):
        again.picture(path, page)
    assert len(decoded) == 4
    np.testing.assert_array_equal(again.picture(path, 1)[1], pictures(4)[1])
    assert len(decoded) == 6


def test_what_is_there_no_more_is_an_error(tmp_path):
    path, again = str(tmp_path / "a.tif").encode(), Again()
    (tmp_path / "a.tif").write_bytes(tiff(pictures(2)))
    again.picture(path, 0)
    with pytest.raises(DataError, match=r"a\.tif: no page 5 any more"):
        again.picture(path, 5)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(DataError, match="No such file"):
        again.picture(path, 0)
