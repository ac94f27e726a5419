"""`mold`: workers are forked from a warm worker, whose memory they share from then on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from prefork.linux.strays import end_strays
from prefork.linux.subreaper import taking_in_orphans
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.fork_server import FORK_TIMEOUT, ForkServer, ForkServerError
from prefork.master.origins.from_fork_server import FromForkServer
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.policies.rollout import PromotionBackoff, to_promote, to_replace
from prefork.state.lifecycle import (
    REFORK_TRANSITIONS,
    ReforkEvent,
    ReforkState,
    WorkerState,
    advance,
)
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.protocol.exit_codes import Death
from prefork.workers.server_in_worker import PassedFds

logger = logging.getLogger("prefork")


class MoldPromotion:
    """A mold that a worker was told to fork, until it is ready.

    A worker that is busy reads that later. Before it forks it asks, so that orphans are taken in
    for the moment of the fork only, and nothing is forked for one who has given up.
    """

    def __init__(self, parent: WorkerRecord, deadline: float, system: System) -> None:
        self.parent = parent
        self.deadline = deadline
        ours, theirs = Channel.pair()
        self.mold = ForkServer(ours, system)
        self._system = system
        self._orphans = contextlib.ExitStack()
        self._birth_ends: float | None = None  # when it has to, while one is under way
        self._ended: set[int] = set()
        try:
            parent.may_fork = True
            parent.channel.send(Message(Kind.FORK_MOLD, fd=theirs.fileno()))
        except BaseException:
            self.mold.end()
            raise
        finally:
            theirs.close()

    def is_ready(self) -> bool:
        """Whether it has become a mold that forks workers.

        Errors: `ForkServerError` when it never will, `OSError` where no orphan may be taken in.
        """
        for message in self.mold.news():
            if message.kind is Kind.FORK_MOLD:
                self._orphans.enter_context(taking_in_orphans())
                self._birth_ends = self._system.clock() + FORK_TIMEOUT
                self.mold.channel.send(Message(Kind.FORK_MOLD))
            elif message.kind is Kind.FORKED:
                self._born(int(message.body))
            elif message.kind is Kind.READY:
                return True
            else:
                raise ForkServerError(message.body.decode("utf-8", "replace"))
        if self._system.clock() >= self.deadline:
            raise ForkServerError("it was not ready within the start_timeout")
        return False

    def note_end_of_parent(self) -> None:
        """It was killed, perhaps while it was forking."""
        self._ended |= end_strays(self.parent.pid, self.mold.pid)

    def end(self, kill_parent: Callable[[], None]) -> None:
        """Give up; who is being forked just now is waited for, and ended.

        `kill_parent` ends a worker that does not come back from forking.
        """
        while self._birth_ends is not None:
            left = self._birth_ends - self._system.clock()
            if not self.mold.channel.wait(max(left, 0.0)):
                kill_parent()
                break
            if not self._hear_of_birth():
                break
        if self._birth_ends is not None:
            self._ended |= end_strays(self.parent.pid)
            while self._hear_of_birth():
                pass  # who bears the name of a birth no more has said its number before
        self._orphans.close()
        self.mold.end(at_once=True)

    def _hear_of_birth(self) -> bool:
        """Whether anything more was said."""
        try:
            message = self.mold.channel.receive()
        except BlockingIOError:
            return False
        if message is not None and message.kind is Kind.FORKED:
            self._born(int(message.body))
        return message is not None

    def _born(self, pid: int) -> None:
        if pid not in self._ended:
            self.mold.adopt(pid)
            self._birth_ends = None
            self._orphans.close()


class FromMold(FromForkServer):
    """From a mold, once there is one; until then as by `auto`.

    A worker that has served `refork_after` requests forks a mold; when that is ready the workers
    are replaced, `max_unavailable` at a time. They are the next generation, of which one worker
    will be the next to fork a mold.
    """

    def __init__(
        self, server: ServerInMaster, strategy: Strategy, children: Children, system: System
    ) -> None:
        super().__init__(server, strategy, children, system)
        self._state = ReforkState.RESTING
        self._backoff = PromotionBackoff()
        self._mold: ForkServer | None = None
        self._promotion: MoldPromotion | None = None
        self._said = ""

    def fork_persistent(self, passed_fds: PassedFds) -> WorkerRecord:
        if (mold := self._mold) is not None:
            try:
                if self.is_out_of_date(mold):
                    raise ForkServerError("has a listener that is closed by now")
                return self.fork_by(mold, passed_fds)
            except ForkServerError as error:
                self._lose_mold(mold, str(error))
        return super().fork_persistent(passed_fds)

    def tick(self, wanted: int) -> list[WorkerRecord]:
        now = self.system.clock()
        if self._promotion is not None and now >= self._promotion.deadline:
            self._hear(self._promotion)
        if self._state is ReforkState.RESTING and self._backoff.look(now):
            self._promote(now)
        if self._state is not ReforkState.ROLLING:
            return []
        if not self._outdated_left():
            self._note(ReforkEvent.ROLLED)
        return self._to_retire(wanted)

    def next_timeout(self, wanted: int) -> float | None:
        now = self.system.clock()
        if self._promotion is not None:
            return max(self._promotion.deadline - now, 0.0)
        if self._state is ReforkState.RESTING:
            return self._backoff.next_timeout(now)
        return 0.0 if self._to_retire(wanted) or not self._outdated_left() else None

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        if death.is_violent and self._promotion is not None and self._promotion.parent is record:
            self._promotion.note_end_of_parent()
        super().note_death(record, death)
        failed = record.persistent and not record.was_ready
        if failed and self._mold is not None and not self._is_outdated(record):
            # What is in the mold's memory may be the reason, and would be so for ever.
            self._lose_mold(self._mold, "has forked a worker that could not start")

    def end(self) -> None:
        if self._promotion is not None:
            self._abandon(self._promotion)
        self._dismiss_fork_servers()

    def close_in_child(self) -> None:
        super().close_in_child()
        if self._promotion is not None:
            self._promotion.mold.close_in_child()
        if self._mold is not None:
            self._mold.close_in_child()

    def _to_retire(self, wanted: int) -> list[WorkerRecord]:
        serving = self._serving()
        outdated = ((r.slot, self.children.reading(r)) for r in serving if self._is_outdated(r))
        missing = wanted - len(serving)
        slots = to_replace(outdated, missing, self.server.settings().max_unavailable)
        return [self.strategy.pool.by_slot(slot) for slot in slots]

    def _outdated_left(self) -> bool:
        return any(r.persistent and self._is_outdated(r) for r in self.strategy.pool)

    def _serving(self) -> list[WorkerRecord]:
        pool = self.strategy.pool
        return [r for r in pool if r.persistent and r.state is WorkerState.SERVING]

    def _is_outdated(self, record: WorkerRecord) -> bool:
        return record.generation < self.generation

    def _promote(self, now: float) -> None:
        """Have a worker fork a mold, if one is warm."""
        settings = self.server.settings()
        current = (r for r in self._serving() if not self._is_outdated(r))
        readings = ((record.slot, self.children.reading(record)) for record in current)
        slot = to_promote(readings, settings.refork_after)
        if slot is None:
            return
        parent = self.strategy.pool.by_slot(slot)
        try:
            promotion = MoldPromotion(parent, now + settings.start_timeout, self.system)
        except OSError as error:
            self._backoff.note_end(now)
            self._report_failure(parent, str(error))
            return
        promotion.mold.listeners = self.listeners()
        self._promotion = promotion
        self._note(ReforkEvent.ORDERED)
        self.children.watch(promotion.mold.channel.fileno(), lambda: self._hear(promotion))

    def _hear(self, promotion: MoldPromotion) -> None:
        try:
            if not promotion.is_ready():
                return
        except (ForkServerError, OSError) as error:
            self._abandon(promotion)
            self._note(ReforkEvent.FAILED)
            self._report_failure(promotion.parent, str(error))
            return
        self.children.unwatch(promotion.mold.channel.fileno())
        self._dismiss_fork_servers()
        mold = self._mold = promotion.mold
        self._promotion = None
        self._note(ReforkEvent.GROWN)
        self.children.watch(mold.fileno(), lambda: self._note_end_of_mold(mold))
        self.generation += 1
        logger.info(
            "Workers of generation %d are forked from process %d, which was forked from worker %d "
            "(pid %d).",
            self.generation,
            mold.pid,
            promotion.parent.slot,
            promotion.parent.pid,
        )

    def _abandon(self, promotion: MoldPromotion) -> None:
        def kill_parent() -> None:
            logger.warning("Killing worker %d (pid %d): it does not come back from forking.", *who)
            self.children.kill(promotion.parent)

        who = promotion.parent.slot, promotion.parent.pid
        self.children.unwatch(promotion.mold.channel.fileno())
        promotion.end(kill_parent)
        self._promotion = None

    def _note_end_of_mold(self, mold: ForkServer) -> None:
        if (death := mold.collect()) is not None:
            self._lose_mold(mold, death.sentence)

    def _lose_mold(self, mold: ForkServer, why: str) -> None:
        self.dismiss(mold)
        self._mold = None
        self._note(ReforkEvent.LOST)
        logger.log(
            mold.severity,
            "The process that workers were forked from (pid %d) %s; until there is another one, "
            "they are forked as at the start.",
            mold.pid,
            why,
        )

    def _dismiss_fork_servers(self) -> None:
        """Nothing more is to be forked from where workers have come from until now."""
        super().end()
        if self._mold is not None:
            self.dismiss(self._mold)
            self._mold = None

    def _note(self, event: ReforkEvent) -> None:
        self._state = advance(REFORK_TRANSITIONS, self._state, event)
        if self._state is ReforkState.RESTING:
            self._backoff.note_end(self.system.clock())

    def _report_failure(self, parent: WorkerRecord, why: str) -> None:
        """In a sentence, and the traceback if there is one; the same again is no news."""
        reason, _, rest = why.partition("\n")
        logger.log(
            logging.DEBUG if reason == self._said else logging.WARNING,
            "No worker can be forked from worker %d (pid %d): %s; they are forked as before.%s",
            parent.slot,
            parent.pid,
            reason,
            f"\n{rest}" if rest else "",
        )
        self._said = reason
