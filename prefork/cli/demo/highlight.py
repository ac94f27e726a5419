"""The handler of the demo: source code in, coloured HTML out; pure Python, all of it CPU.

Hashing would not show the point: it releases the interpreter's lock, so threads would do as well.
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
    """A source file of moderate size that every installation has."""
    return Path(queue.__file__).read_bytes()


def as_html(source: bytes) -> bytes:
    return highlight(source.decode(), _lexer, _formatter).encode()


class Highlight(StreamRequestHandler):
    """Reads to the end of the stream and answers with HTML; `prefork serve` can serve it too."""

    def handle(self) -> None:
        self.wfile.write(as_html(self.rfile.read()))


as_html(sample())  # what is done once is done before the first fork
