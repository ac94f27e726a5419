"""Flags, environment and TOML fill one dataclass; an error says what is wrong, and where."""

from pathlib import Path
from typing import Any

import pytest

from prefork.cli import app as application
from prefork.cli.addresses import Address
from prefork.cli.configuration import named_file
from prefork.cli.options import ServeOptions
from prefork.cli.outcomes import Refusal


def test_flags(parsed: Any) -> None:
    words = "app:H --bind tcp://a:1 --bind udp://b:2 --max-children 3 --threads=4"
    words += " --graceful-timeout 2.5 --one-pool"
    target, options = parsed(*words.split(), "--log-level", "debug", "--strategy", "fork")
    assert target == "app:H"
    assert options == ServeOptions(
        bind=(Address("tcp", "a", 1), Address("udp", "b", 2)),
        one_pool=True,
        max_children=3,
        settings={"graceful_timeout": 2.5, "threads": 4, "strategy": "fork"},
        log_level="debug",
    )


def test_flags_before_environment_before_file(
    parsed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "prefork.toml").write_text(
        'bind = ["tcp://a:1"]\nmax-children = 2\ngraceful-timeout = 3\nname = "file"\n'
    )
    monkeypatch.setenv("PREFORK_MAX_CHILDREN", "4")
    monkeypatch.setenv("PREFORK_GRACEFUL_TIMEOUT", "5")
    assert parsed("app:H", "--graceful-timeout", "6")[1] == ServeOptions(
        bind=(Address("tcp", "a", 1),),
        max_children=4,
        settings={"graceful_timeout": 6.0, "name": "file"},
    )


def test_pyproject_has_a_table_for_us(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.prefork]\ntarget = "app:H"\nmax_children = 2\n'
    )
    assert parsed() == ("app:H", ServeOptions(max_children=2))


def test_a_named_file_is_the_only_one_read(parsed: Any, tmp_path: Path) -> None:
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
        (
            "",
            "MODULE:HANDLER is missing: add what to serve, such as app:Handler. See `prefork serv",
        ),
        ("--graceful-timeout 3", "MODULE:HANDLER is missing"),
        ("a:b c d", "Unexpected argument 'c': `prefork serve` takes MODULE:HANDLER and options."),
        ("a:b --max-childern 3", "Unknown option: --max-childern. Did you mean --max-children?"),
        ("a:b --no-gc-freez", "Unknown option: --no-gc-freez. Did you mean --no-gc-freeze?"),
        # Names that were shorter once.
        ("a:b --grace 3", "Unknown option: --grace. Did you mean --graceful-timeout?"),
        ("a:b --no-titles", "Unknown option: --no-titles. Did you mean --no-process-titles?"),
        ("a:b --no-freeze", "Unknown option: --no-freeze. Did you mean --no-gc-freeze?"),
        ("a:b --order lifo", "Unknown option: --order. Did you mean --idle-order?"),
        ("a:b --max-children x", "--max-children 'x': it must be a whole number >= 1."),
        ("a:b --max-children 0", "--max-children '0': it must be a whole number >= 1."),
        ("a:b --max-children 2.5", "--max-children '2.5': it must be a whole number >= 1."),
        (
            "a:b --graceful-timeout -1",
            "--graceful-timeout '-1': it must be a number of seconds >= 0, or None.",
        ),
        (
            "a:b --graceful-timeout nan",
            "--graceful-timeout 'nan': it must be a number of seconds >= 0, or None.",
        ),
        ("a:b --start-timeout 0", "--start-timeout '0': it must be a number of seconds > 0."),
        ("a:b --strategy acept", " Did you mean 'accept'?"),
        ("a:b --log-level loud", "it must be one of: debug, info, warning, error, critical."),
        ("a:b --gc-freeze=maybe", "--gc-freeze 'maybe': it must be true or false."),
        ("a:b --threads", "--threads needs a value."),
        (
            "a:b --graceful-timeout 1 --graceful-timeout 2",
            "--graceful-timeout is given more than once.",
        ),
        ("a:b --bind tcp://x", "--bind 'tcp://x': the port is missing; use tcp://127.0.0.1:9999"),
        ("a:b --app-dir no", "--app-dir 'no': there is no such folder."),
        (
            "a:b --config no.toml",
            "--config or PREFORK_CONFIG names 'no.toml', which does not exist.",
        ),
    ],
)
def test_a_wrong_word_is_refused_in_a_sentence(parsed: Any, words: str, sentence: str) -> None:
    with pytest.raises(Refusal) as caught:
        parsed(*words.split())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "MAX_CHILDERN",
            "3",
            "`prefork serve` has no such option. Did you mean PREFORK_MAX_CHILDREN?",
        ),
        (
            "NO_GC_FREEZE",
            "1",
            "`prefork serve` has no such option. Did you mean PREFORK_GC_FREEZE?",
        ),
        (
            "GRACEFUL_TIMEOUT_X",
            "1",
            "has no such option. Did you mean PREFORK_GRACEFUL_TIMEOUT?",
        ),
        ("WORKERS", "3", "PREFORK_WORKERS in the environment: `prefork serve` has no such option."),
        ("PORT", "8000", "PREFORK_PORT in the environment: `prefork serve` has no such option."),
        ("", "", "PREFORK_ in the environment: `prefork serve` has no such option."),
        ("GC_FREEZE", "", "PREFORK_GC_FREEZE='': it must be true or false."),
        (
            "GRACEFUL_TIMEOUT",
            "x",
            "PREFORK_GRACEFUL_TIMEOUT='x': it must be a number of seconds >= 0, or None.",
        ),
        ("BIND", "tcp://x", "PREFORK_BIND='tcp://x': the port is missing"),
        ("APP_DIR", "no", "PREFORK_APP_DIR='no': there is no such folder."),
        (
            "CONFIG",
            "no.toml",
            "--config or PREFORK_CONFIG names 'no.toml', which does not exist.",
        ),
    ],
)
def test_a_wrong_variable_is_refused_in_a_sentence(
    parsed: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"PREFORK_{name}", value)
    with pytest.raises(Refusal) as caught:
        parsed("a:b")
    assert sentence in str(caught.value)
    assert f"PREFORK_{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFORK_TEST_PATIENCE", "3"),
        # What Kubernetes says about a service called "prefork".
        ("PREFORK_SERVICE_HOST", "10.0.0.1"),
        ("PREFORK_SERVICE_PORT_HTTP", "9999"),
        ("PREFORK_PORT", "tcp://10.0.0.1:9999"),
        ("PREFORK_PORT_9999_TCP_ADDR", "10.0.0.1"),
        ("PREFORKING", "1"),
    ],
)
def test_variables_that_others_set_say_nothing(
    parsed: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert parsed("a:b") == ("a:b", ServeOptions())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "max-childern = 3",
            "'max-childern' in {file}: `prefork serve` has no such option. Did",
        ),
        (
            "no-gc-freeze = true",
            "'no-gc-freeze' in {file}: `prefork serve` has no such option. Did you mean",
        ),
        ("config = 'x'", "'config' in {file}: `prefork serve` has no such option."),
        (
            "[serve]\ngrace = 3",
            "Unexpected table 'serve' in {file}: options belong at the top level.",
        ),
        ("[graceful_timeout]\nx = 3", "Unexpected table 'graceful_timeout' in {file}"),
        (
            "max-children = 'x'",
            "max-children = 'x' in {file}: it must be a whole number >= 1.",
        ),
        ("threads = 2.5", "threads = '2.5' in {file}: it must be a whole number >= 0."),
        ("threads = true", "threads = 'True' in {file}: it must be a whole number >= 0."),
        ("gc-freeze = 'maybe'", "gc-freeze = 'maybe' in {file}: it must be true or false."),
        (
            "graceful_timeout = [1]",
            "graceful_timeout = [1] in {file}: it must be one value, not a list.",
        ),
        ("bind = ['tcp://x']", "bind = 'tcp://x' in {file}: the port is missing"),
        ("max-children = 3\nmax_children = 3", "max-children is given more than once in {file}."),
        ("max-children = ]", "{file} is not valid TOML: Invalid value (at line 1, column 16)."),
    ],
)
def test_a_wrong_file_is_named(parsed: Any, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "prefork.toml"
    file.write_text(text)
    with pytest.raises(Refusal) as caught:
        parsed("a:b")
    assert sentence.format(file=file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[tool.prefork]\ngracful_timeout = 3",
            "'gracful_timeout' in {file}: `prefork serve` has no such option. Did",
        ),
        (
            "[tool.prefork.serve]\ngrace = 3",
            "Unexpected table 'serve' in {file}: options belong in [tool.p",
        ),
        ("[tool]\nprefork = 3", "'prefork' in {file} must be a table."),
    ],
)
def test_a_wrong_table_of_pyproject_is_named(
    parsed: Any, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    with pytest.raises(Refusal) as caught:
        parsed("a:b")
    assert sentence.format(file=file) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "prefork.toml").mkdir()
    with pytest.raises(Refusal, match=f"{tmp_path}/prefork.toml cannot be read: Is a directory."):
        parsed("a:b")


def test_a_list_without_addresses_is_as_if_it_were_not_there(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "prefork.toml").write_text("bind = []")
    assert parsed("a:b") == ("a:b", ServeOptions())


def test_the_help_comes_also_when_the_rest_is_wrong(
    parsed: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PREFORK_NOTHING", "1")
    (tmp_path / "prefork.toml").write_text("nothing = 1")
    assert application.parse(["serve", "--config", "no.toml", "--help"]) is None
    assert "--max-children" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        ("s.py", "-- s.py"),
        ("s.py --pool --threads 3", "-- s.py --pool --threads 3"),
        ("--pool s.py -x", "--pool -- s.py -x"),
        ("--pool --threads 3 s.py", "--pool --threads 3 -- s.py"),
        ("--threads=3 s.py", "--threads=3 -- s.py"),
        ("--pool --no-gc-freeze s.py", "--pool --no-gc-freeze -- s.py"),
        (
            "--process-titles --graceful-timeout none s.py",
            "--process-titles --graceful-timeout none -- s.py",
        ),
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
