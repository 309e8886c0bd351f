#!/bin/sh
# Checks that this machine has what a build needs, in well under a second. Every missing thing gets one line saying
# what to install; nothing is installed or changed. Shell built-ins only (and getconf, uname by their standard
# places), because PATH itself may be what is wrong and Python what is missing.
# Usage: build/preflight.sh [python]        run from anywhere; exit status 1 when something is missing.

set -u
LC_ALL=C
export LC_ALL

here=${0%/*}
[ "$here" = "$0" ] && here=.
python=${1:-python3}
missing=0

need() {
    missing=$((missing + 1))
    printf 'missing: %s\n' "$*" >&2
}

has() { command -v "$1" >/dev/null 2>&1; }

# at_least 1.95.0 1.88: is the first version not older than the second? Only the first two numbers count.
at_least() {
    have_major=${1%%.*}
    rest=${1#*.}
    have_minor=${rest%%[!0-9]*}
    want_major=${2%%.*}
    rest=${2#*.}
    want_minor=${rest%%[!0-9]*}
    case $have_major$want_major in '' | *[!0-9]*) return 1 ;; esac
    [ "$have_major" -gt "$want_major" ] ||
        { [ "$have_major" -eq "$want_major" ] && [ "${have_minor:-0}" -ge "${want_minor:-0}" ]; }
}

at_usual_place() {
    for folder in /usr/bin /bin; do
        [ -x "$folder/$1" ] && { tool=$folder/$1; shift; "$tool" "$@"; return; }
    done
    return 1
}

system=$(at_usual_place uname -s) || system=unknown
machine=$(at_usual_place uname -m) || machine=unknown
[ "$system" = Linux ] || need "Linux (this is $system): use a Linux machine, container or virtual machine"
case $machine in
    x86_64 | aarch64) ;;
    *) need "an x86_64 or aarch64 processor (this is $machine)" ;;
esac

libc=$(at_usual_place getconf GNU_LIBC_VERSION 2>/dev/null) || libc=
if ! at_least "${libc#glibc }" 2.28; then
    need "glibc 2.28 or newer (found ${libc:-another C library}): use Debian 10, Ubuntu 20.04, RHEL 8 or newer"
fi

if ! has "$python"; then
    need "Python 3.11 or newer ('$python' not found): apt-get install python3 python3-venv, or make PYTHON=/path/to/python"
else
    found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || found=unknown
    if ! at_least "$found" 3.11; then
        need "Python 3.11 or newer ('$python' is $found): install one and name it, make PYTHON=/path/to/python"
    elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        need "Python's venv module: apt-get install python$found-venv"
    fi
fi

wanted=
while IFS= read -r line; do
    case $line in 'rust-version = '*) wanted=${line#*\"} && wanted=${wanted%%\"*} ;; esac
done <"$here/../Cargo.toml"
if ! has cargo || ! has rustc; then
    need "Rust $wanted or newer (cargo and rustc): install rustup and run 'rustup toolchain install stable'"
else
    found=$(rustc --version 2>/dev/null) || found=
    found=${found#rustc }
    at_least "${found%% *}" "$wanted" || need "Rust $wanted or newer (rustc is ${found:-broken}): run 'rustup update stable'"
fi

if ! has node; then
    need "Node.js 20 or newer: apt-get install nodejs npm (Debian 13, Ubuntu 25.04 or newer), or your version manager"
else
    found=$(node --version 2>/dev/null) || found=v0.0
    at_least "${found#v}" 20.0 || need "Node.js 20 or newer (node is $found): install a newer one"
fi
has npm || need "npm: apt-get install npm (it comes with Node.js in most packages)"
has make || need "make: apt-get install make"
has cc || has gcc || has clang || need "a C compiler (cc, gcc or clang): apt-get install gcc libc6-dev"

[ "$missing" -eq 0 ] || {
    printf '%d thing(s) missing; install them and run the command again\n' "$missing" >&2
    exit 1
}
