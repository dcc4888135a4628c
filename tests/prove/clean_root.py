"""A clean Debian in a directory: made once by debootstrap from the mirror of this machine's own apt sources, kept in
.cache, and unpacked afresh for each proof. Programs run in it without a network and with this machine's devices."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
_CACHE = ROOT / ".cache" / "debian-root" / f"{SUITE}.tar"
# What Raspberry Pi OS Lite has of what the package depends on, beside the base system.
_PACKAGES = "python3,python3-venv,adduser,init-system-helpers"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_APT = Path("/etc/apt")


class NoMirror(Exception):
    """The apt sources of this machine name no Debian mirror."""


class CleanRoot:
    """One root. `run` waits, `start` does not; both are root inside unless `user` is given."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "root"
        if not _CACHE.exists():
            _make_cache()
        self.path.mkdir(parents=True)
        subprocess.run(["tar", "-xf", str(_CACHE), "-C", str(self.path)], check=True)

    def run(self, *command: str, user: str | None = None, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        """Run to its end; standard error is in `stderr`."""
        return subprocess.run(
            self._inside(command, user), capture_output=True, text=True, check=False, timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *command: str, log: Path, user: str | None = None) -> subprocess.Popen[bytes]:
        """A program that goes on; killed as a whole by killing what is returned."""
        with log.open("ab") as file:
            return subprocess.Popen(
                self._inside(command, user), stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def _inside(self, command: Sequence[str], user: str | None) -> list[str]:
        # A mount namespace of its own, so that nothing stays mounted; a network namespace, so that nothing is fetched.
        mounts = f"mount --rbind /dev '{self.path}/dev' && mount -t proc proc '{self.path}/proc'"
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user is not None else []
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        script = f'{mounts} && exec chroot "{self.path}" "$@"'
        return ["unshare", "--mount", "--net", "--", "sh", "-c", script, "sh", *clean, *as_user, *command]


def mirror() -> str:
    """The Debian mirror that this machine installs from. Raises: NoMirror."""
    for file in [*_APT.glob("sources.list.d/*.sources"), *_APT.glob("sources.list.d/*.list"), _APT / "sources.list"]:
        if not file.exists():
            continue
        text = file.read_text(errors="replace")
        for block in text.split("\n\n"):
            found = re.search(r"^URIs:\s*(\S+)", block, re.MULTILINE)
            if found and re.search(rf"^Suites:.*\b{SUITE}(\s|$)", block, re.MULTILINE):
                return found[1]
        if found := re.search(rf"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+{SUITE}\s", text, re.MULTILINE):
            return found[1]
    raise NoMirror(f"/etc/apt names no mirror with {SUITE}; add one, or run this on Debian 12")


def _make_cache() -> None:
    """Minutes the first time; afterwards the root is unpacked in seconds."""
    _CACHE.parent.mkdir(parents=True, exist_ok=True)
    place = _CACHE.parent / "making"
    subprocess.run(["rm", "-rf", str(place)], check=True)
    print(f"       making a clean {SUITE} root, once", flush=True)
    keyring = [f"--keyring={_KEYRING}"] if _KEYRING.exists() else []
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", *keyring, SUITE, str(place), mirror()]
    made = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise OSError(f"debootstrap failed: {made.stdout[-1000:]}{made.stderr[-1000:]}")
    partial = _CACHE.with_suffix(".partial")
    # Devices are this machine's, mounted when it is used; downloaded packages are not needed any more.
    out = ["--exclude=./dev/*", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"]
    subprocess.run(["tar", "-cf", str(partial), "-C", str(place), *out, "."], check=True)
    partial.rename(_CACHE)
    subprocess.run(["rm", "-rf", str(place)], check=True)
