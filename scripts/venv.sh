#!/bin/sh
# Creates .venv with the first Python that will do, and installs the program into it: venv.sh . or venv.sh '.[test]'
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "phonebridge: $*" >&2
    exit 1
}

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 or newer is missing; on Debian 12 or Raspberry Pi OS run: sudo apt-get install -y python3 python3-venv"
    # Debian keeps ensurepip, without which a venv has no pip, in a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv module is missing; run: sudo apt-get install -y python3-venv"
    rm -rf .venv
    "$python" -m venv .venv
fi
.venv/bin/python -m pip --quiet --disable-pip-version-check install --editable "$1" ||
    fail "the packages could not be installed; the reason stands above, and the next run tries again"
