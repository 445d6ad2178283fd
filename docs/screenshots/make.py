"""``make screenshots``: the page as it is now, light and dark, desktop and phone, while a reply is written; and one talk."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Browser, ViewportSize, sync_playwright

HERE = Path(__file__).parent
SIZES = {"desktop": ViewportSize(width=1200, height=800), "phone": ViewportSize(width=390, height=780)}
BUSY = 90
"""Messages that come while the operators' page is open."""
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]

TALK = [
    ("Ada", "210120040", "zen", "Why is space black?", "Close your eyes. Now tell me which star went missing."),
    ("Ada", "210120040", "zen", "And who took it?", "The one who was counting."),
    ("Tom", "040120210", "eliza", "I moved here for work and know nobody.", "What would knowing somebody change first?"),
    ("Mei", "090160060", "suntsu", "How do I win an argument with my sister?", "Choose a battlefield she has already left."),
    ("Zoë", "160060160", "iesha", "Best anime to start with?", "omg start with the one about the delivery witch!! so cozy"),
    ("Ada", "210120040", "rude", "Say something nice.", "You type reasonably fast."),
]
QUESTION = ("Tom", "040120210", "zen", "Does a wall listen?")
HALF = "A wall listens the way a pond keeps the moon: it holds nothing, and"
NAMES = {"zen": "Zen", "eliza": "Eliza", "suntsu": "Sun Tsu", "iesha": "Iesha", "rude": "Rude"}
COLORS = {"zen": "070140180", "eliza": "169080199", "suntsu": "090150110", "iesha": "226121074", "rude": "190080080"}


def talk(http: httpx.Client) -> None:
    """Have a conversation whose last answer is half written."""
    for name, color, entity, text, answer in TALK:
        claimed = ask(http, name, color, entity, text)
        reply = {"text": answer, "username": NAMES[entity], "color": COLORS[entity]}
        http.post("/api/queue/complete", json=claimed | {"reply": reply}).raise_for_status()
    claimed = ask(http, *QUESTION)
    http.post("/api/queue/progress", json=claimed | {"text": HALF}).raise_for_status()


def ask(http: httpx.Client, name: str, color: str, entity: str, text: str) -> dict[str, object]:
    """Post a question and claim it."""
    body = {"text": text, "username": name, "color": color, "botParams": {"entity": entity}}
    message_id = http.post("/api/comments", json=body).raise_for_status().json()["id"]
    http.post("/api/queue/claim", json={"messageId": message_id, "workerId": "worker-1"}).raise_for_status()
    return {"messageId": message_id, "workerId": "worker-1", "attempt": 1}


def be_there(http: httpx.Client) -> None:
    """Look for work, of which there is none, as a bot does that answers for all entities."""
    http.post("/api/queue/claim", json={"workerId": "worker-1", "entities": list(NAMES)}).raise_for_status()


def shoot(browser: Browser, http: httpx.Client, scheme: str, size: str) -> None:
    """Take one picture."""
    be_there(http)
    context = browser.new_context(
        viewport=SIZES[size], device_scale_factor=1.5, color_scheme="dark" if scheme == "dark" else "light", locale="en-GB"
    )
    page = context.new_page()
    page.goto(str(http.base_url))
    page.locator("#connection[data-state=live]").wait_for()
    (last,) = http.get("/api/comments?limit=1").json()
    progress = {"messageId": last["id"], "workerId": "worker-1", "attempt": 1, "text": HALF}
    http.post("/api/queue/progress", json=progress).raise_for_status()
    page.locator("[data-kind=provisional]").get_by_text(HALF).wait_for()
    page.wait_for_timeout(500)  # the last row has moved into its place
    page.screenshot(path=HERE / f"{scheme}-{size}.png")
    context.close()


def shoot_talk(browser: Browser, http: httpx.Client, size: str) -> None:
    """Take the picture of one talk, as a click on a name opens it."""
    be_there(http)
    context = browser.new_context(viewport=SIZES[size], device_scale_factor=1.5, color_scheme="light", locale="en-GB")
    page = context.new_page()
    page.goto(str(http.base_url))
    page.locator("article", has_text=TALK[0][3]).locator("header > .name").first.click()
    page.get_by_role("heading", name="Ada with Zen").wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / f"talk-{size}.png")
    context.close()


def shoot_ops(browser: Browser, http: httpx.Client) -> None:
    """Take the pictures of the operators' page while the wall is busy, and something is wrong with one entity."""
    pages = {}
    for scheme, size in (("light", "desktop"), ("dark", "desktop"), ("light", "phone")):
        context = browser.new_context(
            viewport=SIZES[size], device_scale_factor=1.5, color_scheme="dark" if scheme == "dark" else "light", locale="en-GB"
        )
        pages[scheme, size] = page = context.new_page()
        page.goto(f"{http.base_url}/ops")
        page.locator("#connection[data-state=live]").wait_for()
    for number in range(BUSY):
        name, color, entity, text, answer = TALK[number % len(TALK)]
        claimed = ask(http, name, color, entity, text)
        if number % 30 == 0:
            failure = {"error": "the model does not answer", "detail": "connection refused", "retry": False}
            http.post("/api/queue/fail", json=claimed | failure).raise_for_status()
        else:
            reply = {"text": answer, "username": NAMES[entity], "color": COLORS[entity]}
            http.post("/api/queue/complete", json=claimed | {"reply": reply}).raise_for_status()
        pages["light", "desktop"].wait_for_timeout(150 + 100 * (number % 7))
    for (scheme, size), page in pages.items():
        page.screenshot(path=HERE / f"ops-{scheme}-{size}.png", full_page=size == "desktop")
        page.context.close()


def moderated(http: httpx.Client) -> None:
    """Have something to moderate."""
    for phrase, action in (("my casino", "hold"), ("an ugly word", "refuse")):
        http.post("/api/moderation/filter", json={"phrase": phrase, "action": action}).raise_for_status()
    ban = {"username": "Mallory", "color": "169080199", "seconds": 86_400, "reason": "insults"}
    http.post("/api/moderation/ban", json=ban).raise_for_status()
    for name, text in (("Ann", "Come to my casino, the first ten coins are free!"), ("Bob", "You are all fools.")):
        body = {"text": text, "username": name, "color": "090160060", "botParams": {"answer": False}}
        message_id = http.post("/api/comments", json=body).raise_for_status().json()["id"]
    http.post("/api/report", json={"messageId": message_id, "reason": "He insults everybody here."}).raise_for_status()


def shoot_moderation(browser: Browser, http: httpx.Client, token: str) -> None:
    """Take the picture of what an operator moderates."""
    context = browser.new_context(viewport=SIZES["desktop"], device_scale_factor=1.5, color_scheme="light", locale="en-GB")
    page = context.new_page()
    page.goto(f"{http.base_url}/ops")
    page.get_by_label("Token of an operator").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("tab", name="Rules").click()
    page.locator("#bans li").wait_for()
    page.get_by_role("region", name="Moderation").screenshot(path=HERE / "ops-moderation.png")
    context.close()


def main() -> None:
    """Start a wall, have a conversation on it, and take the pictures."""
    sww = Path(sys.executable).with_name("sww")
    with tempfile.TemporaryDirectory() as directory:
        command = [str(sww), "serve", "--bind", "127.0.0.1:0", "--data", f"{directory}/data"]
        server = subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stderr
            url = server.stderr.readline().removeprefix("ready on ").strip()
            with httpx.Client(base_url=url, trust_env=False) as http, sync_playwright() as playwright:
                talk(http)
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
                for scheme in ("light", "dark"):
                    for size in SIZES:
                        shoot(browser, http, scheme, size)
                for size in SIZES:
                    shoot_talk(browser, http, size)
                shoot_ops(browser, http)
                moderated(http)
                added = [str(sww), "token", "add", "alice", "--scope", "operator", "--data", f"{directory}/data"]
                token = subprocess.run(added, cwd=directory, capture_output=True, text=True, check=True).stdout.strip()
                http.headers["Authorization"] = f"Bearer {token}"
                shoot_moderation(browser, http, token)
                browser.close()
        finally:
            server.terminate()
            server.wait(10)


if __name__ == "__main__":
    main()
