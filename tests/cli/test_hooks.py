"""`phonebridge hooks` against a real daemon and a receiver that really listens."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.cli.conftest import Cli, Outcome, Running


class _Receiver(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    got: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"out of order" if self.status >= 300 else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        _Receiver.status, _Receiver.got = 200, []
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        server.shutdown()
        thread.join()


def test_a_webhook_is_tried_listed_and_called_again_by_hand(cli: Cli, daemon: Running, receiver: str) -> None:
    def ask(*arguments: str) -> Outcome:
        return cli("hooks", *arguments, "-c", str(daemon.config))

    taken = ask("test", receiver)
    assert taken.code == 0 and "taken: 200" in taken.out
    secret = ask("secret").out.strip()
    assert len(secret) == 64 and _Receiver.got[0]["x-phonebridge-signature"]
    _Receiver.status = 500
    refused = ask("test", receiver)
    assert refused.code == 1 and "it answered 500 (out of order)" in refused.out
    rows = ask("list", "--json").json["deliveries"]
    assert [(row["state"], row["last_status"], row["message"]) for row in rows[:2]] == [
        ("given_up", 500, None), ("done", 200, None),
    ]  # fmt: skip
    assert "it answered 500" in ask("list", "--state", "given_up").out
    _Receiver.status = 200
    assert ask("replay", str(rows[0]["id"])).code == 0
    assert ask("replay", "999999").code == 1
    assert ask("test", "http://169.254.169.254/").code == 2
    assert ask("list", "--state", "nonsense").code == 2
    assert ask("secret", "--rotate").out.strip() != secret
