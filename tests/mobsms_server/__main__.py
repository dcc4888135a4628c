"""`python -m tests.mobsms_server`: one JSON line with its ports when ready, then serves until stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from .routes import Undocumented
from .server import Options, Server


def main() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        options, follows_stdin = _options()
        asyncio.run(_run(options, follows_stdin=follows_stdin))


async def _run(options: Options, *, follows_stdin: bool) -> None:
    server = Server(options)
    stop = asyncio.Event()
    if follows_stdin:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_end, stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports = await server.start()
    print(json.dumps({"ready": True, "pid": os.getpid(), **ports}), flush=True)
    await stop.wait()
    await server.stop()


def _stop_at_end(stop: asyncio.Event) -> None:
    """The other end of the pipe is gone, so whoever started us is: a killed test must leave no server."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _options() -> tuple[Options, bool]:
    parser = argparse.ArgumentParser("tests.mobsms_server", description="The MobSMS cloud for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="the API's port; 0 takes a free one")
    parser.add_argument("--log", type=Path, required=True, help="JSON lines of requests and status changes")
    parser.add_argument("--control", default="0", help="port of the control calls, or SAME as the API's")
    parser.add_argument("--hook-port", type=int, help="also receive webhooks here; 0 takes a free port")
    parser.add_argument("--key", required=True, help="an API key of the first account")
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help="serve the API over HTTPS")
    parser.add_argument("--state", type=Path, help="file that outlives the process")
    parser.add_argument(
        "--undocumented",
        choices=[choice.value for choice in Undocumented],
        default=Undocumented.NOT_FOUND.value,
        help="what POST /api/devices and POST /api/sms/inbound answer",
    )
    parser.add_argument("--no-webhook-calls", action="store_true", help="call no customer's webhook")
    parser.add_argument("--seed", type=int, default=0, help="for faults that strike by chance")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input does")
    given = parser.parse_args()
    options = Options(
        log=given.log,
        key=given.key,
        host=given.host,
        port=given.port,
        control=None if given.control.upper() == "SAME" else int(given.control),
        hook_port=given.hook_port,
        certificate=given.tls[0] if given.tls else None,
        private_key=given.tls[1] if given.tls else None,
        state=given.state,
        undocumented=Undocumented(given.undocumented),
        call_webhooks=not given.no_webhook_calls,
        seed=given.seed,
    )
    return options, given.exit_with_stdin


if __name__ == "__main__":
    main()
