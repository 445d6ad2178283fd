"""The model of the cluster keeps the laws of operational analysis, and its document prints what it says."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks.model.demands import CLIENTS, MEASURED, PROCESSES, Demands, Load, Readers, batch_of, demands, errors, expected
from benchmarks.model.document import generated
from benchmarks.model.laws import Line, batch_under, closed, fitted, utilization
from benchmarks.model.needs import FULL, MAX_BATCH, WRITER, Measures, Workload, answered, most_visitors, needs
from documents import ROOT, text_of

TIMES = st.floats(1e-6, 1.0)
STATIONS = st.lists(st.tuples(TIMES, st.integers(1, 8)), min_size=1, max_size=4)
CUSTOMERS = st.integers(1, 500)
COSTS = Demands(
    dict.fromkeys((*PROCESSES, CLIENTS), Line(0.002, 0.0001)), written=Line(10_000, 1_000), seconds=Line(0.008, 0.0001)
)
READERS = Readers(frame=20e-6, idle=4e-6, socket_bytes=25_000, follow=dict.fromkeys(PROCESSES, 0.001))
MEASURES = Measures(COSTS, READERS, {"gateway": 80e6, "objects": 90e6})


@given(CUSTOMERS, STATIONS, TIMES)
def test_no_station_is_busier_than_its_servers(customers: int, stations: list[tuple[float, int]], delay: float) -> None:
    rate = closed(customers, stations, delay)
    for demand, servers in stations:
        assert utilization(rate, demand, servers) <= 1 + 1e-6


@given(CUSTOMERS, STATIONS, TIMES)
def test_a_customer_is_served_no_faster_than_alone(customers: int, stations: list[tuple[float, int]], delay: float) -> None:
    alone = delay + sum(demand for demand, _ in stations)
    assert closed(customers, stations, delay) <= customers / alone * (1 + 1e-6)
    assert closed(1, stations, delay) == pytest.approx(1 / alone)


@given(st.integers(1, 200), STATIONS, TIMES)
def test_more_customers_are_never_served_slower_in_all(customers: int, stations: list[tuple[float, int]], delay: float) -> None:
    assert closed(customers + 1, stations, delay) >= closed(customers, stations, delay) * (1 - 1e-6)


@given(CUSTOMERS, st.integers(1, 6), TIMES)
def test_equal_stations_share_the_customers_equally(customers: int, number: int, demand: float) -> None:
    """The one case with a formula: each customer waits for its share of the others at each station."""
    rate = closed(customers, [(demand, 1)] * number, 0)
    assert rate == pytest.approx(customers / (demand * (customers + number - 1)))


def test_costs_are_split_into_those_of_a_batch_and_those_of_a_call() -> None:
    assert fitted([(calls, 5 + 2 * calls) for calls in (1, 10, 100)]) == pytest.approx(Line(5, 2))


@given(st.lists(st.tuples(st.floats(1, 256), st.floats(1e-6, 1.0)), min_size=1, max_size=8))
def test_no_part_of_a_cost_is_negative(points: list[tuple[float, float]]) -> None:
    assert min(fitted(points)) >= 0


@given(st.floats(0.01, 50_000))
def test_a_batch_is_what_comes_while_the_last_one_is_under_way(rate: float) -> None:
    batch = batch_under(rate, COSTS.seconds, MAX_BATCH)
    assert 1 <= batch <= MAX_BATCH
    if 1 < batch < MAX_BATCH:
        assert batch == pytest.approx(rate * COSTS.seconds.of_batch(batch))


def load(keys: int, connections: int, per_second: float = 1_000) -> Load:
    one = Load("restate", 1, 1, keys, connections, per_second, 1.0, 2.0, 1.0, {}, 0.0, 2.0)
    calls = batch_of(one)
    cpu = {name: line.of_call(calls) for name, line in COSTS.cpu.items()}
    return one._replace(calls=calls, cpu=cpu, written=COSTS.written.of_call(calls))


def test_the_demands_are_found_in_what_was_measured() -> None:
    alone = [load(1, connections) for connections in (1, 32, 128)]
    loads = [one._replace(per_second=one.calls / COSTS.seconds.of_batch(one.calls)) for one in alone]
    found = demands([*loads, load(64, 256), load(64, 1_024)])
    assert found.seconds == pytest.approx(COSTS.seconds)
    assert found.written == pytest.approx(COSTS.written)
    assert found.cpu == {name: pytest.approx(line) for name, line in COSTS.cpu.items()}


def test_a_load_that_the_laws_made_is_expected_as_it_is() -> None:
    loads = [load(keys, connections) for keys, connections in ((1, 1), (1, 32), (1, 128), (4, 256), (64, 256), (64, 512))]
    made = [one._replace(per_second=expected(one, COSTS)) for one in loads]
    assert len(errors(made)) == len(made)
    assert [expects for _, expects in errors(made)] == pytest.approx([one.per_second for one in made], rel=0.01)


def test_what_is_expected_never_exceeds_the_cores() -> None:
    for keys, connections in ((4, 128), (64, 128), (64, 2_048)):
        one = load(keys, connections)
        assert sum(expected(one, COSTS) * demand for demand in one.cpu.values()) <= one.cores


def test_more_visitors_never_need_less() -> None:
    sizes = [needs(Workload("made up", 10, visitors, objects=33), MEASURES) for visitors in (10, 1_000, 100_000, 3_000_000)]
    for fewer, more in pairwise(sizes):
        assert (fewer.calls, fewer.gateways, fewer.nodes, fewer.node_cores, fewer.disk_bytes) <= (
            more.calls,
            more.gateways,
            more.nodes,
            more.node_cores,
            more.disk_bytes,
        )
        assert all(fewer.busy[name] <= more.busy[name] for name in fewer.busy)


def test_walls_need_what_each_of_them_needs() -> None:
    one, many = (needs(Workload("made up", walls, walls * 5_000), MEASURES) for walls in (1, 100))
    assert many.gateways == 100 * one.gateways
    assert many.node_cores == pytest.approx(100 * one.node_cores)
    assert many.disk_bytes == pytest.approx(100 * one.disk_bytes)
    assert many.busy == pytest.approx(one.busy)


def test_gateways_hold_every_visitor() -> None:
    for visitors in (1, 4_096, 4_097, 1_000_000):
        found = needs(Workload("made up", 1, visitors), MEASURES)
        assert found.gateways * found.sockets >= visitors
        assert found.sockets <= 4_096


def test_a_wall_of_several_objects_spares_its_writers() -> None:
    one, several = (needs(Workload("made up", 1, 100_000, objects=objects), MEASURES) for objects in (1, 33))
    assert several.busy[WRITER] < one.busy[WRITER]


def test_the_most_visitors_fit_and_one_more_does_not() -> None:
    kind = Workload("made up", 1, 1)
    most, full = most_visitors(kind, MEASURES)
    fits, fails = (needs(replace(kind, visitors=visitors), MEASURES) for visitors in (most, most + 1))
    assert fits.fits
    assert fails.busy[full] > FULL


@given(st.integers(1, 10_000))
def test_a_burst_takes_as_long_as_its_batches(calls: int) -> None:
    batches = 1 + -(-(calls - 1) // MAX_BATCH)
    assert answered(calls, COSTS.seconds) == pytest.approx(COSTS.seconds.a_batch * batches + COSTS.seconds.a_call * calls)


def test_the_document_has_what_the_model_prints_from_what_was_measured() -> None:
    """If not, `python -m benchmarks.model.document` writes it."""
    document = text_of("docs/cluster.md")
    assert generated(document, ROOT / MEASURED) == document
