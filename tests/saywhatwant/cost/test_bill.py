"""Bills: what each count costs, and how prices are changed."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from saywhatwant.cost.bill import Bill
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.prices import MILLION, Prices, WrongPrices, load_prices
from saywhatwant.cost.report import Cost, Report
from saywhatwant.usage import Usage

NOTHING = Counts(
    seconds=0,
    round_trips=MILLION,
    requests={},
    socket_messages=0,
    alarm_calls=0,
    rows_read=0,
    rows_written=0,
    alarms_set=0,
    active_seconds=0,
)
FREE_TIME = Prices(event_ms=0, wake_ms=0)


@pytest.mark.parametrize(
    ("counts", "objects", "worker"),
    [
        ({"requests": {"posts": MILLION}}, 0.15, 0.30),
        ({"socket_messages": 20 * MILLION}, 0.15, 0),
        ({"alarm_calls": MILLION}, 0.15, 0),
        ({"rows_read": MILLION}, 0.001, 0),
        ({"rows_written": MILLION}, 1.00, 0),
        ({"alarms_set": MILLION}, 1.00, 0),
        ({"active_seconds": MILLION}, 12.50 * 0.128, 0),
    ],
)
def test_each_count_costs_what_the_price_list_says(counts: dict[str, object], objects: float, worker: float) -> None:
    bill = Bill.of(replace(NOTHING, **counts), FREE_TIME)
    assert bill.objects == pytest.approx(objects)
    assert bill.total == pytest.approx(objects + worker)
    assert bill.per_million(bill.objects) == pytest.approx(objects)


def test_each_event_is_time_too() -> None:
    """A request, a message and an alarm, of a second each; and a wake of ten."""
    counts = replace(NOTHING, requests={"posts": 1}, socket_messages=1, alarm_calls=1, wakes=1)
    prices = Prices(event_ms=1_000, wake_ms=10_000)
    (running,) = [line for line in Bill.of(counts, prices).lines if line.cause == "running"]
    assert running.count == pytest.approx(13 * 0.128)
    assert running.unit == "GB-s"


def test_nothing_is_divided_by_nothing() -> None:
    bill = Bill.of(replace(NOTHING, round_trips=0, rows_written=5), Prices())
    assert (bill.per_million(bill.total), bill.per_month(bill.total)) == (None, None)


def test_a_month_has_thirty_days_of_the_same() -> None:
    bill = Bill.of(replace(NOTHING, rows_written=MILLION, seconds=24 * 3_600), FREE_TIME)
    assert bill.per_month(bill.total) == pytest.approx(30)


def test_counts_are_subtracted_by_cause() -> None:
    earlier = replace(NOTHING, requests={"posts": 1, "bots": 2}, rows_read=3, round_trips=1)
    later = replace(NOTHING, requests={"posts": 5, "bots": 2, "pages": 1}, rows_read=4, round_trips=3)
    used = later.since(earlier)
    assert (used.requests, used.rows_read, used.round_trips) == ({"posts": 4, "pages": 1}, 1, 2)


def test_a_server_counts_since_it_started() -> None:
    usage = Usage(
        since=1_000,
        round_trips=7,
        requests=6,
        socket_messages=5,
        alarm_calls=4,
        rows_read=3,
        rows_written=2,
        alarms_set=1,
        active_ms=500,
    )
    counts = Counts.of(usage, 11_000)
    assert (counts.seconds, counts.round_trips, counts.requests, counts.active_seconds) == (10, 7, {"calls": 6}, 0.5)


def test_the_earlier_designs_cost_what_their_operators_said() -> None:
    first, successor = Report.of(Prices()).costs
    assert first.per_million == pytest.approx(33, abs=0.5)
    assert successor.per_million_objects == pytest.approx(3.60)
    assert Report.of(Prices()).counted == []


def test_prices_come_from_a_file_and_from_options(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('as_of = "2030-01-01"\nrows_written = 2.0\nrows_read = 7\n')
    prices = load_prices(file, rows_written="3")
    assert (prices.as_of, prices.rows_written, prices.rows_read) == ("2030-01-01", 3, 7)
    assert prices.object_requests == Prices().object_requests


@pytest.mark.parametrize(
    ("text", "given", "says"),
    [
        ("row = 1", {}, "`row`"),
        ("rows_read = 'cheap'", {}, "rows_read"),
        ("rows_read =", {}, "prices.toml"),
        ("", {"rows_raed": "1"}, "`rows_raed`"),
        ("", {"rows_read": "cheap"}, "rows_read"),
    ],
)
def test_a_price_that_is_none_is_refused_by_its_name(text: str, given: dict[str, str], says: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(WrongPrices, match=says):
        load_prices(file, **given)


def test_a_cost_says_what_it_is_for_a_million_and_for_a_month() -> None:
    counts = replace(NOTHING, round_trips=1_000, requests={"posts": 1_000}, seconds=30 * 24 * 3_600)
    cost = Cost.counted("quiet", "an evening", counts, FREE_TIME)
    assert cost.per_million_objects == pytest.approx(0.15)
    assert cost.per_million == pytest.approx(0.45)
    assert cost.per_month == pytest.approx(0.45 / 1_000)
