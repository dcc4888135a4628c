"""The CLI's side of the control socket: finds the daemon, asks, and turns refusals into sentences."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent import config
from agent.cli.exits import Exit, Fault
from agent.endpoint import Refusal, sockets

Answer = dict[str, Any]

# The daemon answers from its journal in milliseconds; a card that is busy may take seconds.
_ANSWER_S = 30.0
_EXITS = {Refusal.USAGE: Exit.USAGE, Refusal.FAILED: Exit.FAILED, Refusal.ELSEWHERE: Exit.UNREACHABLE}


class Daemon:
    """One connection to the running daemon."""

    def __init__(self, link: socket.socket, meant: Path | None) -> None:
        self._link = link
        self._meant = meant
        self._lines = link.makefile("rb")

    def ask(
        self,
        operation: str,
        *,
        on_step: Callable[[Answer], None] | None = None,
        patience_s: float = _ANSWER_S,
        **fields: Any,
    ) -> Answer:
        """One operation; `patience_s` is for all of it.

        Raises: Fault with the daemon's sentence, or when it is gone; TimeoutError.
        """
        request = {"op": operation, **{key: value for key, value in fields.items() if value is not None}}
        if self._meant is not None:
            request["state_dir"] = str(self._meant)
        until = time.monotonic() + patience_s
        self._link.settimeout(patience_s)
        try:
            self._link.sendall(json.dumps(request).encode() + b"\n")
            while line := self._lines.readline():
                message = json.loads(line)
                if "step" not in message:
                    return self._result(message)
                if on_step is not None:
                    on_step(message["step"])
                self._link.settimeout(max(until - time.monotonic(), 0.001))
        except TimeoutError:
            raise
        except OSError as error:
            raise Fault(f"the daemon broke off: {error.strerror}", Exit.UNREACHABLE) from error
        raise Fault("the daemon broke off; see its log: journalctl -u phonebridge", Exit.UNREACHABLE)

    def close(self) -> None:
        self._lines.close()
        self._link.close()

    @staticmethod
    def _result(message: Answer) -> Answer:
        if message.get("ok"):
            result: Answer = message["result"]
            return result
        raise Fault(str(message["error"]), _EXITS[Refusal(message["kind"])])


@contextmanager
def connected(path: Path | None) -> Iterator[Daemon]:
    """The daemon that runs with the configuration at `path`, or this box's own where it is None.

    Raises: Fault, with Exit.UNREACHABLE where nothing answers.
    """
    link, meant = _connect(path)
    daemon = Daemon(link, meant)
    try:
        yield daemon
    except TimeoutError as error:
        raise Fault("the daemon does not answer; see its log: journalctl -u phonebridge", Exit.UNREACHABLE) from error
    finally:
        daemon.close()


def _connect(path: Path | None) -> tuple[socket.socket, Path | None]:
    state_dir = _state_dir(path)
    tried = []
    for place in sockets(state_dir, is_state_dir_first=path is not None):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(_ANSWER_S)
        try:
            link.connect(str(place))
        except PermissionError as error:
            link.close()
            raise Fault(
                f"{place} may be opened by root and the group phonebridge only; run: sudo usermod -aG phonebridge "
                "$USER, and log in again",
                Exit.UNREACHABLE,
            ) from error
        except OSError:
            link.close()
            tried.append(str(place))
            continue
        return link, state_dir if path is not None else None
    raise Fault(
        f"no daemon listens on {' or '.join(tried)}; start it with: systemctl start phonebridge, or "
        "phonebridge run -c FILE",
        Exit.UNREACHABLE,
    )


def _state_dir(path: Path | None) -> Path | None:
    if path is None and not config.DEFAULT_PATH.exists():
        return None
    try:
        return config.state_dir(path or config.DEFAULT_PATH)
    except config.ConfigError as error:
        if path is None:
            # The file is the administrator's; a member of the group can still use the socket under /run.
            return None
        raise Fault(str(error), Exit.USAGE) from error
