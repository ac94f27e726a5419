"""One pool of workers for two servers: TCP and UDP.

python examples/group_server.py &
python examples/tcp_client.py hello
python examples/udp_client.py hello
"""

import os

import prefork


class Connected(prefork.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().upper())


class Sent(prefork.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read().upper())


class Server(prefork.TCPServer):
    allow_reuse_address = True
    request_queue_size = 1024


class Group(prefork.PreforkGroup):
    max_children = os.cpu_count() or 1


if __name__ == "__main__":
    address = ("localhost", 9999)
    with Group(Server(address, Connected), prefork.UDPServer(address, Sent)) as group:
        try:
            group.serve_forever()
        except KeyboardInterrupt:
            print("The workers finish their requests.")
