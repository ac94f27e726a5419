"""`mold`: forks workers from a process that was forked from a warm worker."""

from __future__ import annotations

import logging

from prefork.linux import prctl
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.fork_server import ForkServer, ForkServerError
from prefork.master.origins.from_fork_server import FromForkServer
from prefork.master.origins.mold_promotion import MoldPromotion
from prefork.master.rollout import Rollout
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.policies.promotion import PromotionBackoff, to_promote
from prefork.state.lifecycle import PROMOTION_TRANSITIONS, PromotionEvent, PromotionState, advance
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.exit_codes import Death
from prefork.workers.server_in_worker import PassedFds

logger = logging.getLogger("prefork")


class FromMold(FromForkServer):
    """Forks workers from a mold if there is one, and otherwise like `auto`.

    A worker that has served `refork_after` requests is told to fork a mold. When the mold is ready,
    a new generation can be forked from it, and the `Rollout` replaces the workers. Later, a worker
    of that generation forks the next mold.
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
        prctl.load()  # before the workers are forked, which will fork the molds
        self._state = PromotionState.IDLE
        self._backoff = PromotionBackoff()
        self._mold: ForkServer | None = None
        self._promotion: MoldPromotion | None = None
        self._last_reason = ""

    def fork_persistent(self, passed_fds: PassedFds) -> WorkerRecord:
        if (mold := self._mold) is not None:
            try:
                if self.is_out_of_date(mold):
                    raise ForkServerError("does not have the same listeners as the server")
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

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        if self._promotion is None or self._promotion.parent is not record:
            super().note_death(record, death)
        elif death.is_violent:
            self._promotion.note_exit_of_parent()  # spares a mold that is recorded already
        failed = record.persistent and not record.was_ready
        if failed and self._mold is not None and not self.rollout.is_outdated(record):
            # If the mold's memory is the cause, all workers that are forked from it fail.
            self._lose_mold(self._mold, "forked a worker that could not start")

    def end(self) -> None:
        if self._promotion is not None:
            self._abandon(self._promotion)
            if self._state is PromotionState.FORKING:
                self._note(PromotionEvent.FAILED)
        self._dismiss_fork_servers()

    def close_in_child(self) -> None:
        super().close_in_child()
        if self._promotion is not None:
            self._promotion.mold.close_in_child()
        if self._mold is not None:
            self._mold.close_in_child()

    def _promote(self, now: float) -> None:
        """Tell a worker to fork a mold, if any worker is warm."""
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
            if not promotion.is_ready():
                return
        except (ForkServerError, OSError) as error:
            self._abandon(promotion)
            self._note(PromotionEvent.FAILED)
            self._report_failure(promotion.parent, str(error))
            return
        self.children.unwatch(promotion.mold.channel.fileno())
        self._dismiss_fork_servers()
        mold = self._mold = promotion.mold
        self._promotion = None
        self._note(PromotionEvent.READY)
        self.children.watch(mold.fileno(), lambda: self._note_exit_of_mold(mold))
        self.rollout.begin()
        logger.info(
            "Workers of generation %d are now forked from the mold (pid %d), which was forked from "
            "worker %d (pid %d).",
            self.rollout.generation,
            mold.pid,
            promotion.parent.slot,
            promotion.parent.pid,
            extra={
                "event": "generation_ready",
                "generation": self.rollout.generation,
                "pid": mold.pid,
                "slot": promotion.parent.slot,
                "parent_pid": promotion.parent.pid,
            },
        )

    def _abandon(self, promotion: MoldPromotion) -> None:
        def kill_parent() -> None:
            why = "it did not finish forking a mold"
            self.children.kill_and_wait(promotion.parent, why)

        self.children.unwatch(promotion.mold.channel.fileno())
        promotion.end(kill_parent)
        self._promotion = None

    def _note_exit_of_mold(self, mold: ForkServer) -> None:
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
            "The mold (pid %d) %s; until there is a new mold, workers are forked as with fork_from "
            "'auto'.",
            mold.pid,
            why,
            extra={"event": "mold_exit", "pid": mold.pid, "reason": why},
        )

    def _dismiss_fork_servers(self) -> None:
        """End the mold and the fork server, if there are any."""
        super().end()
        if self._mold is not None:
            self.dismiss(self._mold)
            self._mold = None

    def _note(self, event: PromotionEvent) -> None:
        self._state = advance(PROMOTION_TRANSITIONS, self._state, event)
        if self._state is PromotionState.IDLE:
            self._backoff.note_end(self.system.clock())

    def _report_failure(self, parent: WorkerRecord, why: str) -> None:
        """Log the reason, and the traceback if there is one; at level DEBUG if it is the same
        reason as before."""
        reason, _, rest = why.partition("\n")
        logger.log(
            logging.DEBUG if reason == self._last_reason else logging.WARNING,
            "The promotion of worker %d (pid %d) failed: %s; workers are forked as before.%s",
            parent.slot,
            parent.pid,
            reason,
            f"\n{rest}" if rest else "",
            extra={
                "event": "promotion_failed",
                "slot": parent.slot,
                "pid": parent.pid,
                "reason": reason,
            },
        )
        self._last_reason = reason
