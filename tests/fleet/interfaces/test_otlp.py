"""The figures that are pushed, as an OpenTelemetry collector receives them."""

from __future__ import annotations

import gzip
import queue
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tests.fleet.collector import CollectorProcess
from tests.fleet.reports import count


def test_the_figures_are_pushed(tmp_path: Path) -> None:
    bodies: queue.Queue[bytes] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            bodies.put(gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    collector = CollectorProcess(
        f"sqlite:///{tmp_path}/fleet.db", "--otlp",
        f"http://127.0.0.1:{server.server_port}/v1/metrics",
    )  # fmt: skip
    collector.send([count("a", exposed=1), count("a")])
    assert collector.stop() == 0  # the last figures are pushed before it ends
    server.shutdown()
    thread.join()
    server.server_close()
    request = ExportMetricsServiceRequest.FromString(bodies.get_nowait())
    scope = request.resource_metrics[0].scope_metrics[0]
    values = {
        metric.name: [
            point.as_double
            for point in (metric.sum if metric.HasField("sum") else metric.gauge).data_points
        ]
        for metric in scope.metrics
    }
    assert values["repoint_devices"] == [2]
    assert values["repoint_devices_running_replaced_code"] == [1]
    assert values["repoint_reports"] == [2]
