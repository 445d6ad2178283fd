"""Bots on a WebSocket when a socket, a bot or a server ends in the middle (P3, P4)."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from random import Random

import pytest
from bot_sockets import PATH, BotSocket, entities, hold_of
from calls import Json, claim_next, message, params, post, queue, read, said
from readers import HANDSHAKE
from websockets.exceptions import ConnectionClosed

from conftest import StartServer
from deployments import Deployment
from servers import DEADLINE_SECONDS, Server, until


def until_pending(server: Server, message_id: str) -> Json:
    """Its ``botParams``, once it is pending."""
    return until(lambda: (found := params(server, message_id))["status"] == "pending" and found, "its release")


@pytest.mark.parametrize("how", ["cut", "close"])
def test_p4_the_end_of_a_socket_gives_its_messages_back_at_once_and_costs_no_attempt(server: Server, how: str) -> None:
    name = f"ends-{how}"
    with BotSocket(server, **entities(name)) as bot:
        message_id = post(server, entity=name)["id"]
        bot.work()
        if how == "cut":
            bot.cut()
    found = until_pending(server, message_id)
    assert (found["attempt"], found["tries"], found["claimedBy"]) == (1, 0, None)
    assert "socket" not in found
    with BotSocket(server, "other", **entities(name)) as other:
        other.complete(other.work()["message"])


@pytest.mark.one_deployment("sockets are the server's, whatever has the objects; it takes two pings")
@pytest.mark.needs("own connections")
def test_p4_a_bot_that_is_frozen_is_found_by_pings_and_its_message_is_given_back(server: Server) -> None:
    """Its connection stays open, since its kernel goes on."""
    with frozen_bot(server, entities("frozen")) as client:
        message_id = post(server, entity="frozen")["id"]
        until(lambda: params(server, message_id)["status"] == "processing", "its hand-over")
        found = until_pending(server, message_id)
        assert (found["attempt"], found["tries"]) == (1, 0)
        assert client.fileno() >= 0


@contextmanager
def frozen_bot(server: Server, hello: Json) -> Iterator[socket.socket]:
    """A socket that has said hello, and says and reads nothing more."""
    url = server.http.base_url
    with socket.create_connection((url.host, url.port), DEADLINE_SECONDS) as client:
        headers = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{headers}\r\n".encode())
        assert client.recv(4_096).startswith(b"HTTP/1.1 101 ")
        frame = json.dumps({"type": "hello", "workerId": "frozen"} | hello).encode()
        assert len(frame) < 126, "its length is in one byte"
        # One text frame, with a mask that changes nothing.
        client.sendall(bytes([0x81, 0x80 | len(frame), 0, 0, 0, 0]) + frame)
        yield client


def test_p3_a_bot_whose_socket_ended_is_refused_once_another_bot_has_its_message(server: Server) -> None:
    with BotSocket(server, "first", **entities("passed")) as bot:
        message_id = post(server, entity="passed")["id"]
        hold = hold_of(bot.work()["message"])
        with BotSocket(server, "second", **entities("passed")) as other:
            bot.cut()
            again = other.work()["message"]
            assert again["botParams"]["attempt"] == 2
            refused = queue(server, "complete", **hold, workerId="first", reply={"text": "Mine."})
            assert refused.status_code == 409
            other.complete(again, "Other.")
    assert [found["text"] for found in read(server) if found["replyTo"] == message_id] == ["Other."]


def test_a_bot_that_comes_back_gets_its_message_before_all_others(server: Server, deployment: Deployment) -> None:
    with BotSocket(server, **entities("back")) as bot:
        message_id = post(server, entity="back", priority=60)["id"]
        hold = hold_of(bot.work()["message"])
        bot.cut()
        until_pending(server, message_id)
        if deployment.hands_over:
            post(server, entity="back", priority=10)
    with BotSocket(server, **entities("back"), holds=[hold], resumes=bot.name) as again:
        if deployment.hands_over:
            assert again.welcome["held"] == [hold | {"attempt": 2}]
        work = again.work()["message"]
        assert (work["id"], work["botParams"]["attempt"], work["botParams"]["tries"]) == (message_id, 2, 1)
        again.complete(work)


def test_a_lease_that_ran_out_or_was_ended_is_told(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, socket_lease_seconds=1)
    with BotSocket(server, **entities("slow")) as bot:
        first = post(server, entity="slow")["id"]
        bot.work()
        lost = bot.hear("lost")
        assert (lost["messageId"], lost["attempt"]) == (first, 1)
        assert params(server, first)["status"] == "pending", "a bot that may hang gets nothing"
        bot.call("hands", **entities("slow"))
        again = bot.work()["message"]
        assert again["botParams"]["attempt"] == 2
        said(queue(server, "batch", action="fail", messageIds=[first]))
        assert bot.hear("lost")["attempt"] == 2
        bot.call("hands", **entities("slow"))
        second = post(server, entity="slow")["id"]
        assert bot.work()["message"]["id"] == second, "it stands again"


@pytest.mark.needs("durability")
def test_p4_a_bot_goes_on_when_the_server_was_killed(start_server: StartServer, deployment: Deployment) -> None:
    """In the same attempt, and what was handed over just before the kill is not lost."""
    server = start_server()
    with BotSocket(server, **entities("killed", hands=2)) as bot:
        seen = post(server, entity="killed")["id"]
        hold = hold_of(bot.work()["message"])
        unseen = post(server, entity="killed")["id"]
        until(lambda: params(server, unseen)["status"] == "processing", "its hand-over")
        server.kill()
    server.start()
    with BotSocket(server, **entities("killed", hands=2), holds=[hold], resumes=bot.name) as again:
        assert again.welcome["held"] == [hold]
        if deployment.hands_over:
            work = again.work()["message"]
            assert (work["id"], work["botParams"]["tries"]) == (unseen, 1), "it was given back, and costs no attempt"
        again.complete(message(server, seen), "Here it is.")
    assert [found["text"] for found in read(server) if found["replyTo"] == seen] == ["Here it is."]


@pytest.mark.needs("durability")
@pytest.mark.one_deployment("where there may be other gateways, one that says nothing is gone after a minute")
def test_p4_what_a_bot_held_that_died_with_its_server_goes_back_after_an_ordinary_lease(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, socket_lease_seconds=3_600)
    with BotSocket(server, **entities("gone")) as bot:
        message_id = post(server, entity="gone")["id"]
        bot.work()
        server.kill()
    server.start()
    with BotSocket(server, "other", **entities("gone")) as other:
        work = other.work()["message"]
        assert (work["id"], work["botParams"]["attempt"]) == (message_id, 2)
        other.complete(work)


@pytest.mark.one_deployment("where there may be other gateways, one that says nothing is gone after a minute")
def test_p4_a_message_is_not_handed_to_a_bot_that_died_with_its_server(start_server: StartServer) -> None:
    server = start_server(lease_seconds=3_600, socket_lease_seconds=3_600)
    with BotSocket(server, **entities("gone")):
        server.kill()
    server.start()
    message_id = post(server, entity="gone")["id"]
    assert params(server, message_id)["status"] == "pending"
    with BotSocket(server, "other", **entities("gone")) as other:
        work = other.work()["message"]
        assert (work["id"], work["botParams"]["attempt"]) == (message_id, 1)
        other.complete(work)


@pytest.mark.needs("own connections")
def test_a_server_that_stops_closes_its_sockets_and_its_bots_go_on_elsewhere(
    start_server: StartServer, deployment: Deployment
) -> None:
    server = start_server()
    with BotSocket(server, **entities("stopped")) as bot, BotSocket(server, "idle", **entities("idle")) as idle:
        post(server, entity="stopped")
        work = bot.work()["message"]
        server.terminate()
        assert (bot.close_code(), idle.close_code()) == (1_012, 1_012)
    if "durability" in deployment.lacks:
        return
    server.start()
    with BotSocket(server, **entities("stopped"), holds=[hold_of(work)], resumes=bot.name) as again:
        assert again.welcome["held"] == [hold_of(work)]
        again.complete(work)


def is_over(server: Server) -> bool:
    """Whether every question is answered."""
    return all(found["botParams"]["status"] == "complete" for found in read(server) if found["replyTo"] is None)


def answer_until_cut(bot: BotSocket, server: Server, random: Random) -> list[Json]:
    """Answer what comes, until all is answered or the socket is cut at a random moment; returns what it held then."""
    while not is_over(server):
        try:
            frames = bot.take(0.2)
        except TimeoutError:
            continue
        for work in [frame["message"] for frame in frames if frame["type"] == "message"]:
            if random.random() < 0.2:
                bot.cut()
                return [hold_of(work)]
            bot.say("complete", **hold_of(work), reply={"text": "By a socket."})
    return []


def answer_on_sockets(server: Server, number: int) -> None:
    """A bot that comes back after each cut."""
    random, resumes = Random(number), dict[str, object]()
    while not is_over(server):
        with (
            suppress(ConnectionClosed, OSError),
            BotSocket(server, f"bot {number}", **entities("crowd", hands=2), **resumes) as bot,
        ):
            resumes = {"resumes": bot.name}
            resumes["holds"] = answer_until_cut(bot, server, random)


def answer_polls(server: Server) -> None:
    """A bot without a socket."""
    while not is_over(server):
        for found in claim_next(server, "poller", entities=["crowd"], wait=0.2):
            said(queue(server, "complete", **hold_of(found), workerId="poller", reply={"text": "By a poll."}))


def test_p4_every_message_is_answered_once_whatever_bots_are_cut(start_server: StartServer) -> None:
    """Several bots, with sockets and without."""
    server = start_server(lease_seconds=5)
    ids = [post(server, f"question {number}", entity="crowd")["id"] for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(answer_on_sockets, server, number) for number in range(3)]
        for done in [*running, threads.submit(answer_polls, server)]:
            done.result()
    replies = Counter(found["replyTo"] for found in read(server) if found["replyTo"] is not None)
    assert replies == dict.fromkeys(ids, 1)
