"""The state of one pool, and why it stops. No system calls; the clock is an argument."""

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

    The master calls a method for each event, and reads the answers that follow from the state and
    the reason.

    Errors: `LifecycleError` if an event is not allowed in the present state.
    """

    def __init__(self) -> None:
        self.state = PoolState.NEW
        self.stop_reason: StopReason | None = None
        self._was_forced = False  # by a signal handler; an interrupted event does not clear it
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

        The graceful_timeout starts with the first call. A forced stop stays forced.
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
        """Note that a worker died that should have emptied the backlog."""
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

        It may have interrupted any other event, so the state changes only with the next event.
        """
        self._was_forced = True

    def note_empty(self) -> bool:
        """Note that no worker is left; return whether this closes the pool."""
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
        """Whether new workers must serve what waits in the backlog if no worker is left."""
        return self._backlog_may_wait and not self.is_forced

    def graceful_time_left(self, timeout: float | None, now: float) -> float | None:
        """Return the seconds until the workers are killed; `None` if there is no limit, or if the
        pool is not draining."""
        if timeout is None or self.state is not PoolState.DRAINING:
            return None
        return max(self._drain_began + timeout - now, 0.0)

    def _enter(self, event: PoolEvent, reason: StopReason | None) -> None:
        state = advance(POOL_TRANSITIONS, self.state, event)
        if reason not in STOP_REASONS[state]:
            name = reason.name if reason else "None"
            raise LifecycleError(f"A pool in state {state.name} cannot have stop reason {name}.")
        self.state, self.stop_reason = state, reason
