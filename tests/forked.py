"""Programs of this tree as forks of one process that has loaded them: the suite starts some hundred, and loading takes
longest: 0.8 s of CPU for a daemon.

Each is still a process of its own, with its own files, signals and end; only `python -m` is saved. Outside of the suite
(`make prove`), and where memory or imports are measured, programs are started plainly.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[1]
# Without agent.upstreams.local.server, which changes for its process what uvicorn is.
_DAEMON = (
    "pydantic", "httpx", "agent.daemon", "agent.config", "agent.logs", "agent.plugins", "agent.cli.run",
    "drivers.at.driver", "agent.upstreams.mobsms.upstream", "agent.upstreams.local.app",
    "agent.upstreams.local.smsgate.heart",
    # What those load with the first connection.
    "httpcore", "anyio.streams.tls", "anyio._backends._asyncio", "h11", "certifi", "encodings.idna",
    "encodings.utf_8_sig", "logging.config",
)  # fmt: skip
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "drivers.simulator": ("drivers.simulator.cli",),
    "tests.prove.killable": _DAEMON,
    "agent.cli": _DAEMON,
    "tests.mobsms_server": ("tests.mobsms_server.server",),
    "tests.smsgate_server": ("tests.smsgate_server.control", "tests.smsgate_server.mobile"),
}
"""What may be forked, and the modules to load before."""


class ForkedProcess:
    """What the suite uses of a `subprocess.Popen`, for a process that another is the parent of."""

    def __init__(self, pid: int, ended: int, stdin: IO[Any] | None, stdout: IO[Any] | None) -> None:
        """`ended` is a pipe: the exit code, once there is one."""
        self.pid, self.stdin, self.stdout, self.stderr = pid, stdin, stdout, None
        self.returncode: int | None = None
        self._ended = ended
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # over already
            self._descriptor = -1

    def send_signal(self, number: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended. Raises: TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"forked {self.pid}", timeout or 0.0)
            # Nothing is written where the parent itself was ended.
            self.returncode = int(os.read(self._ended, 16) or b"-9")
            os.close(self._ended)
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        return self.returncode


class Forks:
    """Starts programs; itself started by the first, and ended with this process."""

    running: Forks | None = None
    """Those of this process, where it is the suite."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._turn = threading.Lock()

    def spawn(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        text: bool = False,
    ) -> ForkedProcess:
        """As `popen` below."""
        with self._turn:
            line = self._connected()
        keep: list[int] = []
        try:
            inner_in, outer_in = _input(stdin, keep)
            inner_out, outer_out = _output(stdout, 1, keep)
            inner_err = inner_out if stderr == subprocess.STDOUT else _output(stderr, 2, keep)[0]
            ended, end = os.pipe()
            keep.append(end)
            request = [module, list(arguments), str(cwd or Path.cwd()), dict(env or os.environ), start_new_session]
            octets = json.dumps(request).encode()
            with self._turn:
                socket.send_fds(line, [len(octets).to_bytes(4, "big")], [inner_in, inner_out, inner_err, end])
                line.sendall(octets)
                pid = int(line.recv(64))
        finally:
            for descriptor in keep:
                os.close(descriptor)
        mode = "" if text else "b"
        return ForkedProcess(
            pid, ended,
            None if outer_in is None else os.fdopen(outer_in, f"w{mode}"),
            None if outer_out is None else os.fdopen(outer_out, f"r{mode}"),
        )  # fmt: skip

    def _connected(self) -> socket.socket:
        if self._line is None:
            ours, theirs = socket.socketpair()
            path = filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])
            with theirs:
                self._parent = subprocess.Popen(
                    [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                    cwd=_ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                )  # fmt: skip
            self._line = ours
        return self._line

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._parent is not None:
            self._parent.wait(10)


def popen(module: str, *arguments: str, **more: Any) -> Any:
    """`python -m module arguments`; `more` as in `Forks.spawn`, where the names are those of `subprocess.Popen`."""
    if Forks.running is not None and module in PROGRAMS:
        return Forks.running.spawn(module, arguments, **more)
    return subprocess.Popen([sys.executable, "-m", module, *arguments], **more)


def _input(given: int | IO[Any] | None, keep: list[int]) -> tuple[int, int | None]:
    """For the process and for us."""
    if given == subprocess.PIPE:
        inner, outer = os.pipe()
        keep.append(inner)
        return inner, outer
    return _other(given, 0, keep), None


def _output(given: int | IO[Any] | None, default: int, keep: list[int]) -> tuple[int, int | None]:
    if given == subprocess.PIPE:
        outer, inner = os.pipe()
        keep.append(inner)
        return inner, outer
    return _other(given, default, keep), None


def _other(given: int | IO[Any] | None, default: int, keep: list[int]) -> int:
    if given == subprocess.DEVNULL:
        keep.append(os.open(os.devnull, os.O_RDWR))
        return keep[-1]
    if given is None:
        return default
    return given if isinstance(given, int) else given.fileno()


# --- the parent -------------------------------------------------------------------------------------


class _Parent:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._loaded: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(line, selectors.EVENT_READ)

    def serve(self) -> tuple[str, list[str]] | None:
        """Fork for each request until the line ends. Returns in the child what it is to run, and None in the end."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._line:
                    self._bury(key)
                    continue
                size, descriptors, _, _ = socket.recv_fds(self._line, 4, 4)
                if not size:
                    return None
                request = b""
                while len(request) < int.from_bytes(size, "big"):
                    request += self._line.recv(65536)
                if (work := self._fork(json.loads(request), descriptors)) is not None:
                    return work

    def _fork(self, request: list[Any], descriptors: list[int]) -> tuple[str, list[str]] | None:
        module, arguments, directory, environment, in_session = request
        self._load(module)
        *standard, end = descriptors
        pid = os.fork()
        if pid:
            for descriptor in standard:
                os.close(descriptor)
            self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, end))
            self._line.sendall(str(pid).encode())
            return None
        self._selector.close()
        self._line.close()
        for place, descriptor in enumerate(standard):
            os.dup2(descriptor, place)
        os.closerange(3, max(descriptors) + 1)  # also what its siblings were given
        if in_session:
            os.setsid()
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        return module, arguments

    def _load(self, module: str) -> None:
        """What is loaded here need not be looked through by each child's collector, nor copied for it."""
        if module not in self._loaded:
            self._loaded.add(module)
            for name in PROGRAMS[module]:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()

    def _bury(self, key: selectors.SelectorKey) -> None:
        pid, end = key.data
        self._selector.unregister(key.fileobj)
        os.close(key.fd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            os.write(end, str(code).encode())
        os.close(end)


def _run(module: str, arguments: list[str]) -> int:
    """As `python -m` does, to the exit code."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
            return 1
        return error.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _work = _Parent(socket.socket(fileno=int(sys.argv[1]))).serve()
    if _work is not None:
        _code = _run(*_work)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        # No more of the interpreter's end: what is loaded was not loaded for this process alone.
        os._exit(_code)
