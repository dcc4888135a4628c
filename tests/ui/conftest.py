"""One gateway and one browser per module: an event loop that playwright keeps may not meet those of other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    StorageState,
    sync_playwright,
)

from tests.ui.stage import KEY, Stage, launch, stage


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
def session(gateway: Stage, browser: Browser) -> StorageState:
    """The cookies of an owner who logged in by hand, once."""
    context = browser.new_context(base_url=gateway.address)
    page = context.new_page()
    page.goto("/ui/login")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/ui/")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def stranger(gateway: Stage, browser: Browser) -> Iterator[Page]:
    """A page that nobody is logged in at."""
    yield from _watched(gateway, browser.new_context(base_url=gateway.address))


@pytest.fixture
def page(gateway: Stage, browser: Browser, session: StorageState) -> Iterator[Page]:
    """The owner's page."""
    yield from _watched(gateway, browser.new_context(base_url=gateway.address, storage_state=session))


def _watched(gateway: Stage, context: BrowserContext) -> Iterator[Page]:
    """Whatever the page complains of, and whatever it asks of others, fails the test; an answer that a test wants to
    be a refusal is put into `page.expected`."""
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _is_expected(page, message.text):
            complaints.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{gateway.address}/", "about:")):
            complaints.append(f"asked {request.url}")

    page.on("console", said)
    page.on("request", asked)
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield page
    context.close()
    assert complaints == []


def _is_expected(page: Page, text: str) -> bool:
    """A refusal that the test itself provoked; chromium reports each as an error."""
    return any(f"status of {status}" in text for status in getattr(page, "expected", ()))
