"""The figures in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from repoint.fleet.interfaces.figures import Figure

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Given(Collector):
    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            family = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            made = family(figure.name, figure.help, labels=figure.labels)
            for labels, value in figure.values:
                made.add_metric(labels, value)
            yield made


def exposition(figures: Iterable[Figure]) -> bytes:
    """Return figures as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Given(list(figures)))
    return generate_latest(registry)
