"""Parses the arguments that `prefork bench` and `prefork tune` share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclopts import Parameter, Token

from prefork.cli import addresses, values
from prefork.cli.addresses import Address
from prefork.cli.outcomes import Refusal

ANY_PORT = Address("tcp", "127.0.0.1")
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.|$)", re.DOTALL)


def option(read: Callable[[str], Any], metavar: str) -> Parameter:
    """Return an option with one argument; `read` raises a `ValueError` that says what is wrong."""

    def convert(_: Any, tokens: Sequence[Token]) -> object:
        try:
            return read(tokens[0].value)
        except ValueError as error:
            raise Refusal(f"{values.place(tokens[0])}: {error}") from None

    return Parameter(
        converter=convert,
        n_tokens=1,
        accepts_keys=False,
        metavar=metavar,
        negative=(),
        show_default=False,
    )


def request_of(text: str) -> bytes:
    """Return the content of the file of this name, or the text itself with escapes replaced."""
    if os.path.isfile(text):  # unlike Path's, it accepts any string
        try:
            return Path(text).read_bytes()
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}.") from None
    return ESCAPE.sub(_replaced, text.encode(errors="surrogateescape"))


def _replaced(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    if what[:1] == b"x" and len(what) == 3:
        return bytes.fromhex(what[1:].decode())
    if what in ESCAPES:
        return ESCAPES[what]
    raise ValueError(
        f"unknown escape {escape[0].decode(errors='replace')!r}; the escapes are \\r, \\n, \\t, "
        "\\0, \\\\ and \\xHH."
    )


def counts_of(text: str) -> tuple[int, ...]:
    """Parse numbers of workers, separated by commas; return them sorted.

    Errors: `ValueError`.
    """
    numbers = listed(text)
    for number in numbers:
        if not (number.isascii() and number.isdigit() and int(number)):
            raise ValueError(
                "it must be a comma-separated list of whole numbers >= 1, such as 1,2,4."
            )
    return tuple(sorted({int(number) for number in numbers}))


def listed(text: str) -> list[str]:
    """Return the words between commas."""
    return [word.strip() for word in text.split(",")]


def bind_of(text: str) -> Address:
    """Parse an address that many servers can have, with any port or any path.

    Errors: `ValueError`.
    """
    if text.removesuffix("://") in ("unix", "unixgram"):
        return Address(text.removesuffix("://"))
    if text in ("tcp", "udp"):
        return replace(ANY_PORT, scheme=text)
    address = addresses.parse(text)
    if not address.is_ip:
        raise ValueError(
            f"each server gets its own path in a temporary folder; use {address.scheme}."
        )
    if address.port:
        host = f"[{address.host}]" if ":" in address.host else address.host
        raise ValueError(f"each server gets its own free port; use {address.scheme}://{host}:0.")
    return address
