"""The plots of the report, as SVG. matplotlib is in the extra `bench`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import report

_OURS = "#1f6feb"
_OTHERS = "#8b949e"


def draw(results: Mapping[str, Any], directory: Path) -> None:
    """One file per plot below `directory`; a plot without figures is left out."""
    import matplotlib as mpl

    mpl.use("svg")
    # Without these two the same figures would make another file each time.
    mpl.rcParams.update({"svg.hashsalt": "phonebridge", "svg.fonttype": "none", "font.size": 9})
    directory.mkdir(parents=True, exist_ok=True)
    line = {
        name: [100 * (report.middle(cases.get(case), "utilisation") or 0) for case in ("0.05 s", "1 s")]
        for name, cases in results.get("lines", {}).items()
    }
    if line:
        _bars(directory / "line.svg", line, ("radio time 0.05 s", "radio time 1 s"), "utilisation of the line, %")
    latency = {
        name: [report.middle(cases.get(case), "median_ms") or 0 for case in ("out, idle", "in, idle")]
        for name, cases in results.get("latency", {}).items()
    }
    if latency:
        _bars(directory / "latency.svg", latency, ("out", "in"), "median on an idle line, ms", is_log=True)
    recovery: dict[str, list[float]] = {}
    for case, rounds in results.get("recovery", {}).get("all", {}).items():
        recovery.setdefault(case.rpartition(": ")[0], []).append(report.middle(rounds, "s") or 0)
    if recovery and len({len(values) for values in recovery.values()}) == 1:
        faults = ("unplugged", "silent", "rebooted")[: len(next(iter(recovery.values())))]
        _bars(
            directory / "recovery.svg",
            recovery,
            faults,
            "until it sends again, s (no bar: not within 2 minutes)",
            is_log=True,
        )


def _bars(
    path: Path, rows: Mapping[str, list[float]], groups: tuple[str, ...], label: str, *, is_log: bool = False
) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(groups), figsize=(8, 0.35 * len(rows) + 1), sharey=True, squeeze=False)
    names = list(rows)
    for place, (axis, group) in enumerate(zip(axes[0], groups, strict=True)):
        values = [rows[name][place] for name in names]
        colours = [_OURS if name.startswith("phonebridge") else _OTHERS for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{value:.3g}" if value else "–" for value in values], padding=2, fontsize=8)
        axis.set_title(group, fontsize=9)
        axis.margins(x=0.2)
        if is_log:
            axis.set_xscale("log")
        axis.invert_yaxis() if place == 0 else None
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(label, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
