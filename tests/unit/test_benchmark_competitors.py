"""Peers that are not installed."""

from benchmarks.harness.competitors import Competitor, installed, peer, perl_peer


def test_a_peer_that_is_not_installed_is_left_out_with_a_sentence() -> None:
    first, second = Competitor("one", ("true",)), Competitor("other", ("false",), "the package x")
    assert installed((first, second)) == (
        [first],
        ["other was not measured: it needs the package x, which is not installed."],
    )


def test_a_package_that_cannot_be_found_is_missing() -> None:
    assert peer("x.py", 1, name="x", needs="no_such_package").missing
    assert not peer("x.py", 1, name="x", needs="json").missing
    assert not peer("x.py", 1, name="x").missing


def test_a_module_of_perl_that_cannot_be_found_is_missing() -> None:
    missing = perl_peer("x.pl", 1, name="x", needs="No::Such::Module", package="libx").missing
    assert missing == "Perl's No::Such::Module (Debian's package libx)"
