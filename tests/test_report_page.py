"""What all pages have in common."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from html_tree import by_id, pixels_of, tree_of

from fastmnist.errors import OutputError
from fastmnist.report.page import page, percent, picture, table, text, write_page

HOSTILE = "<script>alert(1)</script>&\"'\x1b[2J\n$style ${title} \u202e"


def checksum(content):
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def policy_of(tree):
    content = next(meta.get("content") for meta in tree.iter("meta") if "http-equiv" in meta.attrib)
    return {part.split()[0]: part.split()[1:] for part in content.split("; ")}


@pytest.mark.parametrize("script", ["", "\nconst one = '<b>';\n"])
def test_the_policy_allows_its_own_style_and_script_and_pictures_within_it(script):
    content = page("title", "<main></main>", script, {"a": "</script><b>"})
    tree = tree_of(content)
    allowed = {
        "default-src": ["'none'"], "img-src": ["data:"], "base-uri": ["'none'"], "form-action": ["'none'"],
        "style-src": [checksum(next(tree.iter("style")).text)],
    }  # fmt: skip
    assert policy_of(tree) == allowed | ({"script-src": [checksum(script)]} if script else {})
    assert content == page("title", "<main></main>", script, {"a": "</script><b>"})
    if script:
        assert json.loads(by_id(tree, "data").text) == {"a": "</script><b>"}
    else:
        assert list(tree.iter("script")) == []


def test_nothing_but_text_comes_of_what_is_from_outside():
    tree = tree_of(page(HOSTILE, f"<main>{text(HOSTILE)}</main>"))
    escaped = "<script>alert(1)</script>&\"'\\x1b[2J\\n$style ${title} \\u202e"
    assert next(tree.iter("title")).text == next(tree.iter("main")).text == escaped
    assert text(b"\xff") == r"\udcff"


def test_a_picture_is_the_image_in_16_greys():
    image = np.random.default_rng(0).integers(256, size=784, dtype=np.uint8)
    element = next(tree_of(f"<p>{picture(image)}</p>".encode()).iter("img"))
    assert element.get("alt") == ""
    assert (pixels_of(element) == np.rint(image.reshape(28, 28) / 17) * 17).all()
    assert len(picture(image)) < 700


def test_tables_name_their_rows_and_columns_and_can_be_scrolled_to():
    tree = tree_of(table(["class", "recall"], [["a", "1"], ["b", "0"]], "Figures").encode())
    assert (tree.get("tabindex"), tree.get("aria-label")) == ("0", "Figures")
    assert [(head.get("scope"), head.text) for head in tree.iter("th")] == [
        ("col", "class"), ("col", "recall"), ("row", "a"), ("row", "b"),
    ]  # fmt: skip


def test_a_share_is_a_number_of_percent():
    assert re.sub(r"\s", "_", f"{percent(0.99537)} {percent(1, 0)} {percent(0.5, 2)}") == "99.5_%_100_%_50.00_%"


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    write_page(tmp_path / "p.html", b"old")
    with pytest.raises(OutputError, match=r"none/p\.html: .*expected a writable place"):
        write_page(tmp_path / "none" / "p.html", b"new")
    assert (tmp_path / "p.html").read_bytes() == b"old"
