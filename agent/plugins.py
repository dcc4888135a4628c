"""Finds drivers and upstreams by entry point. Loads only what the configuration names."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.settings import Config
    from drivers.api import Driver

DRIVERS = "phonebridge.drivers"
UPSTREAMS = "phonebridge.upstreams"


class UnknownPlugin(LookupError):
    """No entry point of that name. `known` lists those that exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(name)
        self.known = known


def names(group: str) -> list[str]:
    return sorted(_entries(group))


def load_driver(name: str) -> Driver:
    """An instance of the driver. Raises: UnknownPlugin."""
    driver: Driver = _load(DRIVERS, name)()
    return driver


def settings_of(group: str, name: str) -> Any:
    """The dataclass of the keys that a driver or an upstream brings. Raises: UnknownPlugin.

    It may have an entry point of its own below the group `….settings`: then the rest of the plugin is not loaded, by
    which a daemon starts sooner.
    """
    apart = _entries(f"{group}.settings").get(name)
    return apart.load() if apart is not None else _load(group, name).Settings


def load_upstream(name: str) -> Any:
    """The upstream's class. Raises: UnknownPlugin."""
    return _load(UPSTREAMS, name)


def preload(config: Config) -> None:
    """Import what a checked configuration names. What cannot be imported is left to whoever asks for it."""
    with suppress(ImportError):
        for name in {route.settings.driver for route in config.routes}:
            _load(DRIVERS, name)
        for name in {one.type for one in config.upstreams}:
            _load(UPSTREAMS, name)


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def _load(group: str, name: str) -> Any:
    entries = _entries(group)
    if name not in entries:
        raise UnknownPlugin(name, sorted(entries))
    return entries[name].load()
