"""What one small request costs the server: connect, echo of 32 bytes, close."""

from __future__ import annotations

from benchmarks import targets
from benchmarks.contenders import c_server, installed, peer, perl_peer, python_server
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.tables import servers

WORKERS = 4
PLAN = Plan(rounds=8, seconds=0.4, clients=16)
C, OURS, FORKING = "C prefork", "prefork", "ForkingTCPServer"
PERL, STREAMS, EXECUTOR = "Net::Server::PreFork", "asyncio reuseport", "asyncio + executor"


def measure(plan: Plan = PLAN) -> Outcome:
    perl = {"needs": "Net::Server::PreFork", "package": "libnet-server-perl"}
    contenders, remarks = installed(
        (
            c_server(WORKERS, name=C),
            c_server(WORKERS, "shutdown", name="C with shutdown()"),
            python_server("looped", "echo", WORKERS, name="stdlib path looped"),
            python_server("prefork", "echo", WORKERS, name=OURS),
            perl_peer("net_server.pl", WORKERS, name=PERL, **perl),
            perl_peer("net_server.pl", WORKERS, "tuned", name=f"{PERL}, tuned", **perl),
            peer("asyncio_reuseport.py", WORKERS, "--api=streams", name=STREAMS),
            peer("asyncio_reuseport.py", WORKERS, "--api=protocol", name="asyncio, protocols"),
            peer("asyncio_executor.py", WORKERS, name=EXECUTOR),
            python_server("plain", "echo", 1, name="TCPServer"),
            python_server("threading", "echo", 1, name="ThreadingTCPServer"),
            python_server("forking", "echo", 1, name=FORKING),
        )
    )
    rounds = alternate(contenders, plan)
    return Outcome(
        question=f"server CPU of a one-connection echo, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        targets=[
            *targets.cost(rounds, OURS, C, at_most=1.6),
            *targets.cost(rounds, FORKING, OURS, at_least=30),
            *targets.cost(rounds, PERL, OURS, at_least=4),
            *targets.cost(rounds, STREAMS, OURS, at_least=4),
            *targets.cost(rounds, EXECUTOR, OURS, at_least=12),
        ],
        remarks=[
            "Requests per second are those of the load generator, which is busy with one core.",
            *remarks,
        ],
    )
