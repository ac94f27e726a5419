"""A handler that computes, served by one worker process for each core.

python examples/pool_server.py &
python examples/tcp_client.py 200000
"""

import os

import prefork


class CountPrimes(prefork.StreamRequestHandler):
    """Reads a number; answers how many primes are below it, and which process counted them."""

    def handle(self):
        below = int(self.rfile.readline(20))
        prefork.label(f"primes below {below}")
        sieve = bytearray([1]) * max(below, 2)
        sieve[:2] = b"\0\0"
        for number in range(2, int(below**0.5) + 1):
            if sieve[number]:
                sieve[number * number :: number] = bytes(len(sieve[number * number :: number]))
        self.wfile.write(b"%d, counted by process %d" % (sum(sieve[:below]), os.getpid()))


class Server(prefork.PreforkTCPServer):
    allow_reuse_address = True
    max_children = os.cpu_count() or 1


if __name__ == "__main__":
    with Server(("localhost", 9999), CountPrimes) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("The workers finish their requests.")
