"""phonebridge itself, as its users run it: the command, a configuration file, and the local server or MobSMS."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contender import Contender, recipient
from tests.mobsms_server.http1 import reserve_port
from tests.mobsms_server.process import MobSmsServer

KEY = "key-of-the-benchmark-0123456789abcdef"


class Phonebridge(Contender):
    """With the local server: messages come by POST /api/sms/bulk, inbound goes by webhook to `hooks`."""

    name = "phonebridge"

    def __init__(self, hooks: MobSmsServer | None = None) -> None:
        super().__init__()
        self._hooks = hooks
        self._port = 0
        self._connection: http.client.HTTPConnection | None = None

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        with reserve_port("127.0.0.1") as reserved:
            self._port = reserved.getsockname()[1]
        answer = "true" if reports else "false"
        lines = ["[agent]", f'state_dir = "{directory}/state"', 'clock = "trusted"']
        for number, port in enumerate(ports):
            lines += ["[[route]]", f'name = "sim{number}"', f'port = "{port}"', f"status_reports = {answer}"]
        lines += self._upstream()
        configuration = directory / "config.toml"
        configuration.write_text("\n".join(lines) + "\n")
        configuration.chmod(0o600)

    def command(self) -> list[str]:
        program = Path(sys.executable).with_name("phonebridge")
        return [str(program), "run", "-c", str(self.directory / "config.toml")]

    def stop(self) -> None:
        self._hang_up()
        super().stop()

    def is_ready(self) -> bool:
        try:
            self.call("GET", "/api/user")
        except OSError:
            self._hang_up()
            return False
        if self._hooks is not None:
            self.call("PUT", "/api/webhooks", {"webhook_url_incoming": self._hooks.hook_url})
        return True

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        for start in range(0, len(texts), 5000):
            numbers = [f"+{recipient(first + start + n)}" for n in range(len(texts[start : start + 5000]))]
            self.call("POST", "/api/sms/bulk", {"message": texts[start], "recipients": numbers})

    def send(self, text: str, number: int) -> None:
        """One message by POST /api/sms; returns with the answer."""
        self.call("POST", "/api/sms", {"message": text, "recipient_number": f"+{recipient(number)}"})

    def inbound(self) -> int:
        assert self._hooks is not None
        return len(self._hooks.log("hook"))

    def inbound_at(self, number: int) -> float | None:
        assert self._hooks is not None
        return float(self._hooks.log("hook")[number]["mono_s"])

    def call(self, method: str, path: str, body: object = None) -> object:
        """A request of the MobSMS API. Raises: OSError, AssertionError where it is refused."""
        return json.loads(self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        """On a connection that is kept."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _upstream(self) -> list[str]:
        return ["[[upstream]]", 'type = "local"', f'bind = "127.0.0.1:{self._port}"', f'api_key = "{KEY}"']


class Counting(Phonebridge):
    """It tells its own figures, too."""

    def commits(self) -> int:
        """Transactions of the journal so far that wrote something."""
        lines = self._ask("GET", "/metrics").decode().splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith("phonebridge_journal_commits_total "))
        return round(float(value))

    def _upstream(self) -> list[str]:
        return ["[metrics]", "enabled = true", *super()._upstream()]


class Agent(Phonebridge):
    """Without a server of its own: the phone of a MobSMS server, with the default times between two polls."""

    name = "phonebridge, as a MobSMS phone"
    keeps_messages = True

    def __init__(self, server: MobSmsServer) -> None:
        super().__init__(server)
        self._server = server

    def _upstream(self) -> list[str]:
        lines = ["[[upstream]]", 'type = "mobsms"', f'base_url = "{self._server.url}"']
        lines += [f'api_key = "{self._server.key}"', 'device_id = "bench"']
        if self._server.certificates is not None:
            lines.append(f'ca_file = "{self._server.certificates.ca}"')
        return lines

    def is_ready(self) -> bool:
        return True

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        rows = [{"recipient_number": f"+{recipient(first + n)}", "message": text} for n, text in enumerate(texts)]
        self._server.enqueue(messages=rows, device="bench")
