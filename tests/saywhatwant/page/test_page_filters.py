"""Filters and the address: by person, by kind and by word, in the panel, in the bar above the wall and in a link."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_browser import MESSAGES, PROVISIONAL, Visit, answer, claim, expect_state, post, queue, row, shown, write
from playwright.sync_api import Page, expect

from conftest import MakeServer, StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

ADA = {"username": "Ada", "color": "210120040"}
BLUE_ADA = {"username": "Ada", "color": "040060210"}
SPACE = "Why is SPACE black?"
PHONE = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def server(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A wall with two people of one name and an answer."""
    with make_server(tmp_path_factory.mktemp("server")) as started:
        answer(started, post(started, SPACE, **ADA, botParams={"entity": "zen"}), "Because nobody lit it.")
        post(started, "A rude word about space", **BLUE_ADA)
        post(started, "Something else", username="Bob & Co.", color="040120210")
        yield started


def test_the_panel_shows_only_people_or_only_ai(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    open_panel(page)

    page.get_by_role("radio", name="AI").check()
    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(page.locator("#conditions")).to_have_text("only AI")
    expect(page).to_have_url(f"{server.url}/#mt=AI")

    page.get_by_role("radio", name="people", exact=True).check()
    expect(page.locator(MESSAGES)).to_have_count(3)
    page.get_by_role("radio", name="everybody").check()
    expect(page.locator(MESSAGES)).to_have_count(4)
    expect(page).to_have_url(f"{server.url}/")
    page.go_back()
    expect(page.locator(MESSAGES)).to_have_count(3)
    expect(page.get_by_role("radio", name="people", exact=True)).to_be_checked()


def test_words_are_looked_for_and_left_out(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    open_panel(page)

    page.get_by_label("With a word").fill("space lit")
    expect(page.locator(MESSAGES)).to_have_count(3)
    page.get_by_label("With a word").fill("space lit -rude")
    page.keyboard.press("Escape")

    expect(page.locator("#filters .panel")).to_be_hidden()
    expect(page.locator(MESSAGES)).to_have_count(2)
    expect(page).to_have_url(f"{server.url}/#word=space+lit&-word=rude")
    assert [text for _, text in shown(page)] == [SPACE, "Because nobody lit it."]
    page.get_by_role("button", name="with “lit”").click()
    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(page.get_by_label("With a word")).to_have_value("space -rude")


def test_two_people_of_one_name_are_told_apart(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    open_panel(page)
    expect(page.locator("#person option")).to_have_text(["anybody", "Bob & Co.", "Ada (blue)", "Zen", "Ada (orange)"])

    page.get_by_label("Written by").select_option("Ada (blue)")

    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(page).to_have_url(f"{server.url}/#u=Ada:040060210")
    page.get_by_label("Written by").select_option("Bob & Co.")
    expect(page.locator(MESSAGES)).to_have_count(2)
    expect(page).to_have_url(f"{server.url}/#u=Ada:040060210+Bob%20%26%20Co.:040120210")
    page.reload()
    expect(page.locator(MESSAGES)).to_have_count(2)


def test_a_pause_shows_everything_and_keeps_the_filters(server: Server, visit: Visit) -> None:
    page = visit(server).tab()
    page.goto("/#word=space")
    expect(page.locator(MESSAGES)).to_have_count(2)

    page.get_by_role("button", name="Pause").click()

    expect(page.locator(MESSAGES)).to_have_count(4)
    expect(page).to_have_url(f"{server.url}/#word=space&filteractive=false")
    page.get_by_role("button", name="Apply again").click()
    expect(page.locator(MESSAGES)).to_have_count(2)
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator(MESSAGES)).to_have_count(4)


def test_a_filter_holds_for_messages_that_come_later(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).tab()
    page.goto("/#u=Ada:210120040&-word=rude")
    expect_state(page, "live")
    expect(page.locator("#empty")).to_contain_text("No message fits this view")

    post(server, "A rude word", **ADA)
    post(server, "From somebody else")
    last = post(server, "A kind word", **ADA)

    expect(row(page, last)).to_be_attached()
    expect(page.locator(MESSAGES)).to_have_count(1)


def test_a_name_without_a_talk_shows_all_that_this_person_wrote(server: Server, visit: Visit) -> None:
    page = visit(server).open()

    page.locator("article", has_text="Something else").locator("header > .name").click()

    expect(page.locator("#conditions")).to_have_text("by Bob & Co.")
    expect(page.locator(MESSAGES)).to_have_count(1)


def test_share_copies_a_link_that_shows_the_same_to_others(server: Server, visit: Visit) -> None:
    visitor = visit(server, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.tab()
    page.goto("/#word=space&uis=Ada:210120040")
    expect(page.locator(MESSAGES)).to_have_count(2)

    page.get_by_role("button", name="Share").click()

    expect(page.locator("#share")).to_have_text("Link copied")
    expect(page.locator("#announcer")).to_contain_text("copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{server.url}/#word=space"
    other = visit(server).tab()
    other.goto(link)
    expect(other.locator(MESSAGES)).to_have_count(2)
    expect(other.locator("#name")).to_have_value("Human")


def test_where_the_browser_lends_no_clipboard_the_link_is_shown(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.context.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = () => false;"
    )
    page = visitor.tab()
    page.goto("/#word=space")
    expect_state(page, "live")

    page.get_by_role("button", name="Share").click()

    expect(page.locator("#link")).to_be_focused()
    expect(page.locator("#link")).to_have_value(f"{server.url}/#word=space")


def test_a_link_that_names_who_i_am_does_so_once(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.tab()

    page.goto("/#uis=Ada:210120040&word=space")

    expect(page.locator("#name")).to_have_value("Ada")
    expect(page.locator("#color")).to_have_value("#d27828")
    expect(page).to_have_url(f"{server.url}/#word=space")
    page.reload()
    expect(page.locator("#name")).to_have_value("Ada")
    expect(page.locator("#color")).to_have_value("#d27828")


def test_a_link_that_names_who_i_am_says_so_and_can_be_taken_back(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    page.locator("#name").fill("Grace")
    page.locator("#name").press("Enter")
    color = page.locator("#color").input_value()

    page.goto("/#uis=Mallory:210120040")
    expect(page.locator("#asked").get_by_role("status")).to_have_text("you write as Mallory")
    page.get_by_role("button", name="Forget that").click()

    expect(page.locator("#asked")).to_be_hidden()
    page.reload()
    expect(page.locator("#name")).to_have_value("Grace")
    expect(page.locator("#color")).to_have_value(color)
    page.goto("/#uis=Grace%20H:210120040")
    expect(page.locator("#asked")).to_contain_text("you write as Grace H")
    page.locator("#name").fill("Ada")
    page.locator("#name").press("Enter")
    expect(page.locator("#asked")).to_be_hidden()


def test_the_original_link_shows_two_people_and_addresses_the_entity(start_server: StartServer, visit: Visit) -> None:
    """The entity allows no other name here: its answers are in the view under its own."""
    server = start_server()
    visitor = visit(server)
    page = visitor.tab()
    link = "u=Ada:210120040+MyAI:255069000&filteractive=true&mt=ALL&uis=Ada:210120040&ais=MyAI:255069000&priority=7&entity=zen"
    page.goto(f"/#{link}")
    expect(page.locator("#entity")).to_have_value("zen")
    expect(page.locator("#asked")).to_contain_text("Zen answers under its own name, not as MyAI · urgency 7")
    post(server, "From a stranger")

    write(page, "Who are you?")

    expect(page.locator(MESSAGES)).to_have_count(1)
    (asked, _) = server.http.get("/api/comments").json()
    assert asked["botParams"]["priority"] == 7
    reply = {"text": "I am Zen.", "username": "Zen", "color": "070140180"}
    answer_id = queue(server, "complete", asked["id"], attempt=claim(server, asked["id"]), reply=reply)["id"]
    expect(row(page, answer_id)).to_be_attached()
    expect(page.locator(MESSAGES)).to_have_count(2)


def test_an_entity_that_allows_it_answers_under_the_name_that_the_link_asks_for(
    tmp_path: Path, start_server: StartServer, visit: Visit
) -> None:
    file = tmp_path / "entities.toml"
    file.write_text('[muse]\ndisplay_name = "Muse"\ncolor = "001002003"\nmodel = "nltk:zen"\nalias = true\n')
    server = start_server(entities=file)
    page = visit(server).tab()
    page.goto("/#u=Ada:210120040+MyAI:255069000&uis=Ada:210120040&ais=MyAI:255069000&entity=muse")
    expect(page.locator("#asked")).to_contain_text("Muse answers as MyAI")

    write(page, "Who are you?")

    expect(page.locator(MESSAGES)).to_have_count(1)
    (asked,) = server.http.get("/api/comments").json()
    assert asked["botParams"]["ais"] == "MyAI:255069000"
    attempt = claim(server, asked["id"])
    expect(page.locator(PROVISIONAL).locator("header > .name")).to_have_text("MyAI")
    reply = {"text": "Your AI.", "username": "MyAI", "color": "255069000"}
    queue(server, "complete", asked["id"], attempt=attempt, reply=reply)
    expect(page.locator(MESSAGES)).to_have_count(2)


def test_what_a_link_asks_of_posts_can_be_forgotten(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).tab()
    page.goto("/#word=space&priority=7&model=big&video=1")
    expect(page.locator("#asked")).to_contain_text(
        "urgency 7 · the model is this wall's, not big · not understood in the link: video"
    )

    page.get_by_role("button", name="Forget that").click()

    expect(page.locator("#asked")).to_be_hidden()
    expect(page).to_have_url(f"{server.url}/#word=space")
    write(page, "No hurry, space")
    expect(page.locator(MESSAGES)).to_have_count(1)
    (posted,) = server.http.get("/api/comments").json()
    assert posted["botParams"]["priority"] == 50


def test_a_link_with_a_length_of_memory_sends_the_messages_shown(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    for number in range(3):
        post(server, f"Fact {number}", **ADA)
    post(server, "From a stranger")
    visitor = visit(server)
    page = visitor.tab()
    page.goto("/#u=Ada:210120040&nom=2&entity=zen&uis=Ada:210120040")
    expect(page.locator(MESSAGES)).to_have_count(3)
    expect(page.locator("#entity")).to_have_value("zen")

    write(page, "What do you know?")

    expect(page.locator(MESSAGES)).to_have_count(4)
    assert (visitor.posts[0].post_data_json or {})["context"] == ["Ada: Fact 1", "Ada: Fact 2"]


def test_another_addressee_than_the_links_ends_what_it_asks(start_server: StartServer, visit: Visit) -> None:
    page = visit(start_server()).tab()
    page.goto("/#entity=zen&priority=7")
    expect(page.locator("#entity")).to_have_value("zen")

    page.locator("#entity").select_option("rude")

    expect(page.locator("#asked")).to_be_hidden()
    expect(page).to_have_url(re.compile("/$"))


def test_an_edited_address_changes_the_view_at_once(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    expect(page.locator(MESSAGES)).to_have_count(4)

    page.evaluate("location.hash = '#word=rude'")
    expect(page.locator(MESSAGES)).to_have_count(1)
    page.go_back()

    expect(page.locator(MESSAGES)).to_have_count(4)


def test_a_link_to_an_entity_that_is_not_here_shows_what_is_looked_for(server: Server, visit: Visit) -> None:
    page = visit(server).tab()
    page.goto("/#with=nobody")
    expect_state(page, "live")

    expect(page.locator("#shown")).to_have_text("To and from nobody")
    expect(page.locator("#empty")).to_contain_text("Nobody has talked with nobody yet")
    expect(page.locator("#announcer")).to_contain_text("Shown: To and from nobody")
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator(MESSAGES)).to_have_count(4)
    expect(page.locator("#wall")).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("Everything is shown")


def test_the_skip_link_leaves_the_view_alone(server: Server, visit: Visit) -> None:
    page = visit(server).tab()
    page.goto("/#word=space")
    expect(page.locator(MESSAGES)).to_have_count(2)

    page.locator("#skip").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#text")).to_be_focused()
    expect(page).to_have_url(f"{server.url}/#word=space")
    expect(page.locator(MESSAGES)).to_have_count(2)


def test_a_search_without_a_find_offers_to_look_further_back(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    old = post(server, "A needle")
    for number in range(120):
        post(server, f"Hay {number}")
    page = visit(server).tab()
    page.goto("/#word=needle")
    expect(page.locator("#empty")).to_contain_text("None of the latest messages fits this view")

    page.get_by_role("button", name="Look further back").click()

    expect(row(page, old)).to_be_attached()
    expect(page.locator("#empty")).to_be_hidden()


def test_hostile_links_are_text(server: Server, visit: Visit) -> None:
    page = visit(server).tab()
    markup = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"

    page.goto(f"/#word={markup}&u={markup}:210120040&model={markup}&{markup}=1&uis={markup}:210120040&ais={markup}:210120040")

    expect(page.locator("#conditions")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#asked")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#conditions img, #asked img, #view img, #composer img")).to_have_count(0)
    expect(page.locator("#name")).to_have_value("<img src=x onerror=alert(1)>")


def test_the_keyboard_opens_fills_and_leaves_the_panel(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    page.locator("#filters summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="people", exact=True)).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox", name="With a word")).to_be_focused()
    page.keyboard.type("star")
    expect(page.locator("#conditions")).to_have_text("only peoplewith “star”")
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Written by")).to_be_focused()

    page.keyboard.press("Tab")

    expect(page.locator("#share")).to_be_focused()
    expect(page.locator("#filters .panel")).to_be_hidden()


def test_many_conditions_fit_on_a_small_phone(server: Server, visit: Visit) -> None:
    page = visit(server, viewport=PHONE).tab()
    words = "+".join(f"word{number}{'x' * 40}" for number in range(20))
    people = "+".join(f"{'W' * 32}:{number:03}000000" for number in range(20))
    page.goto(f"/#talk=0123456789abcdef&word={words}&u={people}&mt=AI&priority=7&nom=20&model={'m' * 100}&entity=zen")
    expect_state(page, "live")
    open_panel(page)

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("document.querySelector('#view').scrollWidth - innerWidth") <= 0
    expect(page.locator("#filters .panel")).to_be_in_viewport(ratio=0.99)
    page.keyboard.press("Escape")
    expect(page.locator("#filters .panel")).to_be_hidden()
    expect(page.locator("#filters summary")).to_be_focused()
    expect(page.locator("#text")).to_be_in_viewport(ratio=0.99)
    expect(page.locator("#post")).to_be_in_viewport(ratio=0.99)
    assert page.locator("#wall").evaluate("wall => wall.clientHeight") > 80


def open_panel(page: Page) -> None:
    """Open the filters."""
    page.locator("#filters summary").click()
    expect(page.locator("#filters .panel")).to_be_visible()
