"""Samples in the text form that Prometheus reads. The only importer of prometheus-client; imported at a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.registry import Collector

from agent.metrics import catalogue
from agent.metrics.snapshot import Sample
from agent.metrics.tally import LATENCY_BUCKETS_S, Histogram

__all__ = ["CONTENT_TYPE", "render"]


def render(samples: Sequence[Sample]) -> bytes:
    """The page of one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ours(samples))
    ProcessCollector(registry=registry)
    return bytes(generate_latest(registry))


class _Ours(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for sample in samples:
            self._samples.setdefault(sample.name, []).append(sample)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for metric in catalogue.CATALOGUE:
            family = _family(metric)
            for sample in self._samples.get(metric.name, ()):
                _add(family, metric, sample)
            yield family


def _family(metric: catalogue.Metric) -> Metric:
    name, labels = f"phonebridge_{metric.name}", metric.labels
    if metric.kind == "counter":
        return CounterMetricFamily(name, metric.meaning, labels=labels)
    if metric.kind == "histogram":
        return HistogramMetricFamily(name, metric.meaning, labels=labels)
    if metric.kind == "info":
        return InfoMetricFamily(name, metric.meaning)
    return GaugeMetricFamily(name, metric.meaning, labels=labels)


def _add(family: Metric, metric: catalogue.Metric, sample: Sample) -> None:
    value = sample.value
    if isinstance(value, Histogram):
        totals = list(accumulate(value.counts))
        bounds = [*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
        assert isinstance(family, HistogramMetricFamily)
        family.add_metric(sample.labels, list(zip(bounds, totals, strict=True)), value.sum_s)
    elif isinstance(family, InfoMetricFamily):
        family.add_metric((), dict(zip(metric.labels, sample.labels, strict=True)))
    elif isinstance(family, (CounterMetricFamily, GaugeMetricFamily)):
        family.add_metric(sample.labels, value)
