"""One gateway and one browser per module: an event loop that playwright keeps may not meet those of other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    StorageState,
    ViewportSize,
    sync_playwright,
)

from tests.ui.stage import KEY, Stage, launch, stage

_SIZE: ViewportSize = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway whose modem is quick."""
    with stage(tmp_path_factory.mktemp("ui"), "--radio-time", "0.03", "--report-delay", "0.05") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="module")
def tab(gateway: Stage, browser: Browser) -> Iterator[Page]:
    """The one tab of all tests: another would be a process of its own, with everything compiled anew."""
    context = browser.new_context(base_url=gateway.address)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def session(tab: Page) -> StorageState:
    """The cookies of an owner who logged in by hand, once."""
    tab.goto("/ui/login")
    tab.get_by_label("API key").fill(KEY)
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url("**/ui/")
    return tab.context.storage_state()


@pytest.fixture
def stranger(gateway: Stage, tab: Page) -> Iterator[Page]:
    """A page that nobody is logged in at."""
    yield from _watched(gateway, tab)


@pytest.fixture
def page(gateway: Stage, tab: Page, session: StorageState) -> Iterator[Page]:
    """The owner's page."""
    yield from _watched(gateway, tab, session)


def _watched(gateway: Stage, tab: Page, session: StorageState | None = None) -> Iterator[Page]:
    """Whatever the page complains of, and whatever it asks of others, fails the test; an answer that a test wants to
    be a refusal is put into `tab.expected`. Of the test before nothing is left: what a browser keeps is removed, and
    the tab has its size again."""
    tab.context.clear_cookies()
    if session is not None:
        tab.context.add_cookies(session["cookies"])  # type: ignore[arg-type]  # as it gave them
    tab.set_viewport_size(_SIZE)
    tab.set_default_timeout(10_000)
    tab.expected = ()  # type: ignore[attr-defined]
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _is_expected(tab, message.text):
            complaints.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{gateway.address}/", "about:")):
            complaints.append(f"asked {request.url}")

    def failed(error: Error) -> None:
        complaints.append(f"script: {error}")

    def opened(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    watchers = {"console": said, "request": asked, "pageerror": failed, "dialog": opened}
    for event, watcher in watchers.items():
        tab.on(event, watcher)  # type: ignore[call-overload]
    yield tab
    # Left before nobody watches any more, for something of the same site: another is another process.
    tab.goto("/healthz")
    for event, watcher in watchers.items():
        tab.remove_listener(event, watcher)
    assert tab.context.pages == [tab]
    assert complaints == []


def _is_expected(page: Page, text: str) -> bool:
    """A refusal that the test itself provoked; chromium reports each as an error."""
    return any(f"status of {status}" in text for status in getattr(page, "expected", ()))
