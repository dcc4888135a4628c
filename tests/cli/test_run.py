"""`phonebridge run`: light, and one sentence with the right exit code when it cannot start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = """
import sys
from agent.cli.run import slim_imports
slim_imports()
import agent.daemon, agent.logs, structlog
terminal = {"rich", "click", "pygments", "typer", "greenlet", "sniffio"}
heavy = terminal | {"starlette", "uvicorn.server", "aiomqtt", "phonenumbers", "httpx"}
print(sorted(name for name in heavy if sys.modules.get(name)))
agent.logs.set_up()
structlog.get_logger().info("works")
import agent.upstreams.local.server, httpx
assert httpx.Client().get is not None
print(agent.upstreams.local.uvicorn_parts.Server.__name__, [name for name in terminal if sys.modules.get(name)])
"""


def test_run_imports_nothing_of_the_terminal_and_the_server_still_works() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.stderr.count("works") == 1, done.stderr
    assert done.stdout == "[]\nServer []\n"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PHONEBRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", "run", *arguments],
        capture_output=True, text=True, check=False, timeout=20, env={**clean, **environment},
    )  # fmt: skip


def test_bad_configuration_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[agent]\nlog_levle = 'info'\n")
    done = run("-c", str(config))
    assert (done.returncode, done.stderr) == (
        2,
        'phonebridge: agent.log_levle: there is no key "log_levle"; did you mean "log_level"?\n',
    )


def test_missing_configuration_is_exit_2(tmp_path: Path) -> None:
    done = run("-c", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert "does not exist; copy config.example.toml there" in done.stderr


def test_state_dir_that_cannot_be_made_is_exit_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "config.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path}/file/x"\n')
    done = run("-c", str(config))
    assert done.returncode == 1
    assert "agent.state_dir" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--speed"], ["-c"], ["extra"]])
def test_wrong_use_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2
