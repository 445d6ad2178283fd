"""``python -m benchmarks.page``: the time to the page's first paint, and its bytes over the wire."""

import argparse
import shutil
import statistics
import sys

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from benchmarks.comparison import fill
from benchmarks.contenders.product import Product
from benchmarks.running import scratch

VISITS = 7
MESSAGES = 200
MAX_PAINT_MS = 300
MAX_BYTES = 60_000
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
BYTES = "performance.getEntries().filter(e => !e.name.includes('/api/')).reduce((sum, e) => sum + (e.encodedBodySize ?? 0), 0)"


def main() -> None:
    """Visit a wall of messages, each time with an empty cache. With --strict, the exit status is 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a bound is exceeded")
    strict = parser.parse_args().strict
    with scratch() as directory, Product().start(directory) as server:
        fill(server.url, MESSAGES)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
            paints, sizes = zip(*(_visit(browser, server.url) for _ in range(VISITS)), strict=True)
            browser.close()
    paint, size = statistics.median(paints), max(sizes)
    Console(highlight=False).print(
        f"first paint: median {paint:.0f} ms of {VISITS} first visits (at most {MAX_PAINT_MS}); "
        f"{size / 1_000:.1f} kB over the wire (at most {MAX_BYTES / 1_000:.0f})"
    )
    sys.exit(strict and (paint > MAX_PAINT_MS or size > MAX_BYTES))


def _visit(browser: Browser, url: str) -> tuple[float, int]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#connection[data-state=live]").wait_for()
        return float(page.evaluate(PAINT)), int(page.evaluate(BYTES))


if __name__ == "__main__":
    main()
