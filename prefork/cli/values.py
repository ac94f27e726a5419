"""Parses the value of an option; the error for an invalid value says where it was given."""

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
    """Return an option whose value must satisfy the rule; `more` is passed on to the parameter.

    Errors: `Refusal`, when an invalid value is parsed.
    """

    def convert(_: Any, tokens: Sequence[Token]) -> object:
        (token,) = tokens  # a list in a file was already refused
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
    """Parse a string, without checking whether its value is allowed.

    Errors: `ValueError` or `KeyError` if the string is not of the rule's type.
    """
    if rule.optional and text.lower() == "none":
        return None
    return READERS[rule.kind](text)


def as_written(value: object) -> str:
    """Return a value in the form that an option takes."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def metavar(rule: Rule) -> str | None:
    """Return the placeholder of a value in the help; `None` if the parser makes it, for choices."""
    if rule.choices or rule.kind is bool:
        return None
    if rule.range is not None and rule.range.unit:
        return rule.range.unit.upper()
    return "TEXT" if rule.kind is str else "NUMBER"


def place(token: Token) -> str:
    """Return what was given, and where: a flag, a variable, or a line of a file."""
    if token.source == "cli":
        return f"{token.keyword} {token.value!r}"
    if token.source == "env":
        return f"{token.keyword}={token.value!r}"
    return f"{(token.keyword or '').strip('[]')} = {token.value!r} in {token.source}"


COUNT = by(Rule(int, range=Range(1)))
