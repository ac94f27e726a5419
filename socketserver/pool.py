from prefork.socketserver.mixins import ForkingMixIn


class PreforkMixIn(ForkingMixIn):
    """Placeholder while the pool is being written."""
