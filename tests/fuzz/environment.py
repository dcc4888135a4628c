"""What stands in the environment and in files of secrets, on top of a configuration that is right."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent import config, plugins
from tests.fuzz import own
from tests.fuzz.engine import Ready, Target

_FILE = """
[agent]
state_dir = "/var/lib/phonebridge"
[[route]]
name = "sim0"
port = "/dev/ttyUSB0"
[[upstream]]
type = "mobsms"
api_key_file = "SECRET"
[[upstream]]
type = "smsgate"
base_url = "https://gate.example/api/mobile/v1"
private_token_file = "SECRET"
[[upstream]]
type = "local"
api_key_file = "SECRET"
[[upstream]]
type = "mqtt"
url = "mqtts://broker.example"
username = "u"
password_file = "SECRET"
"""


@contextmanager
def _variables() -> Iterator[Ready]:
    before = dict(os.environb)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.toml"
        file.write_text(_FILE.replace("SECRET", f"{directory}/key"))

        def execute(data: bytes) -> None:
            given = {}
            for line in data.split(b"\n"):
                name, _, value = line.partition(b"=")
                # What no system lets into an environment.
                if name and b"\0" not in line:
                    given[b"PHONEBRIDGE_" + name] = value
            os.environb.update(given)
            try:
                with suppress(config.ConfigError):
                    config.load(file)
                with suppress(config.ConfigError):
                    config.state_dir(file)
            finally:
                for name in given:
                    if name in before:
                        os.environb[name] = before[name]
                    else:
                        del os.environb[name]

        yield Ready(execute, _LINES)


@contextmanager
def _secrets() -> Iterator[Ready]:
    """Upstreams read their secrets when they are made."""
    with own.gateway() as there:
        key = there.directory / "key"
        file = there.directory / "config.toml"
        file.write_text(_FILE.replace("SECRET", str(key)))
        upstreams = config.load(file).upstreams

        def execute(data: bytes) -> None:
            key.write_bytes(data)
            for settings in upstreams:
                with suppress(config.ConfigError):
                    upstream = plugins.load_upstream(settings.type)(settings, there.gateway)
                    upstream.identity().encode()

        yield Ready(execute, _KEYS)


_LINES = (
    b'AGENT__STATE_DIR=/x\nAGENT__MAX_PARTS=7\nAGENT__ALLOW_PREFIXES=["+49"]',
    b"UPSTREAM__MOBSMS__API_KEY=1|x\nUPSTREAM__LOCAL__BIND=127.0.0.1:8081",
    b"ROUTE__SIM0__PIN=1234\nROUTE__SIM0__SEND_DELAY_S=1.5\nROUTE__SIM0__STATUS_REPORTS=false",
    b'RETENTION__SENT_DAYS=30\nALERTS__SMS_TO=["+491701234567"]\nMETRICS__BIND=127.0.0.1:9100',
    b'AGENT={"max_parts": 3}',
    b'UPSTREAM={"mobsms": {"api_key": "x"}}',
)
_KEYS = (b"1|0123456789abcdef\n", b"\xef\xbb\xbfkey", "Schlüssel".encode(), b"a b\r\nc")

TARGETS: dict[str, Target] = {"environment": _variables, "secrets": _secrets}
