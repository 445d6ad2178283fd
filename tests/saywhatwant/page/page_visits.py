"""Fixtures: one browser for the tests of a module, and visitors that leave when a test is over."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from page_browser import Visit, Visitor, launched
from playwright.sync_api import Browser, sync_playwright

from servers import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No longer than a module: while Playwright runs, no other test could start an event loop of its own.
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Visitors for one test alone, each with a storage of its own."""
    with ExitStack() as visitors:

        def start(server: Server, **options: Any) -> Visitor:
            visitor = Visitor(browser, server, **options)
            visitors.callback(visitor.leave)
            return visitor

        yield start
