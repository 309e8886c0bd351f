#!/bin/sh
# Makes sure that Debian packages are installed: build/packages.sh NAME…
# As root it installs what is missing; anybody else is told the one line to run. Nothing happens when all are there.

missing=
for package in "$@"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    printf 'the tests need system packages; run:  sudo apt-get install -y%s\n' "$missing" >&2
    exit 1
fi
# shellcheck disable=SC2086  # the names are words on purpose
apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >&2
