"""The rules of the advice, as tables."""

import pytest

from prefork.advice.recommendation import (
    Choice,
    Prediction,
    Profile,
    Resources,
    advice,
    backlog_for,
    enough_for_cores,
    knee,
    least_for_target,
    most_throughput,
    saturation,
    threads_for,
    within_memory,
)
from tests.support.estimates import points

MB = 1 << 20
COMPUTING = Profile(service=0.0102, cpu=0.010, spread=0.1, memory=20 * MB)
WAITING = Profile(service=0.0202, cpu=0.0002, spread=0.0, memory=20 * MB)
MIXED = Profile(service=0.020, cpu=0.005, spread=0.5, memory=20 * MB)
TWO = Resources(cores=2)


@pytest.mark.parametrize(
    ("profile", "cores", "workers"),
    [
        (COMPUTING, 1, 1),
        (COMPUTING, 2, 2),
        (COMPUTING, 64, 63),  # the 64th would add less than the rounding
        (MIXED, 2, 8),
        (WAITING, 2, 192),
        (Profile(0.010, 0.012), 2, 2),  # more CPU than time: a handler with threads of its own
    ],
)
def test_the_knee_is_where_the_cores_are_busy(profile: Profile, cores: int, workers: int) -> None:
    assert knee(profile, Resources(cores)) == workers


def test_the_cores_limit_the_rate_to_their_number_over_a_requests_cpu() -> None:
    assert saturation(MIXED, TWO) == pytest.approx(400)


@pytest.mark.parametrize(
    ("rates", "taken"),
    [
        ({1: 100, 2: 200, 3: 204}, 2),
        ({1: 100, 2: 190, 3: 200}, 3),
        ({1: 100, 2: 200, 4: 203, 8: 195}, 2),
        ({4: 203, 2: 200, 1: 100}, 2),
        ({1: 100}, 1),
        ({1: 100, 2: 99, 4: 98}, 1),
    ],
)
def test_the_smallest_number_with_the_best_throughput_is_taken(
    rates: dict[int, float], taken: int
) -> None:
    choice = most_throughput(points(rates), COMPUTING, TWO)
    assert choice.workers == taken
    assert choice.reaches


@pytest.mark.parametrize(
    ("error", "taken"),
    [
        (0.0, 8),
        (0.2, 8),
        (2.0, 10),  # 8 may be too few: 1.6 and 1.5 standard errors of the difference are 5.8
        (4.0, 12),  # no throughput is given up for fewer workers
    ],
)
def test_with_less_certain_rates_less_is_given_up_for_fewer_workers(
    error: float, taken: int
) -> None:
    rates = {6: 95.0, 8: 98.4, 10: 99.9, 12: 100.0}
    assert most_throughput(points(rates, error), COMPUTING, TWO).workers == taken


def test_the_reason_has_the_figures() -> None:
    swept = points({1: 98, 2: 190, 3: 192, 4: 188})
    assert most_throughput(swept, COMPUTING, TWO).reasons == (
        "A request takes 10.2 ms, 10.0 ms of it CPU (2 % waiting): 2 workers keep 2 cores busy, "
        "for at most 200 requests/s.",
        "2 workers served 190 requests/s; 3 served 1 % more.",
    )


def test_the_reason_for_one_core_is_in_the_singular() -> None:
    assert (
        "1 worker keeps 1 core busy, for at most 100 requests/s."
        in enough_for_cores(COMPUTING, Resources(1)).reasons[0]
    )


def test_untried_larger_numbers_are_mentioned_but_are_not_a_reason_for_threads() -> None:
    choice = most_throughput(points({1: 50, 2: 100}), MIXED, TWO)
    assert (
        choice.reasons[-1]
        == "Larger numbers were not tried; it would take 8 to keep the cores busy."
    )
    assert advice(choice, MIXED, TWO, 80, 0, threaded=True).threads == 1
    with_room = Resources(2, memory=100 * MB)
    assert most_throughput(points({1: 50, 2: 100}), MIXED, with_room) == choice


def test_the_advice_keeps_to_the_memory_and_says_so() -> None:
    resources = Resources(cores=2, memory=70 * MB)
    choice = most_throughput(points({1: 50, 2: 100, 3: 150}), MIXED, resources)
    assert (choice.workers, choice.wanted) == (3, 8)
    assert choice.reasons[-1] == (
        "Memory limits the pool to 3 workers (20.0 MB each, 70.0 MB available); without this limit "
        "it would be 8."
    )
    assert enough_for_cores(MIXED, resources).workers == 3
    assert within_memory(Choice(2, (), 2), MIXED, resources) == Choice(2, (), 2)


@pytest.mark.parametrize(
    ("memory", "of_a_worker", "room"),
    [(None, 20, None), (100, None, None), (100, 20, 5), (119, 20, 5), (1, 20, 1), (100, 0, None)],
)
def test_room_in_memory(memory: int | None, of_a_worker: int | None, room: int | None) -> None:
    assert Resources(2, memory).room(Profile(1, 1, memory=of_a_worker)) == room


def as_if(best: dict[int, float], rate: float = 100.0) -> tuple[list[int], object]:
    """A model with a given p99 for each minimum number of workers."""
    tried: list[int] = []

    def predict(workers: int) -> Prediction:
        tried.append(workers)
        p99 = best[max(n for n in best if n <= workers)]
        return Prediction(rate if p99 < 10 else 0.5 * rate, p99, 5)

    return tried, predict


@pytest.mark.parametrize(
    ("target", "p99s", "workers"),
    [
        (0.050, {1: 99.0, 3: 0.2, 5: 0.049, 6: 0.04}, 5),
        (0.050, {1: 99.0, 2: 0.03}, 3),  # two would be busy all the time
        (None, {1: 99.0, 3: 0.2, 6: 0.04}, 3),
        (0.040, {1: 99.0, 3: 0.2, 7: 0.04}, 7),
    ],
)
def test_the_smallest_number_that_meets_the_target_is_taken(
    target: float | None, p99s: dict[int, float], workers: int
) -> None:
    tried, predict = as_if(p99s)
    choice = least_for_target(target, 100, predict, MIXED, TWO)  # type: ignore[arg-type]
    assert choice.workers == workers
    assert choice.reaches
    assert len(tried) == len(set(tried)) < 8


def test_the_reason_for_a_target_has_the_p99_with_one_worker_fewer() -> None:
    _, predict = as_if({1: 99.0, 2: 0.08, 5: 0.049})
    choice = least_for_target(0.05, 100, predict, MIXED, TWO)  # type: ignore[arg-type]
    assert choice.reasons[-1] == (
        "At 100 requests/s, 5 workers would answer 99 % of them within 49.0 ms (target: 50.0 ms); "
        "4 would need 80.0 ms."
    )


@pytest.mark.parametrize(
    ("target", "rate", "p99s", "cause", "workers"),
    [
        (0.03, 100, {1: 99.0, 2: 0.08}, "a request takes 20.0 ms even", 3),
        (0.07, 100, {1: 99.0, 2: 0.08}, "a request takes 20.0 ms even", 3),
        (0.05, 300, {1: 99.0, 2: 0.08, 8: 0.079}, "the cores would be 75 % busy", 7),
        (0.05, 390, {1: 0.01}, "2 cores can serve 400 requests/s at most", 8),
        (0.05, 500, {1: 99.0}, "2 cores can serve 400 requests/s at most", 8),
    ],
)
def test_for_a_target_that_cannot_be_met_the_nearest_possible_is_advised(
    target: float, rate: float, p99s: dict[int, float], cause: str, workers: int
) -> None:
    _, predict = as_if(p99s, rate)
    choice = least_for_target(target, rate, predict, MIXED, TWO)  # type: ignore[arg-type]
    assert not choice.reaches
    assert choice.workers == workers
    assert any(f"is not possible: {cause}" in reason for reason in choice.reasons)


def test_a_target_that_memory_prevents_names_the_number_without_this_limit() -> None:
    _, predict = as_if({1: 99.0, 7: 0.08, 8: 0.04}, 300)
    choice = least_for_target(0.05, 300, predict, MIXED, Resources(2, 70 * MB))  # type: ignore[arg-type]
    assert not choice.reaches
    assert (choice.workers, choice.wanted) == (3, 8)
    assert choice.reasons[-1].endswith("70.0 MB available); without this limit it would be 8.")


@pytest.mark.parametrize(
    ("rate", "queue", "backlog"),
    [(0, 0, 128), (10, 5, 128), (100, 28, 128), (100, 29, 256), (1000, 24, 1024), (1000, 25, 2048)],
)
def test_the_backlog_has_room_for_the_queue_and_one_second_of_arrivals(
    rate: float, queue: float, backlog: int
) -> None:
    assert backlog_for(rate, queue, TWO)[0] == backlog


def test_the_reason_for_the_backlog_names_the_requests_that_usually_wait() -> None:
    assert backlog_for(100, 29, TWO)[1] == (
        "Backlog 256: room for one second of arrivals (100) if every worker stalls, plus the 29 "
        "that usually wait."
    )


def test_for_datagrams_the_advice_is_a_receive_buffer() -> None:
    datagrams = MIXED._replace(datagrams=True)
    resources = Resources(2, longest_backlog=128)
    found = advice(Choice(8, (), 8), datagrams, resources, rate=200, queue=5, threaded=False)
    assert found.reasons == (
        "Datagrams have no backlog: size the socket's receive buffer for 256 of them, one second "
        "of arrivals (200) if every worker stalls.",
    )


def test_an_infinite_queue_does_not_make_the_backlog_infinite() -> None:
    backlog, reason = backlog_for(1000, float("inf"), Resources(2, longest_backlog=1024))
    assert backlog == 2048
    assert reason == (
        "Backlog 2,048: room for one second of arrivals (1,000) if every worker stalls; the kernel "
        "limits it to 1,024: raise net.core.somaxconn."
    )


@pytest.mark.parametrize(
    ("profile", "workers", "wanted", "threaded", "threads", "text"),
    [
        (WAITING, 200, 200, True, 1, ""),
        (WAITING, 20, 192, True, 10, "about 9,901 requests/s instead of 990"),
        (WAITING, 20, 192, False, 1, "--threads 10"),
        (WAITING, 1, 192, True, 101, "101 threads"),  # one interpreter fills one core
        (COMPUTING, 1, 2, True, 1, ""),
        (MIXED, 2, 8, True, 4, "4 threads"),
    ],
)
def test_threads_are_advised_for_handlers_that_wait_when_memory_is_the_limit(
    profile: Profile, workers: int, wanted: int, threaded: bool, threads: int, text: str
) -> None:
    found, reasons = threads_for(Choice(workers, (), wanted), profile, TWO, threaded)
    assert found == threads
    assert text in " ".join(reasons)
    assert bool(reasons) == bool(text)


def test_the_advice_has_all_reasons() -> None:
    choice = enough_for_cores(MIXED, Resources(2, 70 * MB))
    found = advice(choice, MIXED, Resources(2, 70 * MB), rate=120, queue=4, threaded=True)
    assert (found.max_children, found.backlog, found.threads) == (3, 128, 3)
    beginnings = [reason.split()[0] for reason in found.reasons]
    assert beginnings == ["A", "Memory", "3", "Backlog"]
