"""How a route stands: its state, why, and since when it cannot send. Pure; `now` is any monotonic time in seconds."""

from __future__ import annotations

from agent.model import RouteState

# A SIM reader that says "no SIM" right after power-up may change its mind (modem.md 2.2 #3).
_NO_SIM_CERTAIN_S = 10.0


class Standing:
    """Of one route. A rest is neither: what holds then is what held before."""

    def __init__(self) -> None:
        self.state = RouteState.STARTING
        self.problem: str | None = None
        self.down_since: float | None = None
        """When it could last send, where it cannot."""
        self._no_sim_since: float | None = None

    def move(self, state: RouteState, problem: str | None, now: float) -> bool:
        """Returns whether that is news."""
        if state is RouteState.NO_SIM:
            self._no_sim_since = now if self._no_sim_since is None else self._no_sim_since
        elif state is not RouteState.RESTING:
            self._no_sim_since = None
        if state is RouteState.READY:
            self.down_since = None
        elif state is not RouteState.RESTING and self.down_since is None:
            self.down_since = now
        is_news = (state, problem) != (self.state, self.problem)
        self.state, self.problem = state, problem
        return is_news

    def is_without_sim(self, now: float) -> bool:
        """Whether it is certain that there is no SIM."""
        return self._no_sim_since is not None and now - self._no_sim_since >= _NO_SIM_CERTAIN_S
