"""The rpyc service of both servers."""

from __future__ import annotations

import rpyc


class EchoService(rpyc.Service):  # type: ignore[misc]
    def exposed_echo(self, text: str) -> str:
        return text
