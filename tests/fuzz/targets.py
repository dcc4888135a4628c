"""What else is fuzzed: functions that take what others wrote, each with the only errors that it may raise.

A target takes octets. Whatever escapes it is a finding.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from agent import config, hook_address, plugins
from agent.upstreams.mobsms import rows
from drivers import sms
from drivers.at.parser import Parser
from tests.fuzz import answers, environment, local_server, mqtt, own
from tests.fuzz import target as dialogue
from tests.fuzz.engine import Ready, Target, pure
from tests.fuzz.mutate import CORPUS as DIALOGUES

_DEVICE = rows.Device(1, None, 0.0, None, True)


def pdu(data: bytes) -> None:
    """The decoder of TPDUs, in both directions, and of WAP pushes."""
    text = data.hex()
    for decode in (sms.decode_any, sms.decode_incoming):
        with suppress(sms.DecodeError):
            decode(sms.parse_hex(text))
    with suppress(sms.DecodeError):
        sms.decode_push(data)


@contextmanager
def _configuration() -> Iterator[Ready]:
    """Any TOML document is a configuration whose upstreams can be made, or one sentence of what is wrong with it."""
    with own.gateway() as there:

        def execute(data: bytes) -> None:
            try:
                raw = tomllib.loads(data.decode(errors="replace"))
            except (tomllib.TOMLDecodeError, RecursionError):
                return
            with suppress(config.ConfigError):
                for settings in config.parse(raw).upstreams:
                    plugins.load_upstream(settings.type)(settings, there.gateway)

        yield Ready(execute, _CONFIGURATIONS)


def mobsms(data: bytes) -> None:
    """The documents of a MobSMS server."""
    document: Any = _json(data)
    with suppress(rows.Malformed):
        rows.own_device(rows.devices(document), "phonebridge")
    with suppress(rows.Malformed):
        for job in rows.pending(rows.page(document).rows, _DEVICE, "phonebridge").jobs:
            # What becomes a job goes into the journal: text that no database takes must not come through.
            f"{job.recipient}{job.text}{job.remote_id}".encode()


def hook(data: bytes) -> None:
    """The address of a webhook."""
    url = data.decode(errors="replace")
    if hook_address.problem_of(url) is None:
        hook_address.host_of(url)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


_CONFIGURATIONS = (
    b'[agent]\nstate_dir = "/x"\n[[route]]\nname = "a"\nport = "/dev/ttyUSB0"\nsim_slot = 0\n',
    b'[[upstream]]\ntype = "mobsms"\napi_key = "1|x"\n[retention]\nsent_days = 1.5\n',
    b'[[upstream]]\ntype = "local"\nbind = "127.0.0.1:8080"\n[alerts]\nsms_to = ["+49170123"]\n',
    b'[[route]]\nname = "b"\nfallback = "a"\nquiet_hours = "22:00-07:00"\ncosts = { "+33" = 0.1 }\n',
    b'[[upstream]]\ntype = "smsgate"\nbase_url = "https://a.example/mobile/v1"\nprivate_token_file = "/x"\n',
    b'[[upstream]]\ntype = "mqtt"\nurl = "mqtt://a.example"\nca_file = "/x"\n[metrics]\nbind = "[::1]:9"\n',
    b'[[upstream]]\ntype = "mobsms"\napi_key_file = "/a\\u0000b"\n',
)
_OWN: dict[str, Target] = {
    "parser": pure(partial(dialogue.execute, veteran=Parser()), *(bytes(4) + one for one in DIALOGUES)),
    "pdu": pure(
        pdu,
        bytes.fromhex("07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"),
        bytes.fromhex("07917248014000F506B70AA18092020000317071518590803170715185418000"),
        bytes.fromhex("0011000B916407281553F80000AA0AE8329BFD4697D9EC37"),
        bytes.fromhex("01060B03AE81EA8DCA02056A0045C60C037777772E612E636F6D000801036869000101"),
    ),
    "config": _configuration,
    "mobsms": pure(
        mobsms,
        b'[{"id": 1, "device_id": "phonebridge", "send_delay_seconds": 1e3, "default_sim_slot": "0"}]',
        b'{"data": [{"id": 7, "recipient_number": "+49", "message": "\\ud83d", "priority": 9}], "total": 51}',
        b'{"data": [{"id": "x", "created_at": "2026-06-08T10:00:00Z", "valid_for_s": "1e999"}], "total": 0}',
    ),
    "hook": pure(hook, b"http://[::1]:80/a", b"https://example.com:443/x?y#z", b"http://user:pw@10.0.0.1/"),
}
TARGETS: Mapping[str, Target] = MappingProxyType(
    {**_OWN, **environment.TARGETS, **mqtt.TARGETS, **answers.TARGETS, **local_server.TARGETS}
)
