"""The state machines of a worker, of the pool and of its generations, as tables. No system calls.

A worker is *starting* from the fork until it reports that it is ready, *serving* until it is asked
to leave, then *retiring*: it takes nothing new and finishes what it holds. A worker that misses a
deadline is *killed*. A worker may exit in any of these states; then it is *gone*, and its slot is
free.

The pool is *new* until its loop begins. While it is *booting*, workers are kept and none has been
ready yet; only in this state, a failed start ends the server (`StartError`). When the first worker
is ready, or at once if none is wanted, it is *running*. When the loop has ended, it is *draining*:
the workers finish, and serve what waits in the backlog. When the graceful_timeout has expired, or a
forced stop is requested, it is *stopping*: the workers have been killed. When no worker is left, it
is *closed*. It may boot again from any state, since `serve_forever()` may be called again.

A state says what the pool is doing; a `StopReason` says why it no longer keeps workers. The reason
is kept after the state changes: a closed pool still knows whether its workers were killed.

If workers are forked from a mold, a promotion is *idle* until a worker is warm, then *forking*
until the mold is ready or has failed. When it is ready, a new generation begins. Its rollout is
*rolling* while the workers of older generations are replaced, and *settled* otherwise.

The tables contain every transition, and every valid pair of state and reason. Anything else is a
bug; it raises an exception and changes nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeVar


class WorkerState(Enum):
    """The state of a worker, as known to the master."""

    STARTING = auto()  # forked, not ready yet
    SERVING = auto()  # takes requests
    RETIRING = auto()  # asked to finish
    KILLED = auto()  # SIGKILL was sent; its exit is awaited
    GONE = auto()  # reaped; the slot is free


class WorkerEvent(Enum):
    """What happens to a worker."""

    READY = auto()  # it reported that it can take requests
    RETIRED = auto()  # it was told to leave
    KILLED = auto()  # SIGKILL was sent: a deadline has passed, or the stop is forced
    EXITED = auto()  # it was reaped


class PoolState(Enum):
    """The state of a pool."""

    NEW = auto()  # no loop has begun
    BOOTING = auto()  # workers are kept; the first one is not ready yet
    RUNNING = auto()  # workers are kept
    DRAINING = auto()  # workers finish, and empty the backlog
    STOPPING = auto()  # workers were killed
    CLOSED = auto()  # no worker is left


class PoolEvent(Enum):
    """What happens to a pool."""

    START = auto()  # the loop begins
    READY = auto()  # the first worker is ready, or none is wanted
    DRAIN = auto()  # the loop has ended, or the server closes
    KILL = auto()  # the graceful_timeout has expired, or a forced stop was requested
    EMPTY = auto()  # no worker is left


class StopReason(Enum):
    """Why a pool no longer keeps workers."""

    LOOP_ENDED = auto()  # the listener stays open, and another loop may begin
    CLOSING = auto()  # the listener is about to be closed; what waits there must be served first
    FORCED = auto()  # the workers were killed, and nothing more is served


class PromotionState(Enum):
    """Whether a worker is forking a mold."""

    IDLE = auto()  # no worker is
    FORKING = auto()  # a worker was told to; the previous mold is still in use


class PromotionEvent(Enum):
    """What happens to a promotion."""

    ORDERED = auto()  # a worker was told to fork a mold
    READY = auto()  # workers can be forked from the mold
    FAILED = auto()  # there will be no mold


class RolloutState(Enum):
    """Whether workers are being replaced by those of the next generation."""

    SETTLED = auto()  # they are not; workers of older generations may be left
    ROLLING = auto()  # workers of older generations are retired, a few at once


class RolloutEvent(Enum):
    """What happens to a generation."""

    BEGUN = auto()  # its workers can be forked
    FINISHED = auto()  # no older worker is left
    CALLED_OFF = auto()  # its workers can no longer be forked


class LifecycleError(RuntimeError):
    """An event occurred in a state that does not allow it: a bug in this package."""


_W, _WE, _P, _PE = WorkerState, WorkerEvent, PoolState, PoolEvent
_M, _ME = PromotionState, PromotionEvent
_R, _RE = RolloutState, RolloutEvent

WORKER_TRANSITIONS: dict[tuple[WorkerState, WorkerEvent], WorkerState] = {
    (_W.STARTING, _WE.READY): _W.SERVING,
    (_W.STARTING, _WE.RETIRED): _W.RETIRING,
    (_W.STARTING, _WE.KILLED): _W.KILLED,
    (_W.STARTING, _WE.EXITED): _W.GONE,
    (_W.SERVING, _WE.RETIRED): _W.RETIRING,
    (_W.SERVING, _WE.KILLED): _W.KILLED,
    (_W.SERVING, _WE.EXITED): _W.GONE,
    (_W.RETIRING, _WE.READY): _W.RETIRING,
    (_W.RETIRING, _WE.RETIRED): _W.RETIRING,
    (_W.RETIRING, _WE.KILLED): _W.KILLED,
    (_W.RETIRING, _WE.EXITED): _W.GONE,
    (_W.KILLED, _WE.READY): _W.KILLED,
    (_W.KILLED, _WE.EXITED): _W.GONE,
}

POOL_TRANSITIONS: dict[tuple[PoolState, PoolEvent], PoolState] = {
    (_P.NEW, _PE.START): _P.BOOTING,
    (_P.NEW, _PE.DRAIN): _P.DRAINING,
    (_P.NEW, _PE.KILL): _P.STOPPING,
    (_P.BOOTING, _PE.START): _P.BOOTING,
    (_P.BOOTING, _PE.READY): _P.RUNNING,
    (_P.BOOTING, _PE.DRAIN): _P.DRAINING,
    (_P.BOOTING, _PE.KILL): _P.STOPPING,
    (_P.RUNNING, _PE.START): _P.BOOTING,
    (_P.RUNNING, _PE.DRAIN): _P.DRAINING,
    (_P.RUNNING, _PE.KILL): _P.STOPPING,
    (_P.DRAINING, _PE.START): _P.BOOTING,
    (_P.DRAINING, _PE.DRAIN): _P.DRAINING,
    (_P.DRAINING, _PE.KILL): _P.STOPPING,
    (_P.DRAINING, _PE.EMPTY): _P.CLOSED,
    (_P.STOPPING, _PE.START): _P.BOOTING,
    (_P.STOPPING, _PE.KILL): _P.STOPPING,
    (_P.STOPPING, _PE.EMPTY): _P.CLOSED,
    (_P.CLOSED, _PE.START): _P.BOOTING,
    (_P.CLOSED, _PE.DRAIN): _P.DRAINING,
    (_P.CLOSED, _PE.KILL): _P.CLOSED,
}

_ENDS = frozenset({StopReason.LOOP_ENDED, StopReason.CLOSING})

STOP_REASONS: dict[PoolState, frozenset[StopReason | None]] = {
    _P.NEW: frozenset({None}),
    _P.BOOTING: frozenset({None}),
    _P.RUNNING: frozenset({None}),
    _P.DRAINING: _ENDS,
    _P.STOPPING: frozenset({StopReason.FORCED}),
    _P.CLOSED: _ENDS | {StopReason.FORCED},
}

PROMOTION_TRANSITIONS: dict[tuple[PromotionState, PromotionEvent], PromotionState] = {
    (_M.IDLE, _ME.ORDERED): _M.FORKING,
    (_M.FORKING, _ME.READY): _M.IDLE,
    (_M.FORKING, _ME.FAILED): _M.IDLE,
}

ROLLOUT_TRANSITIONS: dict[tuple[RolloutState, RolloutEvent], RolloutState] = {
    (_R.SETTLED, _RE.BEGUN): _R.ROLLING,
    (_R.SETTLED, _RE.CALLED_OFF): _R.SETTLED,
    (_R.ROLLING, _RE.FINISHED): _R.SETTLED,
    (_R.ROLLING, _RE.CALLED_OFF): _R.SETTLED,
}

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)


def advance(table: dict[tuple[State, Event], State], state: State, event: Event) -> State:
    """Return the state after `event`.

    Errors: `LifecycleError` if the table has no entry.
    """
    try:
        return table[state, event]
    except KeyError:
        raise LifecycleError(f"Event {event.name} is not allowed in state {state.name}.") from None
