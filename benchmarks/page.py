"""``python -m benchmarks.page``: how soon the page is painted, and how much of it goes over the wire."""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from benchmarks.contenders.product import Product

VISITS = 7
MESSAGES = 200
MAX_PAINT_MS = 300
MAX_BYTES = 60_000
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
BYTES = "performance.getEntries().filter(e => !e.name.includes('/api/')).reduce((sum, e) => sum + (e.encodedBodySize ?? 0), 0)"


def main() -> None:
    """Visit a wall with messages on it, each time with nothing kept; exit status 1 when it is too slow or too large."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory, Product().start(Path(directory)) as server:
        for number in range(MESSAGES):
            body = {"text": f"Why is space black? {number}", "username": "Bench", "color": "169080199"}
            httpx.post(f"{server.url}/api/comments", json=body).raise_for_status()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
            paints, sizes = zip(*(_visit(browser, server.url) for _ in range(VISITS)), strict=True)
            browser.close()
    paint, size = statistics.median(paints), max(sizes)
    Console(highlight=False).print(
        f"first paint: median {paint:.0f} ms of {VISITS} first visits (at most {MAX_PAINT_MS}); "
        f"{size / 1_000:.1f} kB over the wire (at most {MAX_BYTES / 1_000:.0f})"
    )
    sys.exit(paint > MAX_PAINT_MS or size > MAX_BYTES)


def _visit(browser: Browser, url: str) -> tuple[float, int]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#connection[data-state=live]").wait_for()
        return float(page.evaluate(PAINT)), int(page.evaluate(BYTES))


if __name__ == "__main__":
    main()
