"""What all pages have in common: their style, and pictures within them.

Whatever comes from outside (paths, class names, messages) goes through `text`.
"""

import base64
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastmnist.errors import AnyPath, printable
from fastmnist.model.network import Uint8
from fastmnist.output.atomic import atomic_file
from fastmnist.output.html import html_file
from fastmnist.output.png import encode_png
from fastmnist.shapes import SIDE

_HERE = Path(__file__).parent


def page(title: str, body: str, script: str = "", data: Any = None) -> bytes:
    """Return a whole page.

    `title` is plain text, `body` HTML, `script` JavaScript, which finds `data` as JSON in the element of this name.
    """
    return html_file(text(title), body, source("style.css"), script, data)


def write_page(path: AnyPath, content: bytes) -> None:
    """Write a page, atomically. Raises OutputError."""
    with atomic_file(path) as file:
        file.write(content)


def filled(template: str, **parts: str) -> str:
    """Return a template of this folder with its `$names` replaced by HTML."""
    return Template(source(template)).substitute(parts)


def source(name: str) -> str:
    """Return the text of a file of this folder."""
    return (_HERE / name).read_text(encoding="utf-8")


def text(content: AnyPath) -> str:
    """Return a path or any other text as HTML, in which it is nothing but text."""
    return escape(printable(content))


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as in 99.5 %, with a space that breaks no line."""
    return f"{100 * share:.{decimals}f}\N{NO-BREAK SPACE}%"


def picture(pixels: Uint8) -> str:
    """Return an image (784,) as HTML, beside which a text says what it shows.

    It has 16 greys, so that any 10,000 images are less than 7 MB.
    """
    content = base64.b64encode(encode_png(pixels.reshape(SIDE, SIDE), bits=4)).decode()
    return f'<img alt="" src="data:image/png;base64,{content}">'


def table(head: list[str], rows: list[list[str]], caption: str) -> str:
    """Return a table whose first column names the rows; all is HTML."""
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>\n'
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>\n"
    )


def facts(known: list[tuple[str, str]]) -> str:
    """Return the inside of a list of definitions: a name, as plain text, and a value, as HTML, each."""
    return "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>\n" for name, value in known)


def error_list(errors: list[str], n_errors: int) -> str:
    """Return lines, plain text, about images that can't be read, the first of `n_errors`; "" if there is none."""
    if not errors:
        return ""
    lines = "".join(f"<li>{text(error)}</li>\n" for error in errors)
    more = f"<li>and {n_errors - len(errors):,} more</li>\n" if n_errors > len(errors) else ""
    return f'<h3>Images that can&rsquo;t be read</h3>\n<ul class="errors">\n{lines}{more}</ul>\n'
