"""Makes the pictures of docs/screenshots: python -m tests.ui.screenshots [DIRECTORY].

A daemon with two emulated modems, a day of traffic written into its journal before it starts, and then real messages.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from agent.journal.schema import connect_writer
from tests.ui.stage import KEY, Stage, launch, stage, wait_until

ROOT = Path(__file__).resolve().parents[2]
HOUR_MS = 3_600_000
LARGEST_BYTES = 150_000
# Messages per hour of a day, from midnight, of a small practice that reminds its patients.
DAY = (0, 0, 0, 0, 0, 1, 4, 18, 34, 41, 38, 30, 22, 27, 36, 39, 33, 21, 12, 7, 4, 2, 1, 0)
TEXTS = (
    "Reminder: your appointment is tomorrow at 9:40. Reply NO to cancel.",
    "Your code is 482 913. It is valid for ten minutes.",
    "The parcel is at the reception, open until 18:00.",
    "Ihr Termin am Freitag wurde bestätigt. Praxis Dr. Weiß",
    "Backup finished: 214 GB in 41 min, no errors.",
    "Напоминаем: приём завтра в 9:40.",
)
ANSWERS = ("Thank you!", "NO", "Could we make it 10:30 instead? The bus is late on Tuesdays.", "ok, see you")


def _number(dice: random.Random) -> str:
    # A range that the German regulator keeps for fiction.
    return f"+491520{dice.randrange(10_000_000):07d}"


def fill(connection: sqlite3.Connection, now_ms: int) -> None:
    """A day of traffic on two routes."""
    dice = random.Random(4)
    connection.execute("BEGIN")
    for hours_ago in range(23, 0, -1):
        begin_ms = (now_ms // HOUR_MS - hours_ago) * HOUR_MS
        busy = DAY[time.localtime(begin_ms / 1000).tm_hour]
        for at_ms in sorted(begin_ms + dice.randrange(HOUR_MS) for _ in range(round(busy * 1.3))):
            _one(connection, dice, dice.choices(("office", "spare"), (1.0, 0.3))[0], at_ms)
    connection.execute("COMMIT")


def _one(connection: sqlite3.Connection, dice: random.Random, route: str, at_ms: int) -> None:
    number, is_bad = _number(dice), dice.random() < 0.03
    error = "the recipient's network refused it: unknown subscriber (RP cause 30)" if is_bad else None
    (message_id,) = connection.execute(
        "INSERT INTO message (uid, direction, upstream, number, text, state, route, error, created_ms, sent_ms, "
        "delivered_ms) VALUES (lower(hex(randomblob(16))), 'outbound', 'cli', ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (number, dice.choice(TEXTS), "failed" if is_bad else "delivered", route, error, at_ms, at_ms + 2100,
         None if is_bad else at_ms + 5200),
    ).fetchone()  # fmt: skip
    outcome = "refused" if is_bad else "delivered"
    connection.execute(
        "INSERT INTO attempt "
        "(message_id, sequence, route, recipient, recipient_tail, at_ms, boot_id, boot_ms, outcome) "
        "VALUES (?, 1, ?, ?, ?, ?, '', 0, ?)",
        (message_id, route, number, number[-6:], at_ms + 200, outcome),
    )
    if dice.random() < 0.15:
        connection.execute(
            "INSERT INTO message (uid, direction, number, text, state, route, created_ms) "
            "VALUES (lower(hex(randomblob(16))), 'inbound', ?, ?, 'received', ?, ?)",
            (number, dice.choice(ANSWERS), route, at_ms + 60_000),
        )


def prepared(folder: Path) -> None:
    """The journal before the daemon's first start."""
    state = folder / "state"
    state.mkdir(parents=True)
    now_ms = time.time_ns() // 1_000_000
    connection = connect_writer(state / "journal.db", now_ms)
    fill(connection, now_ms)
    connection.close()


def live(gateway: Stage) -> int:
    """Real messages through the emulated modems; the one that has a history worth a picture."""
    patient = "+4915200345678"
    long = (
        "Dear Mr Weiß, your results are in. Please call us before Friday noon so that we can go through them together; "
    )
    gateway.send("Reminder: your appointment is tomorrow at 9:40. Reply NO to cancel.", patient)
    gateway.receive("Could we make it 10:30 instead? The bus is late on Tuesdays.", patient)
    wait_until("it came in", lambda: gateway.api("GET", "/api/sms/inbox")[1]["data"]["data"])
    shown = gateway.send(long + "the number is the one you are reading this from.", patient)
    for number in range(3):
        gateway.send(TEXTS[number], f"+49152009{number}8765")
    gateway.api("POST", "/api/tokens", {"name": "home-assistant"})
    gateway.api("POST", "/api/devices", {"device_id": "pi-cottage", "device_name": "Cottage Pi"})
    wait_until("it is delivered", lambda: gateway.status_of(shown) == "delivered")
    return shown


def shoot(page: Page, path: str, target: Path, *, prepare: Callable[[Page], None] | None = None) -> None:
    page.goto(path)
    if prepare is not None:
        prepare(page)
    page.wait_for_load_state("networkidle") if not page.locator("[data-live]").count() else page.wait_for_selector(
        "#pulse:not([hidden])"
    )
    page.wait_for_timeout(300)
    page.screenshot(path=target, animations="disabled")
    size = target.stat().st_size
    print(f"{target.name}: {size / 1000:.0f} kB")
    if size > LARGEST_BYTES:
        raise SystemExit(f"{target} is larger than {LARGEST_BYTES} bytes")


def visit(browser: Browser, gateway: Stage, *, scheme: str, width: int, height: int) -> Page:
    context = browser.new_context(
        base_url=gateway.address,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    page.goto("/ui/login")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/")
    return page


def _type(page: Page) -> None:
    page.get_by_label("To").fill("+49 1520 0345678")
    page.get_by_label("Text").fill("See you at 10:30 then. – Dr. Weiß €")
    page.wait_for_timeout(600)


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        prepared(Path(folder))
        pace = ("--radio-time", "0.3", "--report-delay", "0.3")
        with (
            stage(Path(folder), *pace, modems=2, routes=("office", "spare")) as gateway,
            sync_playwright() as playwright,
        ):
            shown = live(gateway)
            browser = launch(playwright)
            light = visit(browser, gateway, scheme="light", width=1200, height=860)
            shoot(light, "/ui/", directory / "overview.png")
            shoot(light, f"/ui/messages/{shown}", directory / "message.png")
            shoot(light, "/ui/send", directory / "send.png", prepare=_type)
            dark = visit(browser, gateway, scheme="dark", width=1200, height=860)
            shoot(dark, "/ui/", directory / "overview-dark.png")
            dark.set_viewport_size({"width": 1000, "height": 560})
            shoot(dark, "/ui/messages", directory / "messages-dark.png")
            phone = visit(browser, gateway, scheme="light", width=390, height=844)
            shoot(phone, "/ui/", directory / "overview-phone.png")
            shoot(phone, "/ui/inbox", directory / "inbox-phone.png")
            night = visit(browser, gateway, scheme="dark", width=390, height=844)
            shoot(night, f"/ui/messages/{shown}", directory / "message-phone-dark.png")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
