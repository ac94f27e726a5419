"""The schema: flags, environment and TOML lead to one dataclass."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from prefork.cli import app as application
from prefork.cli.configuration import named_file
from prefork.cli.options import PoolOptions, ServeOptions
from prefork.cli.outcomes import Refusal
from prefork.settings import Settings


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`parsed(words...)`: what `prefork serve` would be called with, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[str, ServeOptions]] = []

    def note(target: str, options: ServeOptions) -> int:
        calls.append((target, options))
        return 0

    monkeypatch.setattr("prefork.cli.serve.serve", note)

    def parse(*words: str) -> tuple[str, ServeOptions]:
        call = application.parse(["serve", *words])
        assert call is not None
        assert call() == 0
        return calls.pop()

    return parse


def test_every_setting_of_a_pool_can_be_said_or_is_left_out_on_purpose() -> None:
    left_out = {"freeze", "titles"}
    assert {field.name for field in fields(Settings)} - left_out <= {
        field.name for field in fields(PoolOptions)
    }


def test_what_is_not_said_is_left_to_the_server_class() -> None:
    base = Settings(strategy="fork", grace=3.0, titles=False, name="base")
    assert PoolOptions().settings(base) == base
    assert PoolOptions(grace=4.0, name="said").settings(base) == Settings(
        strategy="fork", grace=4.0, titles=False, name="said"
    )


def test_flags(parsed: Any) -> None:
    words = "app:H --bind tcp://a:1 --bind udp://b:2 --max-children 3 --grace 2.5 --threads=4"
    target, options = parsed(*words.split(), "--log-level", "debug", "--strategy", "fork")
    assert target == "app:H"
    assert options == ServeOptions(
        bind=("tcp://a:1", "udp://b:2"),
        max_children=3,
        grace=2.5,
        threads=4,
        log_level="debug",
        strategy="fork",
    )


def test_flags_before_environment_before_file(
    parsed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "prefork.toml").write_text(
        'bind = ["tcp://a:1"]\nmax-children = 2\ngrace = 3\nname = "file"\n'
    )
    monkeypatch.setenv("PREFORK_MAX_CHILDREN", "4")
    monkeypatch.setenv("PREFORK_GRACE", "5")
    assert parsed("app:H", "--grace", "6")[1] == ServeOptions(
        bind=("tcp://a:1",), max_children=4, grace=6, name="file"
    )


def test_pyproject_has_a_table_for_us(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.prefork]\ntarget = "app:H"\nmax_children = 2\n'
    )
    assert parsed() == ("app:H", ServeOptions(max_children=2))


def test_a_file_that_is_named_stands_alone(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "prefork.toml").write_text("max-children = 2")
    (tmp_path / "other.toml").write_text("backlog = 3")
    assert parsed("app:H", "--config", "other.toml")[1] == ServeOptions(
        backlog=3, config=Path("other.toml")
    )


@pytest.mark.parametrize(
    ("words", "environment", "file"),
    [
        ("--config a.toml", {}, "a.toml"),
        ("--name x --config=a.toml", {}, "a.toml"),
        ("", {"PREFORK_CONFIG": "b.toml"}, "b.toml"),
        ("--config a.toml", {"PREFORK_CONFIG": "b.toml"}, "a.toml"),
        ("", {}, None),
        ("--config", {}, None),
        ("-- --config a.toml", {}, None),
    ],
)
def test_where_the_file_is_named(
    monkeypatch: pytest.MonkeyPatch, words: str, environment: dict[str, str], file: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert named_file(words.split()) == (None if file is None else Path(file))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "parameter --target requires an argument. See `prefork serve --help`."),
        ("a:b c", "Unused Tokens: ['c']"),
        ("a:b --max-childern 3", "Unknown option: --max-childern. Did you mean --max-children?"),
        ("a:b --max-children x", 'Invalid value for --max-children: unable to convert "x"'),
        ("a:b --max-children 0", 'Invalid value "0" for --max-children. Must be >= 1.'),
        ("a:b --grace -1", 'Invalid value "-1.0" for --grace. Must be >= 0.'),
        ("a:b --grace nan", 'Invalid value "nan" for --grace. Must be >= 0.'),
        ("a:b --strategy acept", 'Choose from: "accept", "fork". Did you mean "accept"?'),
        ("a:b --threads", "parameter --threads requires an argument."),
        ("a:b --config no.toml", "--config 'no.toml': there is no such file."),
    ],
)
def test_a_wrong_word_is_refused_in_a_sentence(parsed: Any, words: str, sentence: str) -> None:
    with pytest.raises(Refusal) as caught:
        parsed(*words.split())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max-childern = 3", 'Unknown option: "[max-childern]" from {file}. Did you mean'),
        ('max-children = "x"', "Invalid value for [max-children] from {file}"),
        ("max-children = ]", "{file} is no TOML: Invalid value (at line 1, column 16)."),
    ],
)
def test_a_wrong_file_is_named(parsed: Any, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "prefork.toml"
    file.write_text(text)
    with pytest.raises(Refusal) as caught:
        parsed("a:b")
    assert sentence.format(file=file) in str(caught.value)


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        ("s.py", "-- s.py"),
        ("s.py --pool --threads 3", "-- s.py --pool --threads 3"),
        ("--pool s.py -x", "--pool -- s.py -x"),
        ("--pool --threads 3 s.py", "--pool --threads 3 -- s.py"),
        ("--threads=3 s.py", "--threads=3 -- s.py"),
        ("-m mod -m x", "-- -m mod -m x"),
        ("--pool -m mod --help", "--pool -- -m mod --help"),
        ("--unknown s.py", "--unknown -- s.py"),
        ("--pool -- s.py", "--pool -- s.py"),
        ("--help", "--help --"),
        ("", "--"),
    ],
)
def test_where_the_program_begins(words: str, apart: str) -> None:
    assert application.program_set_apart(words.split()) == apart.split()
