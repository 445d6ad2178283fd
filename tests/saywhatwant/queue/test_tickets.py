"""Tickets in memory: the first one for an entity, those that have ended, and those of past lives, as a plain dict has them."""

from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.queue.tickets import Ticket, Tickets

ENTITIES = ("zen", "rude")
NAMES = [f"{gateway}/{life}/0" for gateway in "ab" for life in (1, 2)]
LAST = 9
SHORT, LONG = Ticket(0, 1, None), Ticket(0, LAST, None)
STEPS = st.one_of(
    st.tuples(
        st.just("add"),
        st.sampled_from(NAMES),
        st.builds(
            Ticket,
            since=st.integers(0, 5),
            until=st.integers(1, LAST),
            entities=st.none() | st.sampled_from([("zen",), ("rude",), ENTITIES]),
        ),
    ),
    st.tuples(st.just("pop"), st.sampled_from(NAMES)),
    st.tuples(st.just("time"), st.integers(0, LAST)),
)


@settings(max_examples=examples(1_000))
@given(steps=st.lists(STEPS, max_size=60), compacted=st.sampled_from([0, 100]))
@example(steps=[("add", NAMES[0], SHORT), ("pop", NAMES[0]), ("add", NAMES[0], LONG), ("time", 2)], compacted=100)
def test_p4_tickets_are_found_as_in_a_plain_dict(steps: list[tuple[Any, ...]], compacted: int) -> None:
    with patch("saywhatwant.queue.tickets.MIN_COMPACTED", compacted):
        compare(steps)


def compare(steps: list[tuple[Any, ...]]) -> None:
    tickets, model = Tickets(), dict[str, Ticket]()
    now = 0
    for step in [*steps, ("time", LAST)]:
        match step:
            case ("add", name, ticket) if name not in model:
                tickets.add(name, ticket)
                model[name] = ticket
            case ("pop", name):
                assert tickets.pop(name) == model.pop(name, None)
            case ("time", at):
                now = at
                while (name := tickets.ended(now)) is not None:
                    assert model.pop(name).until <= now
                    tickets.pop(name)
                assert all(ticket.until > now for ticket in model.values())
        assert set(tickets.entities) == {entity for ticket in model.values() for entity in ticket.entities or ()}
        for entity in (None, *ENTITIES):
            assert tickets.first(now, entity) == first_in(model, now, entity)
        for name in ("a/2/9", "b/1/9"):
            assert sorted(tickets.of_past_lives(name)) == past_lives_in(model, name)
    assert len(tickets) == len(model) == 0


def first_in(model: dict[str, Ticket], now: int, entity: str | None) -> tuple[int, str] | None:
    found = [
        (ticket.since, name)
        for name, ticket in model.items()
        if ticket.until > now and (entity is None or ticket.entities is None or entity in ticket.entities)
    ]
    return min(found, default=None)


def past_lives_in(model: dict[str, Ticket], name: str) -> list[str]:
    gateway, life, _ = name.split("/")
    return sorted(known for known in model if known.split("/")[0] == gateway and known.split("/")[1] < life)
