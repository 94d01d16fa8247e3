"""What a server counts, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
disable_created_metrics()  # type: ignore[no-untyped-call]  # nobody asks when a counter was made
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_TOGETHER = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one server; a label never has a client's own words."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        ProcessCollector(registry=self._all)
        self.requests = Counter(
            "tensor_guess_requests",
            "Requests that were answered, by path and HTTP code.",
            ("path", "code"),
            registry=self._all,
        )
        self.pictures = Counter(
            "tensor_guess_pictures",
            "Pictures that were accepted, by what became of them.",
            ("result",),
            registry=self._all,
        )
        self.swaps = Counter(
            "tensor_guess_swaps",
            "Changed graphs, by whether they were taken.",
            ("result",),
            registry=self._all,
        )
        self.waiting = Gauge(
            "tensor_guess_waiting_pictures",
            "Pictures that were accepted and are not done.",
            registry=self._all,
        )
        self.model = Gauge(
            "tensor_guess_model",
            "1 for the graph that answers, by its SHA-256.",
            ("digest",),
            registry=self._all,
        )
        self.together = Histogram(
            "tensor_guess_batch_size",
            "Pictures that the network had together, when it was given another.",
            buckets=_TOGETHER,
            registry=self._all,
        )
        self.waited = self._histogram("queue", "for which a picture waited, besides its decoding")
        self.decoding = self._histogram("decoding", "in which a picture was decoded")
        self.network = self._histogram("network", "in which the network computed a picture")
        self.maps = self._histogram("map", "in which a map was made, with decoding")
        for result in ("guessed", "unreadable", "left", "failed"):
            self.pictures.labels(result)  # so that 0 is said too
        for result in ("taken", "refused"):
            self.swaps.labels(result)

    def text(self) -> bytes:
        """Return all of them, as Prometheus reads them."""
        return generate_latest(self._all)

    def _histogram(self, what: str, said: str) -> Histogram:
        name = f"tensor_guess_{what}_seconds"
        return Histogram(name, f"Seconds {said}.", buckets=_SECONDS, registry=self._all)
