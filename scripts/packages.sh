#!/bin/sh
# Makes sure that the Debian packages which the tests need are there: installs them where this is root or may sudo,
# else prints the line to paste and fails. None of them starts a service.
set -eu
cd "$(dirname "$0")/.."

missing=
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need tshark tshark
need strace strace
need openssl openssl
need chromium chromium
need debootstrap debootstrap
need systemd-analyze systemd
if [ ! -x .venv/bin/python ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
fi
# gammu-smsd, smstools and mosquitto are downloaded and unpacked by the tests, which takes package lists only.
has_lists() { ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; }
[ -e .cache/debian/judges/complete ] && [ -e .cache/debian/mosquitto/complete ] || has_lists || lists=missing
[ -n "$missing" ] || [ "${lists:-}" = missing ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "phonebridge: this is no Debian system; install by its own means:$missing" >&2
    [ -z "$missing" ] && exit 0 || exit 1
fi
if [ "$(id -u)" = 0 ]; then
    root=
elif sudo -n true 2>/dev/null; then
    root="sudo -n"
else
    echo "phonebridge: packages are missing; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

apt() {
    # tshark asks a question about capturing, which the tests do not do: the answer is the default.
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null
}
# Lists that are older than a day may name packages that the mirror no longer has.
if ! has_lists || [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit)" ]; then
    apt update
fi
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || apt install -y --no-install-recommends $missing >/dev/null
