"""The options of `prefork bench`, and how it divides its time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefork.cli import app as application
from prefork.cli.addresses import Address
from prefork.cli.bench.candidates import (
    STRATEGIES,
    Candidate,
    candidates_of,
    default_counts,
)
from prefork.cli.bench.options import BenchOptions
from prefork.cli.measuring import parsing as words
from prefork.cli.measuring import session
from prefork.cli.outcomes import Refusal
from prefork.loadtest import schedule
from prefork.settings import Settings

Parse = Callable[..., tuple[str, BenchOptions]]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Parse:
    """`parsed(words...)`: what `prefork bench` would be called with, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[str, BenchOptions]] = []

    def note(target: str, options: BenchOptions) -> int:
        options.check()
        calls.append((target, options))
        return 0

    monkeypatch.setattr("prefork.cli.bench.command.run", note)

    def parse(*words: str) -> tuple[str, BenchOptions]:
        call = application.parse(["bench", *words])
        assert call is not None
        assert call() == 0
        return calls.pop()

    return parse


def test_all_options_are_parsed(parsed: Parse) -> None:
    said = "a:H --request x --keep-open --bind udp --strategies fork,accept --max-children 4,1,4"
    more = "--clients 3 --seconds 2.5 --output out --handler a:I"
    assert parsed(*said.split(), *more.split()) == (
        "a:H",
        BenchOptions(
            request=b"x",
            keep_open=True,
            bind=Address("udp", "127.0.0.1"),
            strategies=("accept", "fork"),
            max_children=(1, 4),
            clients=3,
            seconds=2.5,
            output=Path("out"),
            handler="a:I",
        ),
    )


def test_options_have_defaults(parsed: Parse) -> None:
    assert parsed("a:H", "--client", "a:ask") == ("a:H", BenchOptions(client="a:ask"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "MODULE:HANDLER is missing: add what to serve, such as app:Handler."),
        ("a:H", "The request is missing: add --request FILE|TEXT or --client MODULE:FUNCTION."),
        ("a:H --request x --client a:b", "mutually exclusive"),
        ("a:H --client a:b --keep-open", "--keep-open is for --request only"),
        ("a:H --request x y z", "Unexpected argument 'y': `prefork bench` takes MODULE:HANDLER"),
        ("a:H --request x --strategies acept", " Did you mean 'accept'?"),
        (
            "a:H --request x --strategies accept,lifo",
            "--strategies 'accept,lifo': unknown strategy 'lifo'; the strategies are accept, ",
        ),
        (
            "a:H --request x --max-children 1,0",
            "it must be a comma-separated list of whole numbers >= 1, such as 1,2,4",
        ),
        (
            "a:H --request x --max-children 1,,2",
            "it must be a comma-separated list of whole numbers >= 1",
        ),
        ("a:H --request x --clients 0", "--clients '0': it must be a whole number >= 1."),
        ("a:H --request x --seconds 0", "--seconds '0': it must be a number of seconds > 0."),
        ("a:H --request x --bind sctp", "the protocol is missing"),
        (
            "a:H --request x --bind tcp://h:80",
            "each server gets its own free port; use tcp://h:0.",
        ),
        ("a:H --request x --bind tcp://[::1]:80", "use tcp://[::1]:0."),
        (
            "a:H --request x --bind unix:///a",
            "each server gets its own path in a temporary folder; use unix",
        ),
        (
            r"a:H --request \q",
            r"unknown escape '\\q'; the escapes are \r, \n, \t, \0, \\ and \xHH.",
        ),
        ("a:H --request x --output file", "exists and is not a folder"),
        ("a:H --request x --secons 1", "Unknown option: --secons. Did you mean --seconds?"),
    ],
)
def test_a_wrong_word_is_refused_in_a_sentence(
    parsed: Parse, tmp_path: Path, words: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal) as caught:
        parsed(*words.split())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("", b""),
        ("GET /", b"GET /"),
        (r"a\r\n", b"a\r\n"),
        (r"\t\0\\n", b"\t\0\\n"),
        (r"\xff\x0A", b"\xff\n"),
        ("ä", "ä".encode()),
        ("file", b"\\n in a file\n"),
        ("x" * 5000, b"x" * 5000),
        ("a\0b", b"a\0b"),
    ],
)
def test_a_request_is_a_file_or_a_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, request_: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"\\n in a file\n")
    assert words.request_of(text) == request_


@pytest.mark.parametrize("text", [r"\q", r"\x1", "\\", r"\xgg"])
def test_an_unknown_escape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unknown escape"):
        words.request_of(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp", Address("tcp", "127.0.0.1")),
        ("udp", Address("udp", "127.0.0.1")),
        ("tcp://localhost:0", Address("tcp", "localhost")),
        ("udp://[::1]:0", Address("udp", "::1")),
        ("unix", Address("unix")),
        ("unix://", Address("unix")),
        ("unixgram", Address("unixgram")),
    ],
)
def test_schemes_and_any_port_are_accepted_as_bind(text: str, address: Address) -> None:
    assert words.bind_of(text) == address


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1, 2, 4]), (2, [1, 2, 4, 8]), (8, [1, 4, 8, 16, 32])]
)
def test_the_numbers_of_workers_go_beyond_the_cores(cores: int, counts: list[int]) -> None:
    assert default_counts(cores) == counts


def test_candidates_are_strategies_by_numbers_and_then_the_references() -> None:
    assert candidates_of(["accept", "reuseport"], [1, 2], "udp") == (
        [
            Candidate("accept", 1),
            Candidate("accept", 2),
            Candidate("reuseport", 1),
            Candidate("reuseport", 2),
            Candidate("ForkingUDPServer"),
            Candidate("ThreadingUDPServer"),
        ],
        "",
    )


@pytest.mark.parametrize("scheme", ["unix", "unixgram"])
def test_what_does_not_fit_is_left_out_with_a_sentence(scheme: str) -> None:
    candidates, sentence = candidates_of(list(STRATEGIES), [1], scheme)
    assert "reuseport" not in {one.strategy for one in candidates}
    assert sentence == "reuseport is left out: it needs a TCP or UDP port."
    assert candidates_of(["reuseport"], [1], scheme) == ([], sentence)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_replaces_whatever_a_server_class_has_chosen(name: str) -> None:
    said: Any = Candidate(name, 4).settings
    assert set(said) == {"strategy", "idle_order", "fork_ahead", "sizing"}
    settings = Settings(**said)
    assert name.startswith(settings.strategy)
    assert (settings.idle_order == "lifo") == (name == "accept-lifo")
    assert settings.fork_ahead == (4 if name == "fork-ahead" else 0)


@pytest.mark.parametrize(
    ("seconds", "servers", "tail", "rounds"),
    [(45, 26, 0.0, 6), (45, 26, 0.2, 4), (10, 26, 0.0, 2), (45, 4, 1.0, 4), (1, 26, 0, 2)],
)
def test_there_are_more_rounds_if_trials_stay_long_enough(
    seconds: float, servers: int, tail: float, rounds: int
) -> None:
    assert schedule.rounds_for(seconds, servers, tail) == rounds


def test_rounds_go_there_and_back() -> None:
    assert list(schedule.trial_order(2, 3)) == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]


@pytest.mark.parametrize(
    ("left", "trials_left", "tail", "length"),
    [(10, 10, 0, 1.0), (10, 10, 0.2, 0.8), (10, 10, 5, 0.25), (0.01, 10, 0, schedule.SHORTEST)],
)
def test_a_trial_leaves_time_for_the_requests_in_progress_at_its_end(
    left: float, trials_left: int, tail: float, length: float
) -> None:
    assert schedule.length_of(left, trials_left, tail) == pytest.approx(length)


def test_however_long_the_tails_the_time_is_kept() -> None:
    """All trials, each with a tail that is known from the one before it."""
    left, count = 45.0, 52
    for number in range(count):
        left -= schedule.length_of(left, count - number, 0.5) + 0.5
    assert left > -1.0


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"", "''"),
        (b"GET /\r\n", r"'GET /\r\n'"),
        (bytes(100), "'" + r"\x00" * 40 + "'... (100 bytes)"),
    ],
)
def test_of_a_request_is_shown_what_it_is(request_: bytes, said: str) -> None:
    assert session.shortened(request_) == said
