"""The benchmarks measure what they say, on little work; the report holds every figure that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import latency, line, report, targets
from bench.contender import Contender
from bench.ours import Phonebridge
from bench.peers import smstools_fast


@pytest.mark.parametrize("make", [Phonebridge, smstools_fast], ids=["phonebridge", "smstools"])
def test_a_line_is_never_better_used_than_wholly(make: type[Contender]) -> None:
    result = line.measure(make(), line.Case(0.1, 1, 1, "off", 5))
    assert 0 < result.utilisation <= 1.0
    assert result.parts_per_s == pytest.approx(result.utilisation / 0.1)


def test_latency_counts_every_message() -> None:
    result = latency.idle_out(Phonebridge(), 3)
    assert result.samples == 3
    assert 0 < result.median_ms <= result.p95_ms


def test_the_report_says_what_was_measured_and_what_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report.plots, "draw", lambda *_: None)
    case = "1 s, 1 modem, 1 part, reports off"
    rounds = [{"utilisation": value, "parts_per_s": value, "cpu_s_per_1000": 1.0} for value in (0.9, 0.999, 0.9991)]
    report.write({"own lines": {"phonebridge": {case: rounds}}, "growth": {"pull": {"0": [{"ms": 2.0}]}}})
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| utilisation, 1 s, 1 modem | ≥ 0.998 | 0.9990 | met |" in text
    assert "| commits per part | ≤ 3 | not measured | – |" in text


def test_a_missed_target_is_shown_as_missed() -> None:
    results = {"growth": {"pull": {"0": [{"ms": 2.0, "ratio": 1.0}], "1,000,000": [{"ms": 3.1, "ratio": 1.5}]}}}
    assert ("pull at 1,000,000 messages, times the cost at none", "≤ 1.2", "1.50", False) in targets.rows(results)
