"""The state machines of a worker, of the pool, and of its generations, as tables.

A worker, as the master sees it, is *starting* from the fork until it says that it is ready, then
*serving* until it is asked to leave, then *retiring*: it takes nothing new and finishes what it
holds. Whoever misses a deadline is *killed*. Death needs no permission: from each of these the
worker may be found *gone*, and its slot is free again.

The pool is *new* until it serves, then *running*; when the loop ends it is *draining*: the workers
finish, and take what waits in the backlog. When the graceful_timeout is over, or somebody asks a
second time, it is *stopping*: the rest is killed. Without workers it is *closed*. It may run again
from any of these: `serve_forever()` may be called a second time.

Where workers are forked from a warm one, each generation is *resting* until one of its workers is
warm, *growing* while that forks a mold, and *rolling* while the older workers are replaced.

Two rules. Every transition stands in one of the tables; an event without an entry is a bug, and
raises with the state unchanged. A state says where a thing is; why it is there is said elsewhere.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeVar


class WorkerState(Enum):
    """Where a worker is in its life."""

    STARTING = auto()  # forked, not ready yet
    SERVING = auto()  # takes requests
    RETIRING = auto()  # asked to finish
    KILLED = auto()  # SIGKILL sent; only the wait is left
    GONE = auto()  # collected; the slot may be used again


class WorkerEvent(Enum):
    """What happens to a worker."""

    READY = auto()  # it has said so
    RETIRED = auto()  # it was told to leave
    KILLED = auto()  # it was killed: a deadline has passed
    EXITED = auto()  # its pidfd said so


class PoolState(Enum):
    """Where a pool is in its life."""

    NEW = auto()  # no worker was ever started
    RUNNING = auto()  # workers are kept
    DRAINING = auto()  # workers finish, and empty the backlog
    STOPPING = auto()  # workers were killed
    CLOSED = auto()  # no worker is left


class PoolEvent(Enum):
    """What happens to a pool."""

    START = auto()  # the loop begins
    DRAIN = auto()  # the loop has ended
    KILL = auto()  # patience has ended
    EMPTY = auto()  # no worker is left


class ReforkState(Enum):
    """How far the workers of a pool are in being replaced by the next generation."""

    RESTING = auto()  # there is nothing to replace
    GROWING = auto()  # a worker forks a mold; the one before it is still in use
    ROLLING = auto()  # a mold is ready, and older workers are replaced


class ReforkEvent(Enum):
    """What happens to a generation."""

    ORDERED = auto()  # a worker was told to fork a mold
    GROWN = auto()  # the mold is ready
    FAILED = auto()  # it will never be
    ROLLED = auto()  # no older worker is left
    LOST = auto()  # the mold in use has ended


class LifecycleError(RuntimeError):
    """An event came in a state that has no answer to it: a bug of ours."""


_W, _WE, _P, _PE = WorkerState, WorkerEvent, PoolState, PoolEvent
_R, _RE = ReforkState, ReforkEvent

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
    (_P.NEW, _PE.START): _P.RUNNING,
    (_P.NEW, _PE.DRAIN): _P.DRAINING,
    (_P.NEW, _PE.KILL): _P.STOPPING,
    (_P.RUNNING, _PE.START): _P.RUNNING,
    (_P.RUNNING, _PE.DRAIN): _P.DRAINING,
    (_P.RUNNING, _PE.KILL): _P.STOPPING,
    (_P.DRAINING, _PE.START): _P.RUNNING,
    (_P.DRAINING, _PE.DRAIN): _P.DRAINING,
    (_P.DRAINING, _PE.KILL): _P.STOPPING,
    (_P.DRAINING, _PE.EMPTY): _P.CLOSED,
    (_P.STOPPING, _PE.START): _P.RUNNING,
    (_P.STOPPING, _PE.KILL): _P.STOPPING,
    (_P.STOPPING, _PE.DRAIN): _P.STOPPING,
    (_P.STOPPING, _PE.EMPTY): _P.CLOSED,
    (_P.CLOSED, _PE.START): _P.RUNNING,
    (_P.CLOSED, _PE.DRAIN): _P.DRAINING,
    (_P.CLOSED, _PE.KILL): _P.CLOSED,
    (_P.CLOSED, _PE.EMPTY): _P.CLOSED,
}

REFORK_TRANSITIONS: dict[tuple[ReforkState, ReforkEvent], ReforkState] = {
    (_R.RESTING, _RE.ORDERED): _R.GROWING,
    (_R.RESTING, _RE.LOST): _R.RESTING,
    (_R.GROWING, _RE.GROWN): _R.ROLLING,
    (_R.GROWING, _RE.FAILED): _R.RESTING,
    (_R.GROWING, _RE.LOST): _R.GROWING,
    (_R.ROLLING, _RE.ROLLED): _R.RESTING,
    (_R.ROLLING, _RE.LOST): _R.RESTING,
}

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)


def advance(table: dict[tuple[State, Event], State], state: State, event: Event) -> State:
    """The state after `event`.

    Errors: `LifecycleError` when the table has no entry.
    """
    try:
        return table[state, event]
    except KeyError:
        raise LifecycleError(f"There is no {event.name} in state {state.name}.") from None
