"""What one small request costs the server: connect, echo of 32 bytes, close."""

from __future__ import annotations

from benchmarks.harness.competitors import c_server, installed, peer, perl_peer, python_server
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report import goals
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
PLAN = Plan(rounds=8, seconds=0.4, clients=16)
C, PREFORK, FORKING = "C prefork", "prefork", "ForkingTCPServer"
PERL, STREAMS, EXECUTOR = "Net::Server::PreFork", "asyncio reuseport", "asyncio + executor"


def measure(plan: Plan = PLAN) -> Finding:
    perl = {"needs": "Net::Server::PreFork", "package": "libnet-server-perl"}
    competitors, remarks = installed(
        (
            c_server(WORKERS, name=C),
            c_server(WORKERS, "shutdown", name="C with shutdown()"),
            python_server("looped", "echo", WORKERS, name="stdlib path looped"),
            python_server("prefork", "echo", WORKERS, name=PREFORK),
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
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"server CPU of an echo on a connection of its own, {WORKERS} workers, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        goals=[
            *goals.cost(rounds, PREFORK, C, at_most=1.6),
            *goals.cost(rounds, FORKING, PREFORK, at_least=30),
            *goals.cost(rounds, PERL, PREFORK, at_least=4),
            *goals.cost(rounds, STREAMS, PREFORK, at_least=4),
            *goals.cost(rounds, EXECUTOR, PREFORK, at_least=12),
        ],
        remarks=[
            "The load generator keeps one core busy and limits the requests per second.",
            *remarks,
        ],
    )
