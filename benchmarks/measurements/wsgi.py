"""A small WSGI application under three servers.

prefork uses the HTTP of wsgiref, which is pure Python; gunicorn has its own in Python, and uWSGI
has its own in C. Each request has a connection of its own.
"""

from __future__ import annotations

from benchmarks.harness.competitors import installed, peer
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report import goals
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
PLAN = Plan(rounds=8, seconds=0.5, clients=16, workload=Workload(kind="http"))
PREFORK, GUNICORN = "wsgiref on prefork", "gunicorn sync"


def measure(plan: Plan = PLAN) -> Finding:
    competitors, remarks = installed(
        (
            peer("wsgi_prefork.py", WORKERS, name=PREFORK),
            peer("wsgi_gunicorn.py", WORKERS, name=GUNICORN, needs="gunicorn"),
            peer("wsgi_uwsgi.py", WORKERS, name="uWSGI", needs="pyuwsgi"),
        )
    )
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"server CPU of a WSGI request, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, PREFORK),
        goals=goals.cost(rounds, GUNICORN, PREFORK, at_least=1.2),
        remarks=remarks,
    )
