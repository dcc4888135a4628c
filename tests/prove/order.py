"""The order of system calls for one message each way: on disk first, then the outside world."""

from __future__ import annotations

import re
from pathlib import Path

from tests.prove.measured import Figures
from tests.prove.stage import Stage, wait_until

_FROM = "+491701234567"
_CALLS = "trace=fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg"


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """strace the daemon while one message goes out and one comes in."""
    del short, seed
    trace = directory / "strace"
    with Stage(directory, "--radio-time", "0.1", "--report-delay", "0.1") as stage:
        stage.server.add_device()
        stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
        stage.configure()
        stage.daemon.start(prefix=("strace", "-f", "-tt", "-yy", "-s", "400", "-e", _CALLS, "-o", str(trace)))
        wait_until("the daemon polls", lambda: len(stage.server.log("request")) > 2, 60)
        stage.server.enqueue(1, text="order of calls out")
        stage.wait_for_states(("delivered",), 1, 60)
        stage.modem.control.deliver(_FROM, "order of calls in")
        wait_until("incoming at the server", stage.server.hooks, 30)
        wait_until("deleted from the SIM", lambda: stage.events("delete"), 10)
        stage.daemon.stop()
    calls = _calls(trace)
    _expect_sync_between(figures, calls, "pulled row → journal → PDU", r"journal\.db-wal", r'write\(.*"[0-9A-F]{20,}')
    _expect_sync_between(figures, calls, "inbound PDU → journal → CMGD", r"journal\.db-wal", r"AT\+CMGD=")
    _expect_sync_between(figures, calls, "+CMGS → journal → report", r"journal\.db-wal", r"PUT /api/sms/.*")
    _expect_sync_between(
        figures, calls, "inbound → journal → server", r"journal\.db-wal", r"POST /hook|POST /.*hook|incoming"
    )


def _calls(trace: Path) -> list[str]:
    """Completed calls in order of their end: an fsync counts when it has returned."""
    pending: dict[str, str] = {}
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        pid, _, rest = line.partition(" ")
        if "<unfinished ...>" in rest:
            pending[pid] = rest.replace("<unfinished ...>", "")
            if re.search(r"\b(write|writev|sendto|sendmsg)\(", rest):
                # What leaves counts when it begins.
                calls.append(rest)
                pending.pop(pid)
        elif "resumed>" in rest:
            if pid in pending:
                calls.append(pending.pop(pid) + rest.split("resumed>", 1)[1])
        else:
            calls.append(rest)
    return calls


def _expect_sync_between(figures: Figures, calls: list[str], what: str, journal: str, outside: str) -> None:
    """Before the outside call: the last write to the journal is followed by a sync of it."""
    at = next((n for n, call in enumerate(calls) if re.search(outside, call)), None)
    if at is None:
        figures.expect(what, f"no call matches {outside}", False)
        return
    is_write = re.compile(r"\b(p?write(64|v)?|pwrite64)\(.*" + journal)
    is_sync = re.compile(r"\bf(data)?sync\(.*" + journal)
    before = calls[:at]
    syncs = [n for n, call in enumerate(before) if is_sync.search(call)]
    writes = [n for n, call in enumerate(before) if is_write.search(call)]
    last_sync = syncs[-1] if syncs else -1
    last_write = writes[-1] if writes else -1
    figures.expect(
        what,
        f"fsync {at - last_sync} calls before, {len(syncs)} so far" if syncs else "no fsync before",
        bool(syncs) and last_sync > last_write,
    )
