"""The handler of the demo turns source code into coloured HTML, in pure Python, with CPU only.

Hashing would not make the point: it releases the GIL, so threads would be just as fast.
"""

from __future__ import annotations

import queue
from pathlib import Path

from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from prefork.socketserver import StreamRequestHandler

_lexer = PythonLexer()
_formatter: HtmlFormatter[str] = HtmlFormatter()


def sample() -> bytes:
    """Return a source file of moderate size that every installation has."""
    return Path(queue.__file__).read_bytes()


def as_html(source: bytes) -> bytes:
    return highlight(source.decode(), _lexer, _formatter).encode()


class Highlight(StreamRequestHandler):
    """Reads to the end of the stream and answers with HTML; `prefork serve` can serve it too."""

    def handle(self) -> None:
        self.wfile.write(as_html(self.rfile.read()))


as_html(sample())  # one-time initialization happens before the first fork
