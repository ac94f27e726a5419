"""The options of `prefork tune`: what is parsed, what is refused, what `prefork serve` needs."""

from pathlib import Path
from typing import Any

import pytest

from prefork.cli import app as application
from prefork.cli.measuring.parsing import bind_of
from prefork.cli.outcomes import Refusal
from prefork.cli.tune import command
from prefork.cli.tune.options import TuneOptions
from prefork.cli.tune.parsing import Numbers, goal_of, memory_of, numbers_of

MB = 1 << 20

GOALS = {"throughput": None, "p99=50ms": 0.05, "p99 = 1.5 s": 1.5, "p99=250us": 2.5e-4, "p99=2": 2}


@pytest.mark.parametrize(("text", "p99"), GOALS.items())
def test_goals(text: str, p99: float | None) -> None:
    assert goal_of(text).p99 == pytest.approx(p99)


@pytest.mark.parametrize("text", ["", "p99", "p99=", "p99=0ms", "p50=1ms", "p99=-1s", "p99=5min"])
def test_an_invalid_goal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it must be throughput, or p99 with a time"):
        goal_of(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 * MB), ("256G", 256 << 30), ("1.5k", 1536), ("2GiB", 2 << 30), ("100", 100)],
)
def test_sizes_of_memory(text: str, size: int) -> None:
    assert memory_of(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1M", "M", "1X", "lots"])
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 512M or 256G"):
        memory_of(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2-64", Numbers(2, 64)),
        ("4", Numbers(4, 4, (4,))),
        ("8,1,2", Numbers(1, 8, (1, 2, 8))),
    ],
)
def test_numbers_of_workers(text: str, numbers: Numbers) -> None:
    assert numbers_of(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "0-4", "8-2", "1-", "a"])
def test_invalid_numbers_of_workers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole numbers >= 1"):
        numbers_of(text)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("", "MODULE:HANDLER is missing"),
        ("app:H --request x --target p99=fast", "--target 'p99=fast': it must be throughput"),
        ("app:H --request x --rate 0", "--rate '0': it must be a number of requests/s > 0."),
        ("app:H --request x --rate inf", "--rate 'inf': it must be a number of requests/s > 0."),
        ("app:H --request x --seconds inf", "--seconds 'inf': it must be a number of seconds > 0."),
        ("app:H --request x --cores 0", "--cores '0': it must be a whole number >= 1."),
        ("app:H --request x --memory all", "--memory 'all': it must be a number of bytes"),
        ("app:H --max-children 0", "--max-children '0': it must be a comma-separated list"),
        ("app:H", "The request is missing"),
        ("app:H --request x --client a:b", "mutually exclusive"),
    ],
)
def test_a_wrong_argument_is_refused_with_a_sentence(words: str, refusal: str) -> None:
    def tune() -> None:
        call = application.parse(["tune", *words.split()])
        assert call is not None
        call()

    with pytest.raises(Refusal, match=refusal):
        tune()


@pytest.mark.parametrize(
    ("words", "processes"),
    [
        ({}, None),
        ({"client": "app:ask"}, 32),
        ({"client": "app:ask", "max_children": Numbers(1, 100)}, 100),
        ({"max_children": Numbers(1, 100)}, None),
    ],
)
def test_a_client_of_the_users_is_a_process_for_each_worker(
    words: dict[str, Any], processes: int | None
) -> None:
    assert command.callers_for(TuneOptions(**words)) == processes


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ({}, ()),
        ({"bind": bind_of("unix")}, ("--bind unix:///run/app.sock",)),
        ({"bind": bind_of("udp")}, ("--bind udp://127.0.0.1:9999",)),
        ({"bind": bind_of("unixgram")}, ("--bind unixgram:///run/app.sock",)),
        ({"handler": "app:H"}, ("--handler app:H",)),
        ({"app_dir": Path("a b")}, ("--app-dir 'a b'",)),
    ],
)
def test_the_line_to_copy_has_the_options_that_serve_needs(
    words: dict[str, Any], options: tuple[str, ...]
) -> None:
    assert command.options_for_serve(TuneOptions(**words)) == options


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"needs scipy for its curve: pip install 'prefork\[tune\]'"):
        command.run("app:H", TuneOptions(request=b"x"))
