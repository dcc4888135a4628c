#!/bin/sh
# Unpacks Debian's gammu-smsd and smstools, and prints the directory of the unpacked tree.
exec "$(dirname "$0")/../../scripts/unpacked.sh" judges gammu-smsd smstools
