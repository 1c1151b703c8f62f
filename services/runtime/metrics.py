"""What a process counts, for Prometheus. Counting costs a dictionary's step; the work is done when somebody reads."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_MOST_SERIES: Final = 10_000
_OVERFLOW: Final = "other"


class Counter(Collector):
    """Counts by labels, on the event loop only. Labels have few values: past 10,000 series all are "other"."""

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def add(self, *labels: str, by: float = 1) -> None:
        """Count one, or `by`, under these labels' values."""
        values = self._values
        if labels not in values and len(values) >= _MOST_SERIES:
            labels = (_OVERFLOW,) * len(self._labels)
        values[labels] = values.get(labels, 0) + by

    def value(self, *labels: str) -> float:
        """The count under these labels' values."""
        return self._values.get(labels, 0)

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class Gauge(Collector):
    """A number that is asked for when somebody reads, as the sum of what every watched function says.

    `grows` tells Prometheus that it is a count that somebody keeps elsewhere.
    """

    def __init__(
        self, name: str, text: str, registry: CollectorRegistry = REGISTRY, *, grows: bool = False
    ) -> None:
        self._name, self._text = name, text
        self._family = CounterMetricFamily if grows else GaugeMetricFamily
        self._reads: list[Callable[[], float]] = []
        registry.register(self)

    def watch(self, read: Callable[[], float]) -> Callable[[], None]:
        """Ask this function too, until the returned one is called."""
        self._reads.append(read)
        return lambda: self._reads.remove(read)

    def value(self) -> float:
        """The sum now."""
        return sum(read() for read in self._reads)

    def collect(self) -> Iterable[Metric]:
        if self._reads:
            yield self._family(self._name, self._text, value=self.value())


class Running:
    """A number that goes up and down."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry = REGISTRY) -> None:
        self.now = 0
        Gauge(name, text, registry).watch(lambda: self.now)


CALLS: Final = Counter(
    "llmhub_calls", "gRPC calls that ended, by method and status code.", ("method", "code")
)
RUNNING: Final = Running("llmhub_calls_running", "gRPC calls that are being served.")
KEY_CACHE_HITS: Final = Gauge("llmhub_key_cache_hits", "API keys that the cache knew.", grows=True)
KEY_CACHE_MISSES: Final = Gauge("llmhub_key_cache_misses", "API keys that it had to ask for.", grows=True)
KEY_CACHE_SIZE: Final = Gauge("llmhub_key_cache_keys", "API keys in the cache.")
UPSTREAM_ATTEMPTS: Final = Counter(
    "llmhub_upstream_attempts",
    "Attempts at providers that ended, by provider and outcome.",
    ("provider", "outcome"),
)
OUTBOX_DEPTH: Final = Gauge("llmhub_outbox_depth", "Usage events that wait to be shipped to billing.")

for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=REGISTRY)


def exposition(registry: CollectorRegistry = REGISTRY) -> bytes:
    """Every metric in Prometheus' text format."""
    return generate_latest(registry)
