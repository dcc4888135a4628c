"""Registers the examples by entry point, as a package of somebody else's would, for as long as a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import plugins

ENTRY_POINTS = """\
[phonebridge.drivers]
folder = tests.example.folder_driver:FolderDriver

[phonebridge.upstreams]
folder = tests.example.folder_upstream:FolderUpstream
"""


@contextmanager
def installed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The metadata that pip leaves behind; the code is imported from where it stands."""
    metadata = directory / "site" / "phonebridge_folder-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: phonebridge-folder\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(metadata.parent)
    plugins._entries.cache_clear()
    try:
        yield
    finally:
        monkeypatch.undo()
        plugins._entries.cache_clear()
