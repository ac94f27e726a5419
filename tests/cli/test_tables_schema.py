"""`Settings` is the schema: each of its fields is a flag, a variable and a line of TOML."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from cyclopts import App, Parameter

from prefork.cli import main
from prefork.cli.options import PoolOptions, ServeOptions, attribute_docstrings, options_of
from prefork.cli.outcomes import Refusal
from prefork.cli.values import as_written
from prefork.settings import Count, Range, Rule, Settings, SettingsError, rules

NAMES = [field.name for field in fields(Settings)]


def another(name: str) -> Any:
    """A value of a setting that is not its default."""
    rule, default = rules()[name], getattr(Settings(), name)
    if rule.choices:
        return next(choice for choice in rule.choices if choice != default)
    return {bool: not default, int: 7, float: 7.5, str: "word"}[rule.kind]


def toml(value: object) -> str:
    """How a file says it, which has no word for None."""
    return json.dumps("none" if value is None else value)


def flag_of(name: str, value: object) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", str(value)]


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_is_a_flag_a_variable_and_a_line_of_a_file(
    parsed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    value = another(name)
    expected = ("app:H", ServeOptions(settings={name: value}))
    assert parsed("app:H", *flag_of(name, value)) == expected
    (tmp_path / "prefork.toml").write_text(f"{name.replace('_', '-')} = {toml(value)}")
    assert parsed("app:H") == expected
    (tmp_path / "prefork.toml").write_text(f"{name} = {toml(getattr(Settings(), name))}")
    monkeypatch.setenv(f"PREFORK_{name.upper()}", as_written(value))
    assert parsed("app:H") == expected


@pytest.mark.parametrize("command", ["serve", "run"])
def test_the_help_has_the_text_and_the_default_of_each_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, text in attribute_docstrings(Settings).items():
        flag = f"--{name.replace('_', '-')} "
        (line,) = (line for line in lines if line.lstrip("│ ").startswith(flag))
        assert " ".join(text.replace("`", "").split()) in line
        if default := as_written(getattr(Settings(), name)):
            assert f"[default: {default}]" in line
    assert set(attribute_docstrings(Settings)) == set(NAMES)


@dataclass(frozen=True, kw_only=True)
class Later:
    """Fields as `Settings` may have them one day."""

    spare: Count = 3
    """Idle workers to keep."""
    idle_order: Literal["fifo", "lifo"] = "fifo"
    quick: bool = False
    """Whether it is."""


def test_a_field_that_is_added_is_an_option_without_another_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = App(help_format="plaintext")
    heard: list[object] = []

    def command(said: Any = None) -> None:
        heard.append(said)

    command.__annotations__["said"] = Annotated[options_of(Later), Parameter(name="*")]
    app.default(command)
    app(["--idle-order", "lifo", "--quick"], result_action="return_none")
    assert heard == [{"idle_order": "lifo", "quick": True}]
    with pytest.raises(Refusal, match=r"--idle-order 'hto': it must be one of: fifo, lifo\."):
        app(["--idle-order", "hto"])
    with pytest.raises(Refusal, match=r"--spare '-1': it must be a whole number >= 0\."):
        app(["--spare", "-1"])
    app.help_print([])
    text = capsys.readouterr().out
    for words in ("--spare NUMBER", "Idle workers to keep. [default: 3]", "--no-quick"):
        assert words in text


def test_a_class_without_source_has_options_without_texts() -> None:
    assert attribute_docstrings(type("Made", (), {})) == {}


BASE = Settings(
    strategy="fork", graceful_timeout=3.0, process_titles=False, name="base", max_requests=5
)


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({}, {}),
        ({"graceful_timeout": 4.0, "name": "said"}, {"graceful_timeout": 4.0, "name": "said"}),
        # An option that is given counts even if it is the default.
        ({"graceful_timeout": None}, {"graceful_timeout": None}),
        (
            {"strategy": "accept", "process_titles": True},
            {"strategy": "accept", "process_titles": True},
        ),
        ({"max_requests": 0, "name": ""}, {"max_requests": 0, "name": ""}),
        ({"max_requests_jitter": 2}, {"max_requests_jitter": 2}),
    ],
)
def test_options_not_given_are_left_to_the_server_class(
    said: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert PoolOptions(settings=said).over(BASE) == replace(BASE, **changed)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"max_requests_jitter": 3}, True),
        ({"max_requests_jitter": 3, "max_requests": 10}, False),
        ({"max_requests_jitter": 3, "max_requests": 0}, False),  # switched off on purpose
        ({"max_requests_jitter": 0}, False),
    ],
)
def test_a_jitter_of_nothing_is_refused(said: dict[str, Any], refused: bool) -> None:
    if refused:
        with pytest.raises(Refusal, match="max-requests-jitter is 3, but max-requests is not set"):
            PoolOptions(settings=said).over(Settings())
    else:
        assert PoolOptions(settings=said).over(Settings()) == Settings(**said)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"min_children": 2}, "min-children is 2, but sizing is static"),
        ({"idle_timeout": 3.0}, "idle-timeout is 3.0, but sizing is static"),
        ({"min_spare": 2, "sizing": "static"}, ""),  # switched off on purpose
        ({"min_spare": 2, "sizing": "spare"}, ""),
        ({"sizing": "load", "strategy": "fork"}, "sizing is 'load', but with strategy 'fork'"),
    ],
)
def test_limits_of_a_sizing_that_decides_nothing_are_refused(
    said: dict[str, Any], refused: str
) -> None:
    if refused:
        with pytest.raises(Refusal, match=refused):
            PoolOptions(settings=said).over(Settings())
    else:
        assert PoolOptions(settings=said).over(Settings()) == Settings(**said)
    PoolOptions(settings={"min_children": 2}).over(Settings(sizing="load"))


def test_settings_that_exclude_each_other_are_refused_with_their_error() -> None:
    class Particular(Settings):
        def __post_init__(self) -> None:
            if self.threads > 3 and not self.gc_freeze:
                raise SettingsError("it must be cold for many threads.")

    assert PoolOptions(settings={"gc_freeze": False}).over(Particular(threads=2)).threads == 2
    with pytest.raises(Refusal, match="it must be cold for many threads"):
        PoolOptions(settings={"gc_freeze": False}).over(Particular(threads=4))


SOME_SECONDS = Annotated[float, Range(0, "seconds", excluded=True)]


@pytest.mark.parametrize(
    ("hint", "text", "admitted", "refused"),
    [
        (bool, "true or false", [True, False], [0, "yes", None]),
        (int, "a whole number", [-1, 0], [True, 1.0, "1", None]),
        (float, "a number", [1, 1.5, float("nan")], [True, "1", None]),
        (str, "a string", ["", "x"], [b"x", 1, None]),
        (Count, "a whole number >= 0", [0, 1], [-1, 0.5, False]),
        (Count | None, "a whole number >= 0, or None", [None, 0], [-1]),
        (SOME_SECONDS, "a number of seconds > 0", [0.1, 1], [0, 0.0, -1, float("nan"), None]),
        (Literal["a", "b"], "one of: a, b", ["a", "b"], ["A", "", "ab", None, []]),
        (Literal["a"] | None, "one of: a, or None", ["a", None], ["b"]),
        (Annotated[bool, "something else"], "true or false", [True], [1]),
        (Annotated[Count | None, "x"], "a whole number >= 0, or None", [0, None], [-1]),
    ],
)
def test_a_type_is_a_rule(
    hint: Any, text: str, admitted: list[object], refused: list[object]
) -> None:
    rule = Rule.of(hint)
    assert str(rule) == text
    assert [value for value in [*admitted, *refused] if rule.admits(value)] == admitted


@pytest.mark.parametrize("name", NAMES)
def test_settings_refuse_what_their_types_do_not_allow(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is b'x'; it must be {rules()[name]}."):
        Settings(**{name: b"x"})  # type: ignore[arg-type]
