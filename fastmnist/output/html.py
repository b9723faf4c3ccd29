"""An HTML file that loads nothing: its style, its script, what the script reads and all pictures are within it.

A content security policy allows the file's own style and script, by their checksums, pictures within it, and nothing
else.
"""

import base64
import hashlib
import json
from pathlib import Path
from string import Template
from typing import Any

from fastmnist.version import __version__

_TEMPLATE = Path(__file__).parent / "page.html"


def html_file(title: str, body: str, style: str, script: str = "", data: Any = None) -> bytes:
    """Return a whole HTML file.

    `title` and `body` are HTML, `style` CSS, `script` JavaScript, which finds `data` as JSON in the element of this
    name.
    """
    allowed = f"script-src {_checksum(script)}; " if script else ""
    return (
        Template(_TEMPLATE.read_text(encoding="utf-8"))
        .substitute(
            policy=f"default-src 'none'; {allowed}style-src {_checksum(style)}; img-src data:; base-uri 'none'; "
            "form-action 'none'",
            version=__version__,
            title=title,
            style=style,
            body=body,
            script=f"{_data(data)}<script>{script}</script>\n" if script else "",
        )
        .encode()
    )


def _data(data: Any) -> str:
    """Return what a script reads, in which nothing ends the element."""
    content = json.dumps(data).replace("<", r"\u003c")
    return f'<script type="application/json" id="data">{content}</script>\n'


def _checksum(content: str) -> str:
    """Return a source expression for what has this content (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
