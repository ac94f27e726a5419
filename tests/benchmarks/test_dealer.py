"""Cards are dealt to requests, each once, whichever worker serves them."""

import shutil

import pytest

from benchmarks.dealer import dealing
from benchmarks.dealt import Card
from benchmarks.load import ECHO, generate
from tests.support.deadlines import EXCHANGE, stretched

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler cc")


def test_each_request_takes_the_next_card_and_notes_what_it_took() -> None:
    with dealing("dealt", workers=2) as dealer:
        for waits in ([0.0] * 9, [0.01, 0.02, 0.03, 0.04]):
            dealer.deal([Card(0, 0, wait) for wait in [*waits, 0.0]])
            answers = generate(
                ECHO,
                dealer.server.port,
                clients=2,
                seconds=stretched(EXCHANGE),
                requests=len(waits),
            )
            assert (answers.requests, answers.errors) == (len(waits), 0)
            noted = sorted(note.wait for note in dealer.notes())
            # What the call costs to sleep is CPU, and belongs to the wait as well.
            assert all(note > 0.9 * wait - 0.001 for note, wait in zip(noted, waits, strict=True))
