"""Percentiles of times that are known by their buckets only."""

from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.answer_times import BOUNDS_SECONDS, bucket_of, no_answers, percentile

TIMES = st.lists(st.integers(0, 4_000_000), min_size=1, max_size=200)


def counts_of(times: list[int]) -> list[int]:
    counts = no_answers()
    for time in times:
        counts[bucket_of(time)] += 1
    return counts


def test_without_answers_there_is_no_percentile() -> None:
    assert percentile(no_answers(), 0.5) is None


def test_a_bound_belongs_to_its_bucket() -> None:
    assert [bucket_of(round(bound * 1_000)) for bound in BOUNDS_SECONDS] == list(range(len(BOUNDS_SECONDS)))
    assert bucket_of(3_600_001) == len(BOUNDS_SECONDS)


def test_it_is_interpolated_in_its_bucket_as_prometheus_does() -> None:
    counts = no_answers()
    counts[bucket_of(1_500)] = 4  # between one and two seconds
    assert percentile(counts, 0.5) == 1.5
    assert percentile(counts, 1.0) == 2.0


def test_an_answer_beyond_all_bounds_counts_as_the_last_one() -> None:
    assert percentile(counts_of([90_000_000]), 0.5) == BOUNDS_SECONDS[-1]


@given(TIMES, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_it_is_in_the_bucket_of_the_true_one(times: list[int], share: float) -> None:
    true = sorted(times)[max(-(-len(times) * round(share * 100) // 100), 1) - 1]
    bucket = bucket_of(true)
    found = percentile(counts_of(times), share)
    assert found is not None
    lower = BOUNDS_SECONDS[bucket - 1] if bucket else 0
    upper = BOUNDS_SECONDS[min(bucket, len(BOUNDS_SECONDS) - 1)]
    assert lower <= found <= upper
