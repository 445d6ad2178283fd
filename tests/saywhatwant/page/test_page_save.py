"""Messages are copied or saved: as text, Markdown or JSON, one with its details or all that are shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import MESSAGES, Json, Modules, Visit, Visitor, answer, claim, post, post_to, queue, row
from playwright.sync_api import Page, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

CLIPBOARD = ["clipboard-read", "clipboard-write"]
AT = r"\d{4}-\d\d-\d\d \d\d:\d\d"


def reader(visit: Visit, server: Server, **options: Any) -> Visitor:
    """A visitor whose clipboard the test can read."""
    return visit(server, permissions=CLIPBOARD, timezone_id="UTC", **options)


def copied(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def take(page: Page, how: str, form: str) -> None:
    page.locator("#more > summary").click()
    page.locator("#format").select_option(label=form)
    page.get_by_role("button", name=how, exact=True).click()


def test_what_is_shown_is_copied_as_text(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked = post_to(server, "zen", "Why?\nTell me.")
    answer(server, asked, "**Because.**")
    failed = post_to(server, "rude", "You?")
    queue(server, "fail", failed, attempt=claim(server, failed), error="no model", retry=False)
    page = reader(visit, server).open()
    expect(page.locator(MESSAGES)).to_have_count(3)

    take(page, "Copy", "Text")

    expect(page.locator("#saved")).to_have_text("Copied 3 messages.")
    wanted = (
        f"Somebody to Zen, {AT}\nWhy\\?\nTell me\\.\n\n"
        f"Zen to Somebody, {AT}\n\\*\\*Because\\.\\*\\*\n\n"
        f"Somebody to Rude, {AT}\nYou\\?\n\\(no answer from Rude: no model\\)\n"
    )
    assert re.fullmatch(wanted, copied(page)), copied(page)


def test_what_is_shown_is_saved_as_json_as_the_server_sent_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    answer(server, post_to(server, "zen", "Why?"), "Because.")
    page = reader(visit, server).open()
    expect(page.locator(MESSAGES)).to_have_count(2)

    with page.expect_download() as download:
        take(page, "Download", "JSON")

    assert re.fullmatch(r"say-what-want-\d{4}-\d\d-\d\d\.json", download.value.suggested_filename)
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved == server.http.get("/api/comments", params={"order": "asc"}).json()
    expect(page.locator("#saved")).to_have_text(f"Saved 2 messages as {download.value.suggested_filename}.")


def test_a_talk_is_saved_whole_though_only_its_end_was_read(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=1_000)
    for number in range(60):
        answer(server, post_to(server, "zen", f"Question {number}"), f"Answer {number}")
    post_to(server, "rude", "Another talk")
    talk = server.http.get("/api/comments", params={"limit": 2}).json()[1]["conversation"]
    page = reader(visit, server).tab()
    page.goto(f"/#talk={talk}")
    expect(page.locator(MESSAGES).last).to_contain_text("Answer 59")

    with page.expect_download() as download:
        take(page, "Download", "Markdown")

    saved = Path(download.value.path()).read_text()
    assert saved.startswith("# Somebody with Zen\n")
    assert re.findall(r"^(?:Question|Answer) \d+$", saved, re.MULTILINE) == [
        f"{what} {number}" for number in range(60) for what in ("Question", "Answer")
    ]
    assert "Another talk" not in saved


def test_a_filtered_view_is_copied_as_it_is_filtered_and_an_empty_one_not_at_all(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    post(server, "Apples")
    post(server, "Pears")
    page = reader(visit, server).tab()
    page.goto("/#word=pears")
    expect(page.locator(MESSAGES)).to_have_count(1)

    take(page, "Copy", "Text")

    expect(page.locator("#saved")).to_have_text("Copied 1 message.")
    assert copied(page).endswith("\nPears\n")
    page.goto("/#word=plums")
    expect(page.locator(MESSAGES)).to_have_count(0)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#saved")).to_have_text("There is no message to save.")


def test_a_message_is_copied_as_text_or_with_all_that_is_known_about_it(server: Server, visit: Visit) -> None:
    page = reader(visit, server).open()
    reply = answer(server, post_to(server, "zen", "Why?"), "**Because.**")
    menu = row(page, reply).get_by_role("button", name="Copy or report what Zen wrote")

    menu.click()
    page.get_by_role("button", name="Copy text").click()

    expect(page.locator("#message-menu")).to_be_hidden()
    assert copied(page) == "**Because.**"
    menu.click()
    page.get_by_role("button", name="Copy with details").click()
    expect(page.locator("#announcer")).to_contain_text("The message with its details is copied")
    messages = {message["id"]: message for message in server.http.get("/api/comments").json()}
    assert json.loads(copied(page)) == messages[reply]


def test_the_keyboard_opens_and_leaves_the_menu_of_a_message(server: Server, visit: Visit) -> None:
    page = reader(visit, server).open()
    reply = answer(server, post_to(server, "zen", "Why?"), "Because of the keyboard")
    menu = row(page, reply).get_by_role("button", name="Copy or report what Zen wrote")

    menu.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#copy-text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#message-menu")).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#copy-text")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("#copy-text")).to_have_text("Copied")
    assert copied(page) == "Because of the keyboard"


def test_where_the_browser_has_no_clipboard_a_selection_is_copied(server: Server, visit: Visit) -> None:
    visitor = reader(visit, server)
    visitor.context.add_init_script("""
      window.lent = navigator.clipboard;
      Object.defineProperty(navigator, "clipboard", { value: undefined });
    """)
    page = visitor.open()
    reply = answer(server, post_to(server, "zen", "Why?"), "Because of the selection")

    row(page, reply).get_by_role("button", name="Copy or report what Zen wrote").click()
    page.locator("#copy-text").click()

    expect(page.locator("#copy-text")).to_have_text("Copied")
    assert page.evaluate("lent.readText()") == "Because of the selection"


HOSTILE = [
    "# no heading\n- no list\n1. no number\n> no quote",
    "*no* _emphasis_ `code` ~~gone~~ [a](https://example.org/) ![b](https://evil.example/)",
    "<script>alert(1)</script> &lt; | a | b |\n|---|---|",
    "two\n\nparagraphs\n---\n***\n```\nno code",
    "back\\slash \\*",
]
BACK = """({ formatOf }, [messages, entities]) => {
  const about = { title: "# A *title*", feed: { get: () => undefined }, entities: { nameOf: () => "Zen" } };
  return import(`${window.folder}markdown.js`).then(({ Markdown }) => {
    const element = document.createElement("div");
    new Markdown(element).show(formatOf("markdown").write(messages, about), false);
    return [...element.children].map(({ localName, textContent }) => [localName, textContent]);
  });
}"""


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_that_is_read_again_shows_what_people_wrote(text: str, modules: Modules) -> None:
    message: Json = {
        "id": "aaaa",
        "timestamp": 0,
        "text": text,
        "username": "*Ada*",
        "messageType": "human",
        "botParams": {"status": "complete", "entity": "zen"},
    }
    answered = message | {"id": "bbbb", "username": "Zen", "messageType": "AI", "text": "```\nopen"}

    blocks: list[list[str]] = modules.run("written.js", BACK, [[message, answered, message], []])

    assert blocks[0] == ["h2", "# A *title*"]
    head, *own = blocks[1 : 1 + (len(blocks) - 3) // 2 + 1]
    assert head[1].startswith("*Ada* to Zen, 1970-01-01")
    paragraphs = len(re.split(r"\n\s*\n", text))
    assert [name for name, _ in own[:paragraphs]] == ["p"] * paragraphs
    assert "\n\n".join(content for _, content in own[:paragraphs]) == text
    assert ["pre", "open"] in blocks, "the open block of code does not swallow the rest"
    assert blocks[-1][1] in text


@pytest.mark.parametrize("size", [{"width": 320, "height": 600}, {"width": 1280, "height": 640}], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_menus_fit_and_axe_finds_no_fault(size: dict[str, int], scheme: str, server: Server, visit: Visit) -> None:
    page = reader(visit, server, viewport=size, color_scheme=scheme, reduced_motion="reduce").open()
    reply = answer(server, post_to(server, "zen", "Why?"), "Because.")
    row(page, reply).locator(".menu").click()
    inside(page, "#message-menu", size)
    assert faults(page) == []
    page.keyboard.press("Escape")

    page.locator("#more > summary").click()
    inside(page, "#more .panel", size)
    assert faults(page) == []
    page.locator("#format").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#more > summary")).to_be_focused()
    expect(page.locator("#more .panel")).to_be_hidden()


def inside(page: Page, selector: str, size: dict[str, int]) -> None:
    box = page.locator(selector).bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= size["width"], box
    assert box["y"] + box["height"] <= size["height"], box


def faults(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [violation["id"] for violation in violations if violation["impact"] in {"serious", "critical"}]
