"""Fixtures: one browser for a module's tests, and visitors whose pages are checked when their test ends."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from page_browser import Modules, Visit, Visitor, launched
from playwright.sync_api import Browser, sync_playwright

from servers import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No longer than a module: while Playwright runs, no other test could start an event loop.
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Visitors for one test, each with its own storage."""
    with ExitStack() as visitors:

        def start(server: Server, **options: Any) -> Visitor:
            visitor = Visitor(browser, server, **options)
            visitors.callback(visitor.leave)
            return visitor

        yield start


@pytest.fixture(scope="module")
def modules(server: Server, browser: Browser) -> Iterator[Modules]:
    context = browser.new_context(base_url=server.url)
    yield Modules(context.new_page(), server)
    context.close()
