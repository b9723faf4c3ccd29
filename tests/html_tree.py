"""An HTML file as a tree; every element that is opened must be closed, or something is in it that is not escaped."""

import base64
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import cv2
import numpy as np

VOID = {"br", "img", "input", "link", "meta"}


class _Builder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.builder, self.open = ET.TreeBuilder(), []

    def handle_starttag(self, tag, attributes):
        self.builder.start(tag, {name: value or "" for name, value in attributes})
        if tag in VOID:
            self.builder.data("\n" if tag == "br" else "")
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.builder.start(tag, dict(attributes))
        self.builder.end(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data):
        if self.open:
            self.builder.data(data)


def tree_of(content):
    """The root of a page, bytes."""
    parser = _Builder()
    parser.feed(content.decode())
    parser.close()
    assert parser.open == []
    return parser.builder.close()


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def by_id(tree, name):
    return next(element for element in tree.iter() if element.get("id") == name)


def facts_of(element):
    """The names and values of the lists of definitions below an element."""
    return {
        text_of(row.find("dt")): text_of(row.find("dd")) for row in element.iter("div") if row.find("dt") is not None
    }


def rows_of(element):
    """The body of the first table below an element: the name of each row, and its cells."""
    body = next(element.iter("tbody"))
    return {text_of(row.find("th")): [text_of(cell) for cell in row.findall("td")] for row in body.iter("tr")}


def pixels_of(image):
    """The picture of an img element, uint8 (height, width)."""
    kind, _, content = image.get("src").partition(",")
    assert kind == "data:image/png;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)
