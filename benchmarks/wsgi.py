"""One small WSGI application under three servers.

Ours takes HTTP from wsgiref, the standard library's, in Python; gunicorn has its own in Python and
uWSGI in C. There is a connection for each request.
"""

from __future__ import annotations

from benchmarks import targets
from benchmarks.contenders import installed, peer
from benchmarks.load import Load
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.tables import servers

WORKERS = 4
PLAN = Plan(rounds=8, seconds=0.5, clients=16, load=Load(kind="http"))
OURS, GUNICORN = "wsgiref on prefork", "gunicorn sync"


def measure(plan: Plan = PLAN) -> Outcome:
    contenders, remarks = installed(
        (
            peer("wsgi_prefork.py", WORKERS, name=OURS),
            peer("wsgi_gunicorn.py", WORKERS, name=GUNICORN, needs="gunicorn"),
            peer("wsgi_uwsgi.py", WORKERS, name="uWSGI", needs="pyuwsgi"),
        )
    )
    rounds = alternate(contenders, plan)
    return Outcome(
        question=f"server CPU of a WSGI request, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, OURS),
        targets=targets.cost(rounds, GUNICORN, OURS, at_least=1.2),
        remarks=remarks,
    )
