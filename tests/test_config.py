"""The configuration: every mistake is one sentence that names the key and the nearest right one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import config
from agent.config import ConfigError
from agent.settings import Config
from drivers.settings import Secret

MINIMAL = """
[[route]]
name = "sim0"
port = "/dev/ttyUSB0"

[[route]]
name = "sim-1"
port = "/dev/ttyUSB1"

[[upstream]]
type = "mobsms"
api_key = "1|abc"
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PHONEBRIDGE_"):
            monkeypatch.delenv(name)


def loaded(tmp_path: Path, text: str, mode: int = 0o600) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return config.load(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    sentence = str(caught.value)
    assert "\n" not in sentence.strip()
    return sentence


def test_minimal_file_has_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path, MINIMAL)
    assert [route.name for route in found.routes] == ["sim0", "sim-1"]
    assert found.routes[0].settings.driver == "at"
    assert found.routes[0].driver.baud_rate == 115200
    assert [upstream.name for upstream in found.upstreams] == ["mobsms"]
    assert found.agent.state_dir == Path("/var/lib/phonebridge")
    assert found.warnings == ()


def test_empty_file_is_a_gateway_without_routes(tmp_path: Path) -> None:
    found = loaded(tmp_path, "")
    assert (found.routes, found.upstreams) == ((), ())


def test_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[agent]\r\nmax_parts = 3\r\n")
    assert config.load(path).agent.max_parts == 3


ROUTE = '[[route]]\nname = "a"\nport = "/dev/ttyUSB0"\n'
SECOND = '[[route]]\nname = "b"\nport = "/dev/ttyUSB1"\n'
TWIN = SECOND.replace("ttyUSB1", "ttyUSB0")
SERVER = '[[upstream]]\ntype = "mobsms"\napi_key = "k"\n'

MISTAKES = [
    pytest.param("[agnet]\n", 'agnet: there is no key "agnet"; did you mean "agent"?', id="section"),
    pytest.param("[zzz]\n", "known are", id="section-unlike-any"),
    pytest.param(
        '[agent]\nstate_dri = "/x"\n',
        'agent.state_dri: there is no key "state_dri"; did you mean "state_dir"?',
        id="agent-key",
    ),
    pytest.param("[retention]\npartial_after = 3\n", 'did you mean "partial_after_h"?', id="retention-key"),
    pytest.param(
        ROUTE + "send_delay = 3\n",
        'route[a].send_delay: there is no key "send_delay"; did you mean "send_delay_s"?',
        id="route-key",
    ),
    pytest.param(ROUTE + "baudrate = 9600\n", 'did you mean "baud_rate"?', id="driver-key"),
    pytest.param(
        '[[route]]\nname = "a"\nprot = "/dev/ttyUSB0"\n', 'did you mean "port"?', id="required-driver-key-misspelt"
    ),
    pytest.param(
        '[[route]]\nnmae = "a"\nport = "/dev/ttyUSB0"\n', 'did you mean "name"?', id="required-route-key-misspelt"
    ),
    pytest.param(
        SERVER + 'base_ulr = "http://x"\n',
        'upstream[mobsms].base_ulr: there is no key "base_ulr"; did you mean "base_url"?',
        id="upstream-key",
    ),
    pytest.param('[[route]]\nport = "/dev/ttyUSB0"\n', "route[0].name is missing", id="route-without-name"),
    pytest.param('[[route]]\nname = "a"\n', "route[a].port is missing", id="route-without-port"),
    pytest.param(
        '[[upstream]]\napi_key = "k"\n', "upstream[0].type is missing; use one of", id="upstream-without-type"
    ),
    pytest.param("[[upstream]]\ntype = 3\n", "upstream[0].type is missing; use one of", id="type-is-no-text"),
    pytest.param('[[upstream]]\ntype = "mobsmss"\n', 'did you mean "mobsms"?', id="upstream-type"),
    pytest.param(ROUTE + 'driver = "att"\n', 'route[a].driver: there is no driver "att"', id="driver"),
    pytest.param('[route]\nname = "a"\n', "write [[route]] above its keys", id="table-for-list"),
    pytest.param(
        SERVER + f'ca_file = "/{"a" * 300}"\n', "cannot be reached: File name too long", id="file-out-of-reach"
    ),
    pytest.param(
        f'[[upstream]]\ntype = "mqtt"\nurl = "mqtt://a"\nca_file = "/{"a" * 300}"\n',
        "cannot be reached: File name too long",
        id="broker's-file-out-of-reach",
    ),
    pytest.param(
        '[[upstream]]\ntype = "mobsms"\napi_key_file = "/a\\u0000"\n',
        "upstream[mobsms].api_key_file: holds a NUL character",
        id="no-name-of-a-file",
    ),
    pytest.param("agent = 3\n", "write [agent] above its keys", id="value-for-table"),
    pytest.param('[agent]\nmax_parts = "many"\n', "agent.max_parts: should be a valid integer", id="text-for-number"),
    pytest.param(
        "[agent]\nmax_parts = 999\n", "agent.max_parts: should be less than or equal to 255, not 999", id="too-large"
    ),
    pytest.param("[agent]\nunknown_wait_s = nan\n", "agent.unknown_wait_s: should be", id="not-a-number"),
    pytest.param("[agent]\nstate_dir = 3\n", "agent.state_dir: ", id="number-for-path"),
    pytest.param('[agent]\non_unknown = "retry"\n', "'resend' or 'fail', not 'retry'", id="choice"),
    pytest.param('[agent]\ntimezone = "Berlin"\n', 'use a name such as "Europe/Berlin"', id="time-zone"),
    pytest.param('[agent]\ndefault_region = "de"\n', "two capital letters", id="region"),
    pytest.param(ROUTE + 'quiet_hours = "22-7"\n', "\"22:00-07:00\", not '22-7'", id="quiet-hours"),
    pytest.param(ROUTE + 'port = "COM3"\n', "is not valid TOML", id="key-twice"),
    pytest.param('[[route]]\nname = "a"\nport = "COM3"\n', "route[a].port: is a path under /dev", id="port"),
    pytest.param(
        '[[route]]\nname = "a b"\nport = "/dev/x"\n',
        "route[a b].name: should be up to 32 letters",
        id="name-with-space",
    ),
    pytest.param(ROUTE + 'prefixes = "+49"\n', "route[a].prefixes: ", id="text-for-list"),
    pytest.param(ROUTE + ROUTE, 'two routes are called "a"', id="same-route-name"),
    pytest.param(SERVER + SERVER, 'two upstreams are called "mobsms"', id="same-upstream-name"),
    pytest.param(
        ROUTE + "sim_slot = 1\n" + SECOND + "sim_slot = 1\n", "route[b].sim_slot 1 is taken by route a", id="same-slot"
    ),
    pytest.param(
        ROUTE + TWIN,
        "route[a] and route[b] have the same port /dev/ttyUSB0; where its modem has two SIM cards, set modem_sim = 1 "
        "in one of them and modem_sim = 2 in the other, else give each its own port",
        id="same-port",
    ),
    pytest.param(ROUTE + "modem_sim = 1\n" + TWIN, "set modem_sim = 1 in one of them", id="one-sim-of-two"),
    pytest.param(
        ROUTE + "modem_sim = 1\n" + TWIN + "modem_sim = 1\n", "are both modem_sim = 1 of /dev/ttyUSB0", id="same-sim"
    ),
    pytest.param(ROUTE + "modem_sim = 3\n", "route[a].modem_sim: should be 1 or 2, not 3", id="third-sim"),
    pytest.param(
        ROUTE + "modem_sim = 1\n" + TWIN + "modem_sim = 2\nbaud_rate = 9600\n", "differ in baud_rate", id="two-rates"
    ),
    pytest.param(
        ROUTE + "modem_sim = 1\nvisit_every_s = 20\n" + TWIN + "modem_sim = 2\n",
        "visit_every_s of one (20 s) must be longer than dwell_s of the other (30 s)",
        id="dwell-too-long",
    ),
    pytest.param(
        ROUTE + 'fallback = "c"\n' + SECOND, 'route[a].fallback: there is no route "c"', id="fallback-unknown"
    ),
    pytest.param(ROUTE + 'fallback = "a"\n' + SECOND, "route[a].fallback: ", id="fallback-to-itself"),
    pytest.param(SERVER + 'name = "cli"\n', "give another name", id="reserved-name"),
    pytest.param('[[upstream]]\ntype = "mobsms"\n', "api_key", id="server-without-key"),
    pytest.param("[agent\n", "is not valid TOML", id="broken-toml"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_mistake_is_one_sentence_with_the_key(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_secret_of_the_wrong_form_is_not_repeated(tmp_path: Path) -> None:
    assert "99" not in refusal(tmp_path, ROUTE + 'pin = "99"\n')
    assert "1234567" not in refusal(tmp_path, ROUTE + "pin = 1234567\n")


def test_missing_file_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; copy"):
        config.load(tmp_path / "none.toml")


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path)


def test_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        config.load(path)


# --- the environment --------------------------------------------------------------------------------


def test_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEBRIDGE_AGENT__STATE_DIR", str(tmp_path / "here"))
    monkeypatch.setenv("PHONEBRIDGE_AGENT__MAX_PARTS", "7")
    monkeypatch.setenv("PHONEBRIDGE_UPSTREAM__MOBSMS__API_KEY", "from-outside")
    monkeypatch.setenv("PHONEBRIDGE_ROUTE__SIM_1__PREFIXES", '["+49"]')
    found = loaded(tmp_path, MINIMAL)
    assert found.agent.state_dir == tmp_path / "here"
    assert found.agent.max_parts == 7
    assert found.upstreams[0].api_key.get_secret_value() == "from-outside"
    assert found.routes[1].settings.prefixes == ("+49",)


@pytest.mark.parametrize("key", ["12345", "true", "null", "1e3", '{"a": 1}', "[1"])
def test_key_from_the_environment_stays_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PHONEBRIDGE_UPSTREAM__mobsms__API_KEY", key)
    assert loaded(tmp_path, MINIMAL).upstreams[0].api_key.get_secret_value() == key


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PHONEBRIDGE_AGNET__STATE_DIR", 'did you mean "AGENT"?'),
        ("PHONEBRIDGE_AGENT__STATE_DRI", 'did you mean "state_dir"?'),
        ("PHONEBRIDGE_AGENT__MAX_PARTS", "agent.max_parts: should be a valid integer"),
        ("PHONEBRIDGE_UPSTREAM__MOBSM__API_KEY", 'did you mean "mobsms"?'),
        ("PHONEBRIDGE_UPSTREAM__MOBSMS", "names no key"),
        ("PHONEBRIDGE_ROUTE__SIM9__PORT", 'there is no route "sim9"'),
        ("PHONEBRIDGE_AGENT", "the environment"),
    ],
)
def test_mistake_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
    monkeypatch.setenv(name, "x")
    assert words in refusal(tmp_path, MINIMAL)


def test_a_variable_in_no_utf_8_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEBRIDGE_AGENT__DEVICE_NAME", os.fsdecode(b"caf\xe9"))
    assert "PHONEBRIDGE_AGENT__DEVICE_NAME is not in UTF-8" in refusal(tmp_path, MINIMAL)


def test_variables_that_are_no_keys_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEBRIDGE_TRACEBACK", "1")
    assert loaded(tmp_path, MINIMAL).routes


def test_state_dir_is_found_in_a_file_that_is_wrong_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[agent]\nstate_dir = "/srv/sms"\n[[route]]\nbad = 1\n')
    assert config.state_dir(path) == Path("/srv/sms")
    monkeypatch.setenv("PHONEBRIDGE_AGENT__STATE_DIR", "/srv/other")
    assert config.state_dir(path) == Path("/srv/other")


# --- secrets ----------------------------------------------------------------------------------------


def test_secret_in_place_or_by_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")
    assert config.secret(Secret("direct"), None, "x.api_key") == "direct"
    assert config.secret(None, file, "x.api_key") == "from-file"
    assert config.secret(None, None, "x.api_key") is None


def test_secret_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        config.secret(Secret("a"), tmp_path, "x.api_key")
    with pytest.raises(ConfigError, match=r"x\.api_key_file: .* cannot be read"):
        config.secret(None, tmp_path / "none", "x.api_key")
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file"):
        config.secret(None, tmp_path / "key", "x.api_key")


def test_file_with_a_secret_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    assert loaded(tmp_path, MINIMAL, 0o640).warnings == ()
    (warning,) = loaded(tmp_path, MINIMAL, 0o644).warnings
    assert "chmod o-r" in warning and "1|abc" not in warning
    assert loaded(tmp_path, ROUTE, 0o644).warnings == ()


def test_secret_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o644)
    found = loaded(tmp_path, f'[[upstream]]\ntype = "mobsms"\napi_key_file = "{key}"\n', 0o644)
    assert found.warnings == (f"{key} holds a secret and others can read it; run: chmod o-r {key}",)


def test_two_sims_of_one_modem_share_a_port(tmp_path: Path) -> None:
    found = loaded(tmp_path, ROUTE + "modem_sim = 1\n" + TWIN + "modem_sim = 2\n")
    assert [(route.driver.port, route.driver.modem_sim) for route in found.routes] == [
        ("/dev/ttyUSB0", 1),
        ("/dev/ttyUSB0", 2),
    ]


def test_a_secrets_file_out_of_reach_is_for_whoever_reads_it_to_say(tmp_path: Path) -> None:
    assert loaded(tmp_path, f'[[upstream]]\ntype = "mobsms"\napi_key_file = "/{"a" * 300}"\n').warnings == ()
