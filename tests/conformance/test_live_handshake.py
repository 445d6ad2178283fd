"""Who may open the WebSocket feed: decided at the handshake."""

import pytest
from calls import assert_problem, post
from readers import Feed, open_sockets, shake_hands

from conftest import StartServer
from servers import Server, until

pytestmark = pytest.mark.one_deployment("who may connect is decided before any object is asked")

FRIEND = "https://friend.example"
STRANGER = "https://stranger.example"


@pytest.mark.parametrize("origin", [STRANGER, "null", "http://127.0.0.1", "http://127.0.0.1:1"])
def test_p8_pages_of_other_sites_are_refused_at_the_handshake(server: Server, origin: str) -> None:
    before = open_sockets(server)
    assert_problem(shake_hands(server, Origin=origin), 403, origin)
    assert open_sockets(server) == before


def test_p8_own_pages_and_programs_are_accepted(server: Server) -> None:
    for headers in ({}, {"Origin": server.url}, {"Origin": "https://wall.example", "Host": "wall.example"}):
        assert shake_hands(server, **headers).status_code == 101


def test_p8_pages_of_the_sites_in_the_settings_are_accepted(start_server: StartServer) -> None:
    server = start_server(cors_origins=f"{FRIEND},https://another.example")
    for origin in (FRIEND, "https://another.example", server.url):
        assert shake_hands(server, Origin=origin).status_code == 101
    assert_problem(shake_hands(server, Origin=STRANGER), 403, STRANGER)


def test_p8_pages_of_all_sites_are_accepted_where_the_settings_allow_them(start_server: StartServer) -> None:
    server = start_server(cors_origins="*")
    assert shake_hands(server, Origin=STRANGER).status_code == 101


def test_p8_the_feed_needs_no_token(start_server: StartServer) -> None:
    """Anyone may read."""
    assert shake_hands(start_server(bot_token="x" * 32)).status_code == 101


@pytest.mark.parametrize("since", ["now", "", "-1", "1.5", "9" * 400, "%00", "0x10"])
def test_p8_a_bad_token_is_refused_at_the_handshake(server: Server, since: str) -> None:
    assert_problem(shake_hands(server, f"?since={since}"), 422, "since")


def test_p8_a_get_without_a_handshake_is_asked_to_upgrade(server: Server) -> None:
    response = server.http.get("/api/ws")
    assert_problem(response, 426, "WebSocket")


@pytest.mark.needs("own connections")
def test_p8_that_answer_names_the_protocol(server: Server) -> None:
    assert server.http.get("/api/ws").headers["upgrade"] == "websocket"


def test_p8_sockets_of_one_address_are_bounded_and_a_closed_one_makes_room(start_server: StartServer) -> None:
    server = start_server(sockets_per_address=2)
    with Feed(server) as first:
        with Feed(server):
            assert open_sockets(server) == 2
            assert_problem(shake_hands(server), 429, "2 sockets")
            assert open_sockets(server) == 2
        until(lambda: open_sockets(server) == 1, "the end of the second socket")
        with Feed(server) as third:
            assert_problem(shake_hands(server), 429)
            last = post(server)["id"]
            first.until_message(last)
            third.until_message(last)
    until(lambda: open_sockets(server) == 0, "the end of all sockets")


def test_p8_refused_handshakes_count_for_nothing(start_server: StartServer) -> None:
    server = start_server(sockets_per_address=1)
    for _ in range(3):
        assert_problem(shake_hands(server, Origin=STRANGER), 403)
        assert_problem(shake_hands(server, "?since=now"), 422)
    assert shake_hands(server).status_code == 101
