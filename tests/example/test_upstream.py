"""The example of an upstream passes the contract that every registered upstream passes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent.upstreams.api import Upstream
from tests import test_upstream_contract as contract
from tests.example.installed import installed

# The contract's own tests; they find the fixtures of this module.
_BEGINNINGS = ("test_it", "test_a_", "stand")
globals().update({name: member for name, member in vars(contract).items() if name.startswith(_BEGINNINGS)})


def _folder(_: AsyncExitStack, directory: Path) -> contract.Place:
    server = directory / "server"
    server.mkdir()

    def lines(name: str) -> list[dict[str, str]]:
        file = server / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    async def send(_: Upstream, text: str) -> None:
        (server / "1.partial").write_text(f"{contract.NUMBER}\n{text}")
        (server / "1.partial").rename(server / "1.job")

    async def word(_: Upstream) -> str:
        return next((line["state"] for line in reversed(lines("reports"))), "")

    async def inbox(_: Upstream) -> list[str]:
        return [line["text"] for line in lines("inbox")]

    return contract.Place(
        {"directory": str(server), "poll_interval_s": 0.05}, send, word, inbox, lambda: shutil.rmtree(server)
    )


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with installed(tmp_path, monkeypatch):
        monkeypatch.setitem(contract.PLACES, "folder", _folder)
        yield "folder"
