"""Where one pool is, and why it ends. No system calls; the clock is an argument."""

from __future__ import annotations

from prefork.state.lifecycle import (
    POOL_TRANSITIONS,
    STOP_REASONS,
    LifecycleError,
    PoolEvent,
    PoolState,
    StopReason,
    advance,
)


class PoolLifecycle:
    """The state of a pool and its `StopReason`, which change together.

    For the master: a method for each event, and the answers that follow from state and reason.

    Errors: `LifecycleError` when an event is not allowed in the present state.
    """

    def __init__(self) -> None:
        self.state = PoolState.NEW
        self.stop_reason: StopReason | None = None
        self._was_forced = False  # by a signal handler; never cleared by an event it interrupted
        self._drain_began = 0.0
        self._backlog_may_wait = False

    # -- events ------------------------------------------------------------------------------

    def start(self) -> None:
        """Note that the loop begins."""
        self._enter(PoolEvent.START, None)
        self._backlog_may_wait = self._was_forced = False

    def note_ready(self) -> None:
        """Note that a worker is ready, or that none is wanted."""
        if self.state is PoolState.BOOTING:
            self._enter(PoolEvent.READY, None)

    def drain(self, reason: StopReason, now: float) -> None:
        """Note that the loop has ended, or that the server closes.

        The graceful_timeout counts from the first time. A pool that is forced to stop stays so.
        """
        if self.is_forced:
            self.kill()
            return
        if self.state is not PoolState.DRAINING:
            self._drain_began = now
        closing = StopReason.CLOSING in (reason, self.stop_reason)
        self._enter(PoolEvent.DRAIN, StopReason.CLOSING if closing else reason)
        self._backlog_may_wait |= reason is StopReason.CLOSING

    def note_unfinished_drain(self) -> None:
        """Note that a worker has died that was to empty the backlog."""
        self._backlog_may_wait |= self.state is PoolState.DRAINING

    def drain_again(self) -> None:
        """Note that new workers are started for what waits in the backlog."""
        self._enter(PoolEvent.DRAIN, self.stop_reason)
        self._backlog_may_wait = False

    def kill(self) -> None:
        """Note that the workers are killed."""
        self._enter(PoolEvent.KILL, StopReason.FORCED)

    def note_forced(self) -> None:
        """Note that a signal handler kills the workers.

        It may have interrupted any other event, so the state follows with the next event only.
        """
        self._was_forced = True

    def note_empty(self) -> bool:
        """Note that no worker is left; return whether the pool is closed by that."""
        ends = self.state in (PoolState.DRAINING, PoolState.STOPPING)
        if ends:
            self._enter(PoolEvent.EMPTY, self.stop_reason)
        return ends

    # -- answers -----------------------------------------------------------------------------

    @property
    def is_booting(self) -> bool:
        """Whether a failed start ends the server."""
        return self.state is PoolState.BOOTING

    @property
    def is_forced(self) -> bool:
        """Whether the workers of the present run were killed."""
        return self._was_forced or self.stop_reason is StopReason.FORCED

    @property
    def keeps_workers(self) -> bool:
        """Whether missing workers are started, and dead ones replaced."""
        return self.state in (PoolState.BOOTING, PoolState.RUNNING) and not self._was_forced

    @property
    def needs_drainers(self) -> bool:
        """Whether, without workers, new ones have to serve what waits in the backlog."""
        return self._backlog_may_wait and not self.is_forced

    def graceful_time_left(self, timeout: float | None, now: float) -> float | None:
        """Return the seconds until the workers are killed; `None` if that has no limit, or if the
        pool does not drain."""
        if timeout is None or self.state is not PoolState.DRAINING:
            return None
        return max(self._drain_began + timeout - now, 0.0)

    def _enter(self, event: PoolEvent, reason: StopReason | None) -> None:
        state = advance(POOL_TRANSITIONS, self.state, event)
        if reason not in STOP_REASONS[state]:
            name = reason.name if reason else "no reason"
            raise LifecycleError(f"A pool cannot be in state {state.name} with {name} to stop.")
        self.state, self.stop_reason = state, reason
