"""The dialect of the original, row by row of its wire tables: taken as said, or refused by name; nothing dropped in silence."""

import pytest
from calls import Json, message, said
from hypothesis import given, settings
from hypothesis import strategies as st
from original_wall import (
    BEARER,
    TAILED,
    TOKEN,
    WALL,
    assert_refused,
    bot_post,
    call,
    claimed,
    original,
    page_post,
    posted,
    send,
)

from conftest import StartServer
from servers import Server

pytestmark = pytest.mark.one_deployment("fields are translated before any object is asked")

pytest_plugins = ["original_fixture"]


# -- (a) POST /api/comments, sent by the page


@pytest.mark.every_deployment
def test_p7_the_id_of_a_page_is_the_id_of_its_message(wall: Server) -> None:
    assert posted(wall, id="k3j9x0a2b1z")["id"] == "k3j9x0a2b1z"


@pytest.mark.parametrize("own", ["abc", "UPPERCASE0", "with space", "", "a" * 33, 5])
def test_p8_an_id_that_no_page_makes_is_refused_by_name(wall: Server, own: object) -> None:
    assert_refused(send(wall, page_post(id=own)), 422, "id")


def test_p5_the_clock_of_a_page_is_understood_and_not_used(wall: Server) -> None:
    first = posted(wall, timestamp=1)["timestamp"]
    assert posted(wall, timestamp=9_000_000_000_000)["timestamp"] > first > 1_700_000_000_000
    assert_refused(send(wall, page_post(timestamp="now")), 422, "timestamp")


def test_a_text_is_trimmed_and_a_username_kept(wall: Server) -> None:
    taken = posted(wall, text="  Why?\n", username="Ada")
    assert (taken["text"], taken["username"]) == ("Why?", "Ada")


@pytest.mark.parametrize("missing", ["text", "username", "color"])
def test_p8_what_every_page_sends_is_required_by_name(wall: Server, missing: str) -> None:
    body = page_post()
    del body[missing]
    assert_refused(send(wall, body), 422, missing, "required")


@pytest.mark.parametrize("color", ["169080199", TAILED])
def test_a_color_comes_back_with_its_tail_and_without_it_on_the_clean_wall(wall: Server, color: str) -> None:
    taken = posted(wall, color=color)
    assert taken["color"] == color
    assert message(wall, taken["id"])["color"] == "169080199"


@pytest.mark.parametrize("color", ["999888777", "888777666", "169080199-short", "169080199-Ab3dE5gH1!", "#a950c7"])
def test_p8_a_color_that_is_none_is_refused_by_name(wall: Server, color: str) -> None:
    assert_refused(send(wall, page_post(color=color)), 422, "color", "000 to 255")


@pytest.mark.parametrize("field", ["domain", "language", "misc"])
def test_what_a_page_adds_is_given_back(wall: Server, field: str) -> None:
    assert posted(wall, **{field: "as it is"})[field] == "as it is"
    assert posted(wall, **{field: ""})[field] == ""
    assert_refused(send(wall, page_post(**{field: "x" * 201})), 422, field)


def test_the_type_of_a_message_is_understood_and_given_back_with_and_without_hyphen(wall: Server) -> None:
    for names in (("message-type",), ("messageType",), ("message-type", "messageType")):
        body = page_post()
        del body["message-type"]
        found = original(wall, said(send(wall, body | dict.fromkeys(names, "AI")))["id"])
        assert (found["message-type"], found["messageType"]) == ("AI", "AI")
        assert found["botParams"]["status"] == "complete", "an AI message is never work"
    bare = page_post()
    del bare["message-type"]
    assert original(wall, said(send(wall, bare))["id"])["message-type"] == "human"


def test_p8_two_types_or_an_unknown_one_are_refused_by_name(wall: Server) -> None:
    assert_refused(send(wall, page_post(messageType="AI")), 422, "message-type", "messageType")
    assert_refused(send(wall, page_post() | {"message-type": "alien"}), 422, "message-type", "human, AI")


@pytest.mark.every_deployment
def test_context_lives_while_the_message_is_work_and_is_in_no_feed(wall: Server) -> None:
    lines = ["Ada: My name is Ada.", "Zen: I see."]
    taken = posted(wall, context=lines, botParams={"entity": "zen"})
    assert claimed(wall, taken["id"])["context"] == lines
    said(call(wall, "complete", messageId=taken["id"]))
    listed = [wall.http.get(path).text for path in (WALL, "/api/comments", "/api/queue/messages?state=held")]
    assert not [text for text in listed if "My name is Ada." in text]


def test_an_empty_context_means_that_the_entity_remembers_nothing(wall: Server) -> None:
    talk = {"username": "Empty", "botParams": {"entity": "zen"}}
    posted(wall, text="My name is Ada.", **talk)
    asked = posted(wall, text="What is my name?", context=[], **talk)
    assert claimed(wall, asked["id"])["context"] == []


@pytest.mark.every_deployment
def test_without_context_a_claim_brings_the_talk(wall: Server) -> None:
    talk = {"username": "Talker", "botParams": {"entity": "zen"}}
    first = posted(wall, text="My name is Ada.", **talk)
    claimed(wall, first["id"])
    said(send(wall, bot_post(first["id"], "I see.")))
    said(call(wall, "complete", messageId=first["id"]))
    asked = posted(wall, text="What is my name?", **talk)
    assert claimed(wall, asked["id"])["context"] == ["Talker: My name is Ada.", "Zen: I see."]


def test_p8_the_largest_context_of_a_page_is_taken_and_a_larger_one_refused(wall: Server) -> None:
    """200 messages at their longest are 107 kB."""
    longest = [f"{'n' * 16}: {'x' * 515}"] * 200
    assert sum(map(len, longest)) > 106_000
    posted(wall, context=longest, botParams={"entity": "zen"})
    assert_refused(send(wall, page_post(context=["x"] * 201)), 422, "context", "200")
    assert_refused(send(wall, page_post(context=["x" * 700] * 200, botParams={"entity": "zen"})), 422, "context", "bytes")


def test_p8_an_entity_is_a_plain_name(wall: Server) -> None:
    assert posted(wall, botParams={"entity": "zen"})["botParams"]["entity"] == "zen"
    for entity in ("Zen", "the_god"):
        assert_refused(send(wall, page_post(botParams={"entity": entity})), 422, "botParams.entity", "plain name")


@pytest.mark.every_deployment
@pytest.mark.parametrize(
    ("domain", "entity"), [("zen.example.org", "zen"), ("saywhatwant.app", None), ("", None), ("Zen.example.org", "zen")]
)
def test_without_entity_the_first_label_of_the_domain_answers_else_anyone(
    wall: Server, domain: str, entity: str | None
) -> None:
    taken = posted(wall, domain=domain)
    assert taken["botParams"]["entity"] == entity
    assert taken["botParams"]["status"] == "pending"


@pytest.mark.parametrize(("sent", "given_back"), [(0, 5), (5, 5), (50, 50), (99, 99), (None, 30)])
def test_priority_zero_is_five_and_none_is_that_of_the_entity(wall: Server, sent: int | None, given_back: int) -> None:
    assert posted(wall, botParams={"entity": "zen", "priority": sent})["botParams"]["priority"] == given_back


def test_p8_what_is_more_urgent_than_the_setting_allows_needs_the_token(start_server: StartServer) -> None:
    wall = start_server(bot_token=TOKEN)
    for priority, status in ((0, 200), (1, 422), (4, 422), (5, 200)):
        assert send(wall, page_post(botParams={"priority": priority})).status_code == status
    assert_refused(send(wall, page_post(botParams={"priority": 4})), 422, "botParams.priority")
    assert said(send(wall, page_post(botParams={"priority": 4}), **BEARER))["status"] == "success"
    assert_refused(send(wall, page_post(botParams={"priority": 100})), 422, "botParams.priority")


@pytest.mark.parametrize("ais", ["MyAI:255069000", "MyAI:random", f"MyAI:{TAILED}"])
def test_who_shall_answer_is_kept_where_the_entity_allows_it(wall: Server, ais: str) -> None:
    assert posted(wall, botParams={"entity": "zen", "ais": ais})["botParams"]["ais"] == ais
    refused = send(wall, page_post(botParams={"entity": "eliza", "ais": ais}))
    assert_refused(refused, 422, "botParams.ais", "alias")


def test_p8_who_shall_answer_has_a_name_and_a_color(wall: Server) -> None:
    for ais in ("MyAI", "MyAI:red", ":255069000", " :255069000", "MyAI:999888777"):
        assert_refused(send(wall, page_post(botParams={"entity": "zen", "ais": ais})), 422, "botParams.ais", "Name:RRRGGGBBB")


@pytest.mark.parametrize("field", ["model", "nom", "sessionId", "humanUsername", "humanColor"])
def test_the_other_parameters_are_given_back(wall: Server, field: str) -> None:
    assert posted(wall, botParams={"entity": "zen", field: "value-1"})["botParams"][field] == "value-1"
    assert_refused(send(wall, page_post(botParams={field: "x" * 201})), 422, f"botParams.{field}")


def test_a_number_of_messages_is_given_back_as_text(wall: Server) -> None:
    assert posted(wall, botParams={"entity": "zen", "nom": 20})["botParams"]["nom"] == "20"
    for nom in (-1, 1_000_001, 10**300):
        assert_refused(send(wall, page_post(botParams={"entity": "zen", "nom": nom})), 422, "botParams.nom")


def test_the_clean_wall_shows_what_only_the_original_has_in_one_member(wall: Server) -> None:
    taken = posted(wall, domain="saywhatwant.app", botParams={"entity": "zen", "model": "llama", "humanColor": TAILED})
    clean = message(wall, taken["id"])
    assert clean["original"] == {
        "domain": "saywhatwant.app",
        "language": "en",
        "misc": "",
        "model": "llama",
        "humanColor": TAILED,
    }
    assert "message-type" not in clean


def test_the_answer_to_a_post_is_that_of_the_original(wall: Server) -> None:
    answer = said(send(wall, page_post(id="abcdefghijk")))
    assert answer == {"id": "abcdefghijk", "timestamp": answer["timestamp"], "status": "success"}


@pytest.mark.parametrize("unknown", [{"score": 5}, {"botParams": {"entity": "zen", "status": "pending"}}])
def test_p8_a_field_that_no_client_of_the_original_sends_is_refused_by_name(wall: Server, unknown: Json) -> None:
    name = "score" if "score" in unknown else "botParams.status"
    assert_refused(send(wall, page_post(**unknown)), 422, name, "not a known field")


def some(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


KEPT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=10) | st.none()
GOOD = {
    "timestamp": some(0, 1762025642726),
    "color": some("169080199", TAILED),
    "message-type": some("human", "AI"),
    "domain": KEPT,
    "language": KEPT,
    "misc": KEPT,
    "context": st.lists(KEPT.filter(bool), max_size=3),
}
GOOD_PARAMS = {
    "entity": some("zen", "nobody-yet"),
    "priority": some(0, 5, 99, None),
    "model": KEPT,
    "nom": KEPT | some(20),
    "sessionId": some("session-1", None),
    "humanUsername": KEPT,
    "humanColor": KEPT,
}
BAD = {
    "id": some("abc", "UPPER", 5),
    "timestamp": some("now", -1, 1.5),
    "color": some("999888777", "169080199-x"),
    "message-type": some("alien", 5),
    "domain": some("x" * 201, 5, "a\0b"),
    "context": some("Ada: Hello.", ["x"] * 201, [5]),
    "eqScore": some(80),
    "score": some(80),
}
BAD_PARAMS = {
    "entity": some("Zen", 5, ""),
    "priority": some(100, "5", -1),
    "ais": some("MyAI", 5, "MyAI:red"),
    "model": some("x" * 201, 5),
    "sessionId": some("", 5, "x" * 65),
    "status": some("pending"),
}


def one_of(fields: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Json]:
    """One of these fields, or none."""
    return some(*fields).flatmap(lambda name: st.fixed_dictionaries({}, optional={str(name): fields[str(name)]}))


@given(
    good=st.fixed_dictionaries({}, optional=GOOD),
    good_params=st.fixed_dictionaries({}, optional=GOOD_PARAMS),
    bad=one_of(BAD),
    bad_params=one_of(BAD_PARAMS),
)
@settings(deadline=None, max_examples=200)
def test_p8_every_field_is_kept_or_refused_by_name(
    wall: Server, good: Json, good_params: Json, bad: Json, bad_params: Json
) -> None:
    """The clock of a page is not kept, and a context no longer than the work."""
    sent = good | bad | {"botParams": good_params | bad_params}
    body = {"text": "Why?", "username": "Human", "color": "169080199"} | sent
    response = send(wall, body)
    if response.status_code != 200:
        assert_refused(response, 422)
        names = {*bad, *(f"botParams.{name}" for name in bad_params)}
        ruled_out = {"context"} if sent.get("message-type") == "AI" else set()
        assert response.json()["field"].partition("[")[0] in names | ruled_out
        return
    assert not bad
    assert not bad_params
    found = original(wall, response.json()["id"])
    params = {name: value for name, value in sent["botParams"].items() if value is not None}
    if "priority" in params:
        params["priority"] = params["priority"] or 5
    if "nom" in params:
        params["nom"] = str(params["nom"])
    assert params.items() <= found["botParams"].items()
    kept = {
        name: value for name, value in sent.items() if name not in {"timestamp", "context", "botParams"} and value is not None
    }
    assert kept.items() <= found.items()
    wants_no_answer = found["botParams"].get("answer") is False
    assert ("context" in sent) == (found["botParams"].get("hasContext", False) or wants_no_answer)
