"""`mold`: workers are forked from a warm worker, whose memory they share from then on."""

from __future__ import annotations

import contextlib
import logging

from prefork.linux.subreaper import taking_in_orphans
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.fork_server import ForkServer, ForkServerError
from prefork.master.origins.from_fork_server import FromForkServer
from prefork.master.rollout import Rollout
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.policies.promotion import PromotionBackoff, to_promote
from prefork.state.lifecycle import PROMOTION_TRANSITIONS, PromotionEvent, PromotionState, advance
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.server_in_worker import PassedFds

logger = logging.getLogger("prefork")


class MoldPromotion:
    """A mold that a worker was told to fork, until it is ready."""

    def __init__(self, parent: WorkerRecord, deadline: float, system: System) -> None:
        self.parent = parent
        self.deadline = deadline
        ours, theirs = Channel.pair()
        self.mold = ForkServer(ours, system)
        self._orphans = contextlib.ExitStack()
        try:
            # Until the mold says that it is there, and so a child of this process.
            self._orphans.enter_context(taking_in_orphans())
            parent.channel.send(Message(Kind.FORK_MOLD, fd=theirs.fileno()))
        except BaseException:
            self.end()
            raise
        finally:
            theirs.close()

    def is_ready(self, now: float) -> bool:
        """Whether it has become a mold that forks workers.

        Errors: `ForkServerError` when it never will.
        """
        for message in self.mold.news():
            if message.kind is Kind.FORKED:
                self.mold.adopt(int(message.body))
                self._orphans.close()
            elif message.kind is Kind.READY:
                return True
            else:
                raise ForkServerError(message.body.decode("utf-8", "replace"))
        if now >= self.deadline:
            raise ForkServerError("it was not ready within the start_timeout")
        return False

    def end(self) -> None:
        """Give up; one that is being forked just now is still taken in."""
        if not self.mold.pid:
            self.mold.call_off()
        self._orphans.close()
        self.mold.end(at_once=True)


class FromMold(FromForkServer):
    """From a mold, once there is one; until then as by `auto`.

    A worker that has served `refork_after` requests forks a mold; when that is ready the workers
    are replaced, `max_unavailable` at a time. They are the next generation, of which one worker
    will be the next to fork a mold.
    """

    def __init__(
        self,
        server: ServerInMaster,
        strategy: Strategy,
        children: Children,
        rollout: Rollout,
        system: System,
    ) -> None:
        super().__init__(server, strategy, children, rollout, system)
        self._state = PromotionState.IDLE
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

    def tick(self) -> None:
        now = self.system.clock()
        if self._promotion is not None and now >= self._promotion.deadline:
            self._hear(self._promotion)
        if self.rollout.is_rolling:
            self._backoff.note_end(now)  # a promotion ends with the rollout of its generation
        elif self._state is PromotionState.IDLE and self._backoff.look(now):
            self._promote(now)

    def next_timeout(self) -> float | None:
        now = self.system.clock()
        if self._promotion is not None:
            return max(self._promotion.deadline - now, 0.0)
        return None if self.rollout.is_rolling else self._backoff.next_timeout(now)

    def note_failed_start(self, record: WorkerRecord) -> None:
        """What is in the mold's memory may be the reason, and would be so for ever."""
        if self._mold is not None and not self.rollout.is_outdated(record):
            self._lose_mold(self._mold, "has forked a worker that could not start")

    def end(self) -> None:
        if self._promotion is not None:
            self._abandon(self._promotion)
            self._note(PromotionEvent.FAILED)
        self._dismiss_fork_servers()

    def close_in_child(self) -> None:
        super().close_in_child()
        if self._promotion is not None:
            self._promotion.mold.close_in_child()
        if self._mold is not None:
            self._mold.close_in_child()

    def _promote(self, now: float) -> None:
        """Have a worker fork a mold, if one is warm."""
        settings = self.server.settings()
        current = (r for r in self.strategy.pool.serving() if not self.rollout.is_outdated(r))
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
        self._note(PromotionEvent.ORDERED)
        self.children.watch(promotion.mold.channel.fileno(), lambda: self._hear(promotion))

    def _hear(self, promotion: MoldPromotion) -> None:
        try:
            if not promotion.is_ready(self.system.clock()):
                return
        except ForkServerError as error:
            self._abandon(promotion)
            self._note(PromotionEvent.FAILED)
            self._report_failure(promotion.parent, str(error))
            return
        self.children.unwatch(promotion.mold.channel.fileno())
        self._dismiss_fork_servers()
        mold = self._mold = promotion.mold
        self._promotion = None
        self._note(PromotionEvent.READY)
        self.children.watch(mold.fileno(), lambda: self._note_end_of_mold(mold))
        self.rollout.begin()
        logger.info(
            "Workers of generation %d are forked from process %d, which was forked from worker %d "
            "(pid %d).",
            self.rollout.generation,
            mold.pid,
            promotion.parent.slot,
            promotion.parent.pid,
        )

    def _abandon(self, promotion: MoldPromotion) -> None:
        self.children.unwatch(promotion.mold.channel.fileno())
        promotion.end()
        self._promotion = None

    def _note_end_of_mold(self, mold: ForkServer) -> None:
        if (death := mold.collect()) is not None:
            self._lose_mold(mold, death.sentence)

    def _lose_mold(self, mold: ForkServer, why: str) -> None:
        self.dismiss(mold)
        self._mold = None
        self.rollout.call_off()
        if self._state is PromotionState.IDLE:
            self._backoff.note_end(self.system.clock())
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

    def _note(self, event: PromotionEvent) -> None:
        self._state = advance(PROMOTION_TRANSITIONS, self._state, event)
        if self._state is PromotionState.IDLE:
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
