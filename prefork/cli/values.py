"""How the value of an option is parsed, and the error that says where a wrong one was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import Parameter, Token

from prefork.cli.outcomes import Refusal, did_you_mean
from prefork.settings import Range, Rule

TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
READERS: dict[type, Callable[[str], object]] = {
    bool: lambda text: TRUTH[text.lower()],
    int: int,  # the parser's own would round
    float: float,
    str: str,
}


def by(rule: Rule, **more: Any) -> Parameter:
    """An option whose value must satisfy the rule; `more` is passed on to the parameter.

    Errors, when it is parsed: `Refusal`.
    """

    def convert(_: Any, tokens: Sequence[Token]) -> object:
        (token,) = tokens  # a list in a file was refused already
        try:
            value = value_of(token.value, rule)
        except (ValueError, KeyError):
            admitted = False
        else:
            admitted = rule.admits(value)
        if not admitted:
            hint = did_you_mean(token.value, rule.choices)
            raise Refusal(f"{place(token)}: it must be {rule}.{hint}")
        return value

    return Parameter(converter=convert, metavar=metavar(rule), **more)


def value_of(text: str, rule: Rule) -> object:
    """Parse a text; whether the value is allowed is not checked here.

    Errors: `ValueError` or `KeyError` if the text is not of the rule's type.
    """
    if rule.optional and text.lower() == "none":
        return None
    return READERS[rule.kind](text)


def as_written(value: object) -> str:
    """A value as an option takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def metavar(rule: Rule) -> str | None:
    """The placeholder of a value in the help; `None` leaves it to the parser, for choices."""
    if rule.choices or rule.kind is bool:
        return None
    if rule.range is not None and rule.range.unit:
        return rule.range.unit.upper()
    return "TEXT" if rule.kind is str else "NUMBER"


def place(token: Token) -> str:
    """What was given, and where: a flag, a variable, or a line of a file."""
    if token.source == "cli":
        return f"{token.keyword} {token.value!r}"
    if token.source == "env":
        return f"{token.keyword}={token.value!r}"
    return f"{(token.keyword or '').strip('[]')} = {token.value!r} in {token.source}"


COUNT = by(Rule(int, range=Range(1)))
