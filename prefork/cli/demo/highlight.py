"""The job of the demo: source code in, HTML with colours out; pure Python, nothing but CPU.

Hashing would not do for this: it releases the interpreter's lock, and threads would look good.
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

END = b"</pre></div>\n"
"""How every answer ends."""


def sample() -> bytes:
    """A source file of moderate size that every machine has."""
    return Path(queue.__file__).read_bytes()


def as_html(source: bytes) -> bytes:
    return highlight(source.decode(), _lexer, _formatter).encode()


class Highlight(StreamRequestHandler):
    """Reads to the end of the stream, answers with HTML: `prefork serve` can serve it, too."""

    def handle(self) -> None:
        self.wfile.write(as_html(self.rfile.read()))
