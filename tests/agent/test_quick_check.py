"""The quick check says yes only to what pydantic takes, and makes the same of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent import config, plugins
from agent.alerts.settings import AlertSettings
from agent.metrics.settings import MetricsSettings
from agent.quick_check import Undecided, checked
from agent.settings import AgentSettings, RetentionSettings, RouteSettings

_SETTINGS = {
    kind.__name__: kind
    for kind in (
        AgentSettings,
        AlertSettings,
        MetricsSettings,
        RetentionSettings,
        RouteSettings,
        *(plugins.settings_of(group, name) for group in (plugins.DRIVERS, plugins.UPSTREAMS)
          for name in plugins.names(group)),
    )
}  # fmt: skip
# What the keys of any section want, its borders, and what TOML can say beside.
_TEXTS = (
    "", "a", "sim0", "/dev/ttyUSB0", "https://example.org", "mqtt://box", "127.0.0.1:8080", "0.0.0.0:80", "DE", "EUR",
    "UTC", "Mars/Base", "12:00-13:00", "12:00-12:00", "1234", "+491701234567", "*100#", "(", "closed", "any", "resend",
    "off", "half\ud800", "ß" * 101, "5", "true",
)  # fmt: skip
_SCALARS = st.one_of(
    st.sampled_from(_TEXTS),
    st.sampled_from((0, 1, 2, 5, 60, 255, 3600, 86400, -1, 10**30, 10**400, True, False)),
    st.sampled_from((0.0, 0.1, 0.5, 1.0, 100.0, -0.5, 1e300, float("inf"), float("nan"))),
)
_VALUES = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(("+90", "sim0", "a")), _SCALARS, max_size=2),
)
_REQUIRED = {"name": "sim0", "port": "/dev/ttyUSB0", "base_url": "https://example.org/api/mobile/v1",
             "api_key": "key", "url": "mqtt://box",
             "type": "local", "pool": "halls"}  # fmt: skip


@pytest.mark.parametrize("kind", _SETTINGS.values(), ids=_SETTINGS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_what_it_takes_is_what_pydantic_makes(kind: Any, data: Any) -> None:
    keys = config.keys_of(kind)
    table = {key: value for key, value in _REQUIRED.items() if key in keys}
    table |= data.draw(st.dictionaries(st.sampled_from((*keys, "unknown")), _VALUES, max_size=3))
    try:
        ours = checked(kind, table)
    except Undecided:
        return
    theirs = TypeAdapter(kind).validate_python(table)
    assert ours == theirs
    # Also 1 and 1.0, or True, which are equal.
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("kind", _SETTINGS.values(), ids=_SETTINGS)
def test_it_knows_each_default_that_can_be_written_down(kind: Any) -> None:
    """So that no key of ours is left to pydantic for its kind alone."""
    required = {key: value for key, value in _REQUIRED.items() if key in config.keys_of(kind)}
    made = checked(kind, required)
    for key in config.keys_of(kind):
        value = getattr(made, key)
        written = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        if value is not None and key not in required:
            assert getattr(checked(kind, {**required, key: written}), key) == value


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (AgentSettings, {"max_parts": 0}),
        (AgentSettings, {"max_parts": True}),
        (AgentSettings, {"max_parts": "5"}),
        (AgentSettings, {"unknown_wait_s": float("nan")}),
        (AgentSettings, {"device_name": ""}),
        (AgentSettings, {"timezone": "Mars/Base"}),
        (AgentSettings, {"log_level": "loud"}),
        (AgentSettings, {"log_levle": "info"}),
        (AgentSettings, {"allow_prefixes": "+49"}),
        (RouteSettings, {}),
        (RouteSettings, {"name": "sim0", "costs": {"+90": -1}}),
        (MetricsSettings, {"bind": "0.0.0.0:9464"}),
    ],
)
def test_what_is_wrong_or_unusual_is_left_to_pydantic(kind: Any, table: dict[str, Any]) -> None:
    with pytest.raises(Undecided):
        checked(kind, table)


def test_a_class_with_rules_of_pydantics_own_is_left_to_it() -> None:
    class Loose(RouteSettings):
        __pydantic_config__ = {"extra": "ignore", "str_to_upper": True}  # noqa: RUF012 - as a plugin may write it

    with pytest.raises(Undecided):
        checked(Loose, {"name": "sim0"})


def test_an_ordinary_configuration_needs_no_pydantic(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[agent]\nstate_dir = "{tmp_path}"\n[[route]]\nname = "sim0"\nport = "/dev/ttyUSB0"\npin = "1234"\n'
        'prefixes = ["+49"]\n[[upstream]]\ntype = "local"\napi_key = "k"\n'
        '[[upstream]]\ntype = "mobsms"\napi_key = "k"\n'
    )
    code = (
        "import sys; from pathlib import Path; from agent import config\n"
        "found = config.load_quickly(Path(sys.argv[1]))\n"
        "assert found is not None and [one.name for one in found.upstreams] == ['local', 'mobsms'], found\n"
        "assert 'pydantic' not in sys.modules and 'pydantic_core' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)


def test_what_stands_in_the_environment_is_left_to_pydantic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    assert config.load_quickly(file) == config.load(file)
    monkeypatch.setenv("PHONEBRIDGE_AGENT__MAX_PARTS", "3")
    assert config.load_quickly(file) is None and config.load(file).agent.max_parts == 3


def test_the_words_for_a_mistake_are_pydantics(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[agent]\nmax_parts = 0\n")
    assert config.load_quickly(file) is None
    with pytest.raises(config.ConfigError, match="max_parts: should be greater than or equal to 1"):
        config.load(file)
    with pytest.raises(ValidationError):
        TypeAdapter(AgentSettings).validate_python({"max_parts": 0})
