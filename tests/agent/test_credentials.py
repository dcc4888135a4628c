"""`…_file` keys may name a credential of systemd's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config
from drivers.at.settings import AtSettings

TABLES = {
    "route": [{"name": "a", "port": "/dev/x", "pin_file": "$CREDENTIALS_DIRECTORY/sim-pin"}],
    "upstream": [{"type": "mobsms", "api_key_file": "$CREDENTIALS_DIRECTORY/mobsms-key"}],
}


def test_a_credential_is_read_where_systemd_has_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sim-pin").write_text("1234\n")
    (tmp_path / "mobsms-key").write_text("7|secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    parsed = config.parse(TABLES)
    driver, upstream = parsed.routes[0].driver, parsed.upstreams[0]
    assert isinstance(driver, AtSettings) and driver.read_pin() == "1234"
    assert config.secret(upstream.api_key, upstream.api_key_file, "upstream[mobsms].api_key") == "7|secret"


def test_elsewhere_the_configuration_is_right_and_the_file_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    upstream = config.parse(TABLES).upstreams[0]
    with pytest.raises(config.ConfigError, match="for the service only, by LoadCredential= in its unit"):
        config.secret(None, upstream.api_key_file, "upstream[mobsms].api_key")
