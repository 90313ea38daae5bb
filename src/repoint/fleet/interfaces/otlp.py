"""Push the figures to an OpenTelemetry collector, once a minute, by OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from repoint.fleet.interfaces.figures import Figure, Figures

_SECONDS: Final = 60.0
_NAMES: Final = {
    "repoint_reports": "counter", "repoint_answers": "counter",
    "repoint_answer_seconds": "counter", "repoint_forgotten_ids": "counter",
    "repoint_queued_reports": "gauge", "repoint_spooled_reports": "gauge",
    "repoint_devices": "gauge", "repoint_devices_running_replaced_code": "gauge",
    "repoint_database_up": "gauge",
    "repoint_letter_devices": "gauge", "repoint_cve_exposed_devices": "gauge",
    "repoint_left_out_series": "gauge",
}  # fmt: skip


class OtlpPush:
    """A thread that pushes the figures until `close` is called."""

    def __init__(self, figures: Figures, endpoint: str, seconds: float = _SECONDS) -> None:
        """Start to push.

        Args:
            figures: The figures.
            endpoint: The address, such as ``http://127.0.0.1:4318/v1/metrics``.
            seconds: The time between two pushes.
        """
        exporter = OTLPMetricExporter(endpoint=endpoint, timeout=10)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=seconds * 1000)
        self._provider = MeterProvider(
            [reader], resource=Resource.create({"service.name": "repoint-fleet"})
        )
        meter = self._provider.get_meter("repoint.fleet")
        for name, kind in _NAMES.items():
            create: Any = (
                meter.create_observable_counter
                if kind == "counter"
                else meter.create_observable_gauge
            )
            create(name, [_observer(figures, name)])

    def close(self) -> None:
        """Push once more, and stop."""
        self._provider.shutdown(timeout_millis=5000)


def _observer(figures: Figures, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        current = figures.current().figures
        return [one for figure in current if figure.name == name for one in _observations(figure)]

    return observe


def _observations(figure: Figure) -> Iterable[Observation]:
    for labels, value in figure.values:
        yield Observation(value, dict(zip(figure.labels, labels, strict=True)))
