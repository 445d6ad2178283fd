"""Pages and bots of the original, unchanged, against this server: each message once, under the right name, answered once."""

from collections import Counter
from pathlib import Path

import pytest
from calls import Json, a_post, claim_next, params, queue, read, said
from original_wall import ENTITIES, TAILED, assert_refused
from originals import Bot, LaterBot, LaterPage, Page

from conftest import StartServer
from servers import Server, until

FAST_MS, SLOW_MS = 5_000, -60_000
"""A clock that is fast by less than a page's slack, and one that is slow."""


@pytest.fixture
def wall(start_server: StartServer, tmp_path: Path) -> Server:
    """A server of its own for each test."""
    (tmp_path / "entities.toml").write_text(ENTITIES)
    return start_server(entities=tmp_path / "entities.toml", open_entities="true")


def answer(message: Json) -> str:
    return f"An answer to {message['text']}"


def clean(text: str) -> Json:
    """The body of a post to the clean wall that wants no answer."""
    return a_post(text, botParams={"answer": False})


def texts(messages: list[Json]) -> list[str]:
    return [message["text"] for message in messages]


def ask_both_ways(wall: Server, count: int) -> list[Page]:
    """Pages of both dates in alternation, each with a visitor and an answerer of its own, and only these two in its view."""
    pages: list[Page] = []
    for number in range(count):
        tail = f"-tail{number:06}" if number % 2 else ""
        name, color = f"Human{number}", f"{150 + number:03}200080{tail}"
        ais = f"Ai{number}:080{150 + number:03}200{tail}"
        kind, skew = (LaterPage, FAST_MS) if number % 2 else (Page, SLOW_MS)
        page = kind(
            wall.http,
            name,
            color,
            entity="zen",
            ais=ais,
            priority=5,
            channel="ALL",
            shown=(f"{name}:{color}", ais),
            skew_ms=skew if number % 3 == 0 else 0,
        )
        pages.append(page)
    return pages


def test_p4_thirty_of_thirty_see_each_message_once_and_under_the_right_name(wall: Server) -> None:
    pages = ask_both_ways(wall, 30)
    everything = LaterPage(wall.http, "Watcher", TAILED)
    bots = (Bot(wall.http, "bot-1", answer), LaterBot(wall.http, "bot-2", answer))
    for number, page in enumerate(pages):
        assert page.post(f"Question {number}").json()["status"] == "success"
        page.poll()
        if number % 5 == 4:
            bots[number % 2].round()
    while any(bot.round() for bot in bots):
        pass
    for number, page in enumerate(pages):
        page.poll()
        page.poll()
        question, reply = page.view()
        assert (question["text"], reply["text"]) == (f"Question {number}", f"An answer to Question {number}")
        assert (reply["username"], reply["message-type"], reply["replyTo"]) == (f"Ai{number}", "AI", question["id"])
        assert reply["botParams"]["status"] == "complete"
        assert question["botParams"]["status"] == "complete"
    everything.poll()
    questions = [f"Question {number}" for number in range(30)]
    assert Counter(texts(everything.view())) == Counter([*questions, *(f"An answer to {text}" for text in questions)])
    claimed = [message for bot in bots for message in bot.claimed]
    assert Counter(texts(claimed)) == Counter(questions), "no message is answered twice, and no bot answers a bot"
    assert {message["message-type"] for message in claimed} == {"human"}
    assert all(bot.claimed for bot in bots)
    assert said(wall.http.get("/api/stats"))["backlog"] == 0


def test_forty_pages_beside_clean_clients_read_what_those_read(wall: Server) -> None:
    pages = [kind(wall.http, f"Reader{number}", "169080199") for kind in (Page, LaterPage) for number in range(20)]
    sent = [said(wall.http.post("/api/comments", json=clean(f"Message {number}")))["id"] for number in range(10)]
    for page in pages:
        page.poll()
        page.poll()
        assert [message["id"] for message in page.view()] == sent


def test_the_channels_show_people_or_entities(wall: Server) -> None:
    channels: dict[str, Page] = {
        channel: Page(wall.http, "Watcher", "169080199", channel=channel) for channel in ("human", "AI", "ALL")
    }
    page = Page(wall.http, "Human", "169080199", entity="zen")
    page.post("Why?")
    Bot(wall.http, "bot-1", answer).round()
    shown = {}
    for channel, watcher in channels.items():
        watcher.poll()
        shown[channel] = texts(watcher.view())
    assert shown == {"human": ["Why?"], "AI": ["An answer to Why?"], "ALL": ["Why?", "An answer to Why?"]}


def test_a_visitor_with_another_tail_is_another_person(wall: Server) -> None:
    first = LaterPage(wall.http, "Human", "169080199-aaaaaaaaaa", entity="zen", shown=("Human:169080199-aaaaaaaaaa",))
    other = LaterPage(wall.http, "Human", "169080199-bbbbbbbbbb", entity="zen", shown=("Human:169080199-bbbbbbbbbb",))
    first.post("I am one.")
    other.post("I am another.")
    for page, text in ((first, "I am one."), (other, "I am another.")):
        page.poll()
        assert texts(page.view()) == [text]
    assert len({message["conversation"] for message in read(wall)}) == 2


def test_what_the_page_shows_is_what_the_entity_remembers(wall: Server) -> None:
    page = LaterPage(wall.http, "Ada", TAILED, entity="zen", ais="Sage:080150200", shown=(f"Ada:{TAILED}", "Sage:080150200"))
    stranger = LaterPage(wall.http, "Bob", "150150080", entity="zen")
    bot = LaterBot(wall.http, "bot-1", answer)
    page.post("My name is Ada.")
    stranger.post("My name is Bob.")
    bot.round()
    page.poll()
    page.post("What is my name?")
    bot.round()
    assert bot.claimed[-1]["text"] == "What is my name?"
    assert "Ada: My name is Ada." in bot.claimed[-1]["context"]
    assert "Sage: An answer to My name is Ada." in bot.claimed[-1]["context"]
    assert not [line for line in bot.claimed[-1]["context"] if "Bob" in line]


def test_a_page_that_sends_no_context_is_remembered_too(wall: Server) -> None:
    page, bot = Page(wall.http, "Ada", "169080199", entity="zen"), Bot(wall.http, "bot-1", answer)
    page.post("My name is Ada.")
    bot.round()
    page.post("What is my name?")
    bot.round()
    assert bot.claimed[-1]["context"] == ["Ada: My name is Ada.", "zen: An answer to My name is Ada."]


def test_the_later_page_writes_on_the_wall_where_it_names_no_entity(wall: Server) -> None:
    page, watcher = LaterPage(wall.http, "Human", TAILED), Page(wall.http, "Watcher", "169080199")
    page.post("To everyone.")
    watcher.poll()
    assert texts(watcher.view()) == ["To everyone."]
    assert LaterBot(wall.http, "bot-1", answer).round() == 0


def test_p7_a_page_that_posts_twice_makes_one_message(wall: Server) -> None:
    page = LaterPage(wall.http, "Human", TAILED, entity="zen")
    body = page.body("Once.")
    assert [page.send(body).json()["status"] for _ in range(2)] == ["success", "duplicate"]
    bot = LaterBot(wall.http, "bot-1", answer)
    assert bot.round() == 1
    page.poll()
    assert texts(page.view()) == ["Once.", "An answer to Once."]


@pytest.mark.needs("durability")
def test_p7_a_page_that_posts_again_after_a_crash_makes_one_message(wall: Server) -> None:
    page = LaterPage(wall.http, "Human", TAILED, entity="zen")
    body = page.body("Once.")
    first = page.send(body).json()
    wall.restart()
    reloaded = LaterPage(wall.http, "Human", TAILED, entity="zen")
    assert reloaded.send(body).json() == first | {"status": "duplicate"}
    assert texts(read(wall)) == ["Once."]


def test_p8_a_post_that_is_refused_leaves_the_page_as_it_was(wall: Server) -> None:
    page = LaterPage(wall.http, "Human", TAILED, entity="eliza", ais="Sage:080150200")
    refused = page.post("Who are you?")
    assert_refused(refused, 422, "botParams.ais", "alias")
    page.poll()
    assert page.view() == []
    assert len(page.failed) == 1


def test_p6_a_message_answered_by_a_bot_of_this_product_reaches_a_page_of_the_original(wall: Server) -> None:
    page = Page(wall.http, "Human", "169080199", entity="zen", channel="ALL")
    page.post("Why?")
    (held,) = claim_next(wall, entities=["zen"])
    reply = {"text": "Because.", "username": "Zen", "color": "070140180"}
    hold = {"messageId": held["id"], "workerId": "worker-1", "attempt": held["botParams"]["attempt"]}
    said(queue(wall, "complete", **hold, reply=reply))
    page.poll()
    assert texts(page.view()) == ["Why?", "Because."]


@pytest.mark.parametrize(("ais", "name"), [("Sage:080150200", "Sage"), (f"Sage:{TAILED}", "Sage"), (None, "Zen")])
def test_a_bot_of_this_product_answers_under_the_name_that_a_page_asks_for(
    start_server: StartServer, tmp_path: Path, ais: str | None, name: str
) -> None:
    (tmp_path / "entities.toml").write_text(ENTITIES)
    wall = start_server(command="up", entities=tmp_path / "entities.toml")
    page = LaterPage(wall.http, "Ada", TAILED, entity="zen", ais=ais, shown=(f"Ada:{TAILED}", ais or "Zen:070140180"))
    page.post("Who are you?")

    def answered() -> list[Json] | None:
        page.poll()
        return page.view() if len(page.view()) > 1 else None

    question, reply = until(answered, "an answer")
    assert (question["text"], reply["username"], reply["replyTo"]) == ("Who are you?", name, question["id"])


@pytest.mark.parametrize("kind", [Bot, LaterBot])
def test_an_entity_is_served_while_a_bot_of_the_original_looks_for_work(wall: Server, kind: type[Bot]) -> None:
    def served() -> set[bool]:
        return {entity["served"] for entity in said(wall.http.get("/api/entities"))["entities"]}

    assert served() == {False}
    assert kind(wall.http, "bot-1", answer).round() == 0
    assert served() == {True}


# -- P3 for bots that name no attempt


def test_p3_a_bot_whose_message_a_bot_of_this_product_has_taken_is_refused(start_server: StartServer) -> None:
    wall = start_server(lease_seconds=1, max_attempts=100)
    Page(wall.http, "Human", "169080199", entity="zen").post("Why?")
    bot = Bot(wall.http, "bot-1", answer)
    (listed,) = said(bot.call("GET", "/api/queue/pending"))["pending"]
    held = bot.claim(listed["id"])
    assert held is not None
    (taken,) = until(lambda: claim_next(wall, "worker-2", entities=["zen"]), "the end of the lease")
    assert taken["botParams"]["attempt"] == 2
    for late in (bot.reply(held), bot.complete(held)):
        assert_refused(late, 409)
    assert [message["messageType"] for message in read(wall)] == ["human"]


@pytest.mark.parametrize("kind", [Bot, LaterBot])
def test_p3_a_bot_that_claims_after_another_needs_no_attempt(start_server: StartServer, kind: type[Bot]) -> None:
    wall = start_server(lease_seconds=1, max_attempts=100)
    Page(wall.http, "Human", "169080199", entity="zen").post("Why?")
    (held,) = claim_next(wall, "worker-1", entities=["zen"])
    bot = kind(wall.http, "bot-2", answer)
    # On a slow machine its own lease may run out, too.
    until(bot.round, "the end of the lease")
    assert params(wall, held["id"])["status"] == "complete"
    assert len([message for message in read(wall) if message["messageType"] == "AI"]) == 1


def test_p4_a_bot_that_dies_between_reply_and_complete_leaves_one_answer(start_server: StartServer) -> None:
    wall = start_server(lease_seconds=1)
    Page(wall.http, "Human", "169080199", entity="zen").post("Why?")
    bot = LaterBot(wall.http, "bot-1", answer)
    held = bot.next()
    assert held is not None
    assert bot.reply(held).is_success
    until(lambda: params(wall, held["id"])["status"] == "complete", "the end of the lease")
    assert LaterBot(wall.http, "bot-2", answer).round() == 0
    assert len(read(wall)) == 2
