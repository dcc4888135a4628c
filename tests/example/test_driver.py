"""The example of a driver passes the contract that every registered driver passes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent import plugins
from agent.config import ConfigError, parse
from drivers.api import Driver
from tests import test_driver_contract as contract
from tests.example.folder_driver import FolderSettings
from tests.example.installed import installed

# The contract's own tests; they find the fixtures of this module.
globals().update({name: member for name, member in vars(contract).items() if name.startswith("test_it")})
globals().update({name: getattr(contract, name) for name in ("place", *(n for n in vars(contract) if "test_a_" in n))})


async def _folder(_: AsyncExitStack, directory: Path) -> contract.Place:
    outbox = directory / "outbox"
    outbox.mkdir()

    async def leave() -> None:
        shutil.rmtree(outbox)

    return contract.Place(
        FolderSettings(directory=outbox),
        FolderSettings(directory=directory / "nothing"),
        lambda: [file.read_text() for file in sorted(outbox.glob("*.txt"))],
        leave,
    )


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    with installed(tmp_path, monkeypatch):
        monkeypatch.setattr(contract, "DRIVERS", plugins.names(plugins.DRIVERS))
        monkeypatch.setitem(contract.PLACES, "folder", _folder)
        yield plugins.load_driver("folder")


def test_its_routes_are_configured_like_all_others(driver: Driver) -> None:
    one = {"name": "a", "driver": "folder", "directory": "/srv/out"}
    assert parse({"route": [one]}).routes[0].driver == FolderSettings(directory=Path("/srv/out"))
    with pytest.raises(ConfigError, match="route\\[a\\] and route\\[b\\] write into one directory"):
        parse({"route": [one, {**one, "name": "b"}]})
