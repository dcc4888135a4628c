"""`phonebridge reload`: the running daemon applies its configuration as it stands now."""

from __future__ import annotations

from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit, say
from agent.cli.options import AsJson, ConfigFile

_PATIENCE_S = 120.0
"""The part in flight is waited for, 30 s at most, and a small box needs seconds to read a file."""


def reload(as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Apply the changed configuration without stopping; no message is lost or sent twice.

    Exits 2 where the file is wrong, and everything goes on as before.
    """
    with connected(config) as daemon:
        found = daemon.ask("reload", patience_s=_PATIENCE_S)
    if as_json:
        output.as_json(found)
        return Exit.OK
    for hint in found["hints"]:
        say(f"warning: {hint}")
    done = [f"{word} {', '.join(found[word])}" for word in ("started", "restarted", "ended") if found[word]]
    output.write("; ".join(done) or "the configuration is applied; no route and no server had changed")
    return Exit.OK
