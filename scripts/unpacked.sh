#!/bin/sh
# unpacked.sh SET PACKAGE…: unpacks Debian packages that only tests need, with the libraries that this machine lacks,
# into .cache/debian/SET/root. Nothing is installed, because these packages start a service on installation; root is
# not needed. Run again at will: with everything in place it does nothing. Prints the directory of the unpacked tree.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
set_name=$1
shift
packages="$*"
cache="$project/.cache/debian/$set_name"
root="$cache/root"
stamp="$cache/complete"

if [ -e "$stamp" ]; then
    echo "$root"
    exit 0
fi
for tool in apt-get apt-cache dpkg dpkg-query; do
    command -v "$tool" >/dev/null || { echo "unpacked.sh: $tool is missing (not a Debian system?)" >&2; exit 3; }
done

mkdir -p "$cache"
exec 9>"$cache/lock"
if command -v flock >/dev/null; then flock 9; fi
if [ -e "$stamp" ]; then # another run finished while this one waited
    echo "$root"
    exit 0
fi

# The packages' own libraries by name, then everything below those; what is installed already serves as it is.
libraries=$(apt-cache depends $packages | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | sort -u)
closure=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances $libraries | grep '^lib' | sed 's/:.*//' | sort -u)
installed=$(dpkg-query -W -f '${Status} ${Package}\n' | sed -n 's/^install ok installed //p')
lacking=$(printf '%s\n' $closure | grep -vxF "$installed" || true)
# apt-get download knows no virtual packages: those have nothing to show.
wanted=$(apt-cache show --no-all-versions $packages $lacking 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
for package in $packages; do
    printf '%s\n' "$wanted" | grep -qxF "$package" || {
        echo "unpacked.sh: $package is unknown here; run apt-get update first" >&2
        exit 1
    }
done

fresh="$cache/fresh.$$"
trap 'rm -rf "$fresh"' EXIT
mkdir -p "$fresh/packages" "$fresh/root"
if ! (cd "$fresh/packages" && apt-get -qq download $wanted >"$fresh/apt" 2>&1); then
    echo "unpacked.sh: cannot download $packages; run apt-get update first" >&2
    cat "$fresh/apt" >&2
    exit 1
fi
for file in "$fresh"/packages/*.deb; do
    dpkg -x "$file" "$fresh/root"
done
rm -rf "$root"
mv "$fresh/root" "$root"
: >"$stamp"
echo "$root"
