"""The broadcaster: subscribing at any moment between two commits, and what every subscriber receives."""

from unittest import mock

from broadcast_harness import Client, Harness, assert_complete, assert_replies, of_progress

from saywhatwant.schemas import ProgressState
from saywhatwant.worker import live_frames, subscriber
from saywhatwant.worker.queue_events import QueueEvent
from saywhatwant.worker.subscriber import TOO_SLOW, TRY_AGAIN_LATER
from scenario import run, turns


def test_p5_a_client_slower_than_the_wall_gets_further_with_each_page() -> None:
    """Two messages a page, two posts for each page read: nothing piles up for it, and it arrives once the wall is quiet."""

    async def scenario() -> None:
        harness = Harness()
        for _ in range(20):
            harness.post()
        client = Client(harness, slow=True)
        await turns()
        tokens = [client.token]
        for _ in range(50):
            harness.post()
            harness.post()
            client.read()
            await turns()
            tokens.append(client.token)
        assert tokens == list(range(0, 102, 2)), "a page more for each frame read"
        assert (client.close_code, harness.broadcaster._frames._changes) == (None, [])
        assert [(paused.close_code, list(paused._frames)) for paused in harness.broadcaster._subscribers] == [(None, [])]
        while not client.caught_up:
            client.read()
            await turns()
        assert client.token == harness.posts
        assert_complete(harness, client, max_missed=2)
        client.leave()
        await turns()

    with mock.patch.object(live_frames, "MAX_MISSED", 2), mock.patch.object(subscriber, "MAX_BEHIND_CHARS", 1_000):
        run(scenario())


def test_p5_a_client_closed_for_being_too_slow_comes_back_to_where_it_was() -> None:
    async def scenario() -> None:
        harness = Harness()
        harness.post()
        client = Client(harness, slow=True)
        client.read()
        await turns()
        for _ in range(9):
            harness.post()
            await turns()
        client.read()
        await turns()
        assert (client.close_code, harness.metrics.closes) == (TOO_SLOW, {str(TOO_SLOW): 1})
        again = Client(harness, client.token)
        await turns()
        assert again.since >= 1
        assert_complete(harness, again)
        again.leave()
        await turns()

    with mock.patch.object(subscriber, "MAX_BEHIND_CHARS", 1_000):
        run(scenario())


def test_p2_who_subscribes_before_a_commit_gets_nothing_until_it_is_durable() -> None:
    async def scenario() -> None:
        harness = Harness(autocommit=False)
        harness.post()
        harness.runtime.begin_commit()
        harness.post()
        client = Client(harness)
        await turns()
        harness.runtime.commit()
        await turns()
        assert client.frames == []
        harness.runtime.commit()
        await turns()
        assert [frame["seq"] for frame in client.frames] == [2]
        assert [message["text"] for message in client.messages] == ["number 1", "number 2"]
        client.leave()
        await turns()

    run(scenario())


def test_p2_who_subscribes_before_a_commit_that_fails_is_closed_with_try_again_later() -> None:
    async def scenario() -> None:
        harness = Harness(autocommit=False)
        await harness.queue_events.start()
        harness.post()
        client, other = Client(harness), Client(harness)
        await turns()
        harness.runtime.fail()
        await turns()
        assert (client.frames, client.close_code, other.close_code) == ([], TRY_AGAIN_LATER, TRY_AGAIN_LATER)
        assert len(harness.broadcaster) == 0
        assert harness.metrics.closes == {str(TRY_AGAIN_LATER): 2}

    run(scenario())


def test_p9_open_sockets_keep_no_object_in_memory_and_get_its_events_when_it_wakes() -> None:
    async def scenario() -> None:
        harness = Harness()
        harness.post()
        clients = [Client(harness, 0), Client(harness, 1)]
        await turns()
        for number in range(2, 5):
            harness.runtime.evict_idle()
            harness.runtime.evict_idle()
            assert harness.runtime.live_objects == 0
            assert len(harness.broadcaster) == 2
            harness.post()
            await turns()
            for client in clients:
                assert client.messages[-1]["text"] == f"number {number}"
                assert client.token == number
        for client in clients:
            assert_complete(harness, client)
            client.leave()
        await turns()

    run(scenario())


def test_p9_without_subscribers_an_event_is_not_even_decoded() -> None:
    async def scenario() -> None:
        harness = Harness()
        seen: list[QueueEvent] = []
        harness.queue_events.subscribe(seen.append)
        client = Client(harness)
        await turns()
        harness.post()
        await turns()
        client.leave()
        await turns()
        harness.post()
        await turns()
        assert [event._decoded is None for event in seen] == [False, True]
        assert harness.broadcaster._heartbeat is None
        last = Client(harness, harness.posts)
        await turns()
        assert last.events == []
        last.leave()
        await turns()

    run(scenario())


def test_p2_the_first_subscriber_sees_what_a_bot_has_been_doing_before_it_came() -> None:
    """A bot reports only once that its model loads; a page that is opened minutes later must show it."""

    async def scenario() -> None:
        harness = Harness()
        await harness.queue_events.start()
        harness.post()
        harness.claim()
        steps: list[tuple[ProgressState, str]] = [("waking", ""), ("thinking", ""), ("writing", "Because")]
        for state, text in steps:
            harness.progress(text, state)
            client = Client(harness)
            await turns()
            (event,) = of_progress(client.events)
            assert (event.get("state", "writing"), event["offset"], event["text"]) == (state, 0, text)
            client.leave()
            await turns()
        harness.complete()
        client = Client(harness)
        await turns()
        assert of_progress(client.events) == []
        client.leave()
        await turns()

    run(scenario())


def test_p2_the_events_of_one_commit_are_one_frame() -> None:
    async def scenario() -> None:
        harness = Harness(autocommit=False)
        client = Client(harness)
        await turns()
        for _ in range(3):
            harness.post()
        harness.runtime.commit()
        await turns()
        assert [(frame["seq"], len(frame["events"])) for frame in client.frames] == [(0, 0), (3, 3)]
        client.leave()
        await turns()

    run(scenario())


def test_p5_a_heartbeat_has_the_token_of_what_was_sent_before_it() -> None:
    """A later one would have its client reconnect behind something that it never got."""

    async def scenario() -> None:
        harness = Harness()
        harness.post()
        client = Client(harness)
        await turns()
        harness.broadcaster._beat()
        await turns()
        assert client.frames[-1] == {"seq": 1, "events": []}
        # The commit is done, and its events are on their way.
        harness.post()
        harness.broadcaster._beat()
        await turns()
        assert_complete(harness, client)
        sent: list[int] = []
        for frame in client.frames:
            sent += [event["message"]["seq"] for event in frame["events"]]
            assert frame["seq"] == max(sent, default=0)
        client.leave()
        await turns()

    run(scenario())


def test_p5_a_frame_that_was_under_way_when_a_client_came_does_not_take_its_token_back() -> None:
    """A reply being written is no commit: its frame has the token of the commits that it came with, or after."""

    async def scenario() -> None:
        harness = Harness(autocommit=False)
        harness.post()
        harness.claim()
        harness.runtime.commit()
        harness.post()
        harness.progress()
        harness.runtime.begin_commit()
        harness.post()
        client = Client(harness)
        await turns()
        harness.runtime.commit()
        await turns()
        harness.runtime.commit()
        await turns()
        assert [frame["seq"] for frame in client.frames] == [4]
        assert len(of_progress(harness.log)) == 1
        assert_replies(harness, client)
        client.leave()
        await turns()

    run(scenario())


def test_p5_the_first_client_after_a_while_is_not_taken_back_to_where_the_last_one_was() -> None:
    async def scenario() -> None:
        harness = Harness()
        harness.post()
        for _ in range(2):
            client = Client(harness)
            await turns()
            assert {frame["seq"] for frame in client.frames} == {harness.posts}
            client.leave()
            await turns()
            harness.post()

    run(scenario())


def test_p8_a_client_that_sends_something_is_closed_and_the_others_are_not() -> None:
    async def scenario() -> None:
        harness = Harness()
        loud, silent = Client(harness), Client(harness)
        await turns()
        loud.send("hello")
        await turns()
        assert (loud.close_code, silent.close_code) == (1_008, None)
        assert loud.task.done()
        harness.post()
        await turns()
        assert (len(loud.events), len(silent.events)) == (0, 1)
        silent.leave()
        await turns()
        assert harness.metrics.closes == {"1008": 1, "client": 1}

    run(scenario())


def test_p8_sockets_are_limited_per_ipv4_address_and_per_ipv6_network() -> None:
    async def scenario() -> None:
        harness = Harness(per_client=2)
        open_ = [Client(harness, 0, address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")]
        open_ += [Client(harness, 0, address) for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
        await turns()
        refused = [Client(harness, 0, address) for address in ("192.0.2.1", "2001:db8::ffff:3")]
        await turns()
        assert ([client.refusal for client in refused], len(harness.broadcaster)) == ([429, 429], 6)
        open_[0].leave()
        await turns()
        open_.append(Client(harness, 0, "192.0.2.1"))
        await turns()
        assert (open_[-1].refusal, len(harness.broadcaster)) == (None, 6)
        for client in open_:
            client.leave()
        await turns()
        assert len(harness.broadcaster) == 0
        assert len(harness.admission.clients) == 0, "an address without sockets takes no memory"
        assert harness.metrics.handshakes == {101: 7, 429: 2}

    run(scenario())
