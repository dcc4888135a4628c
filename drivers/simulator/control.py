"""A small synchronous client of the control socket, for tests and scripts."""

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_TIMEOUT_S = 10.0  # every operation answers at once; more means that the simulator is gone


class ControlError(Exception):
    """The simulator refused; the text is its sentence."""


class Control:
    """One connection. Not for use from several threads at once."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(self, op: str, modem: int = 0, **fields: Any) -> dict[str, Any]:
        """One operation; returns the answer's fields. Raises ControlError, OSError."""
        self._socket.sendall(json.dumps({"op": op, "modem": modem, **fields}).encode() + b"\n")
        line = self._stream.readline()
        if not line:
            raise ControlError("the simulator closed the control socket")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise ControlError(str(answer["error"]))
        return answer

    def deliver(self, sender: str, text: str, modem: int = 0, **fields: Any) -> list[int]:
        """Sends a text towards the modem: the inbound ids of its parts."""
        inbounds: list[int] = self.request("deliver", modem, **{"from": sender, "text": text, **fields})["inbound"]
        return inbounds

    def fault(self, name: str, modem: int = 0, times: int = 1, **parameters: Any) -> None:
        """Arms a fault for `times` firings; 0 means until cleared."""
        self.request("fault", modem, name=name, times=times, **parameters)

    def close(self) -> None:
        """Closes the connection."""
        self._stream.close()
        self._socket.close()
