"""The text format of Prometheus, as its reference implementation reads it."""

from prometheus_client.parser import text_string_to_metric_families

from saywhatwant.worker.prometheus_text import Family


def samples(family: Family) -> dict[tuple[str, ...], float]:
    (read,) = text_string_to_metric_families(str(family))
    return {(sample.name, *sample.labels.values()): sample.value for sample in read.samples}


def test_a_counter_and_a_gauge_have_a_sample_for_each_set_of_labels() -> None:
    counter = Family("counter", "calls_total", "All calls", labels=("route", "status"))
    counter.add(["/", "200"], 7)
    counter.add(["/", "404"], 0.5)
    assert samples(counter) == {("calls_total", "/", "200"): 7, ("calls_total", "/", "404"): 0.5}
    assert samples(Family("gauge", "depth", "How deep it is", 3)) == {("depth",): 3}


def test_a_histogram_counts_each_bucket_with_all_lower_ones() -> None:
    seconds = Family("histogram", "seconds", "Time", labels=("route",))
    seconds.add_histogram(["/"], (0.1, 1), [3, 2, 1], 12.5)
    buckets = {("seconds_bucket", "/", "0.1"): 3, ("seconds_bucket", "/", "1.0"): 5, ("seconds_bucket", "/", "+Inf"): 6}
    assert samples(seconds) == buckets | {("seconds_count", "/"): 6, ("seconds_sum", "/"): 12.5}


def test_labels_may_have_any_text() -> None:
    text = 'a "quoted" \\ back\nslash, {brace} é'
    gauge = Family("gauge", "up", "Is it up", labels=("name",))
    gauge.add([text], 1)
    assert samples(gauge) == {("up", text): 1}
