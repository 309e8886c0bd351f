#!/usr/bin/env bash
# Does what the Dockerfile's last stage does, without a container engine: installs a wheel with the pinned
# dependencies at /opt/sanderling of a root that holds nothing else, and runs it there as the image's user, read-only
# but for the state folder, without capabilities, without a network but loopback, until the image's health check passes.
#
#   build/container_steps.sh WHEEL [SECONDS]        needs root; exit status 0 when it was healthy and stopped in order
#
# SECONDS: how long to wait for the health check (default 30). The environment, the user and both commands are read
# from the Dockerfile, so that they cannot differ from it.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}

# ------------------------------------------------------------------------------------- inside: the root is ours alone

if [ "${1:-}" = inside ]; then
    root=$2 seconds=$3
    mount --make-rprivate /
    mount --bind "$root" "$root"
    # The image's base: a C library and a Python.
    for folder in /usr /lib /lib64 /bin "$("$python" -c 'import sys; print(sys.base_prefix)')"; do
        [ -e "$folder" ] || continue
        mkdir -p "$root$folder"
        mount --rbind "$folder" "$root$folder"
        mount -o remount,bind,ro "$root$folder"
    done
    mkdir -p "$root/proc" "$root/dev" "$root/tmp"
    mount -t proc proc "$root/proc"
    for device in null zero urandom random; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    state=$root/$("$python" "$here/build/dockerfile.py" env SANDERLING_STATE)
    mkdir -p "$state"
    mount -t tmpfs -o mode=0700,uid=10001,gid=10001 tmpfs "$state"
    mount -o remount,bind,ro "$root"
    ip link set lo up

    mapfile -t settings < <("$python" "$here/build/dockerfile.py" env)
    mapfile -t start < <("$python" "$here/build/dockerfile.py" start)
    mapfile -t health < <("$python" "$here/build/dockerfile.py" health)
    user=$("$python" "$here/build/dockerfile.py" user)
    as_user=(setpriv "--reuid=${user%:*}" "--regid=${user#*:}" --clear-groups --bounding-set=-all --no-new-privs
        env -i "${settings[@]}")
    chroot "$root" "${as_user[@]}" "${start[@]}" &
    server=$!
    # chroot and setpriv replace themselves, so this is the server's own number, and it is told to stop by it.
    trap 'kill -KILL "$server" 2>/dev/null || true' EXIT
    deadline=$((SECONDS + seconds))
    until chroot "$root" "${as_user[@]}" "${health[@]}"; do
        kill -0 "$server" 2>/dev/null || { echo 'the server ended early' >&2; exit 1; }
        [ "$SECONDS" -lt "$deadline" ] || { echo 'the health check did not pass in time' >&2; exit 1; }
        sleep 0.2
    done
    owner=$(stat -c '%u %a' "$state/sanderling.db")
    [ "$owner" = "10001 600" ] || { echo "the database belongs to $owner instead of 10001 600" >&2; exit 1; }
    kill -TERM "$server"
    status=0
    wait "$server" || status=$?
    [ "$status" -eq 0 ] || { echo "the server ended with status $status after SIGTERM" >&2; exit 1; }
    echo healthy
    exit 0
fi

# -------------------------------------------------------------------------------------------- outside: fill the root

[ $# -ge 1 ] && [ -f "$1" ] || { echo 'usage: build/container_steps.sh WHEEL [SECONDS]' >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "needs root; run:  sudo $0 $*" >&2; exit 2; }
wheel=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
"$python" -m venv --without-pip "$root/opt/sanderling"
install=("$python" -m pip --python "$root/opt/sanderling/bin/python" install --quiet --no-input
    --disable-pip-version-check --no-compile)
"${install[@]}" --require-hashes -r "$here/requirements/runtime.txt"
"${install[@]}" --no-index --no-deps "$wheel"
# The scripts name the Python beside them by the path that it has from outside.
grep -lI "^#!$root" "$root/opt/sanderling/bin/"* | xargs -r sed -i "1s|^#!$root|#!|"
# The interpreter is the one of the base, not that of the environment this runs in.
ln -sf "$("$python" -c 'import sys; print(sys._base_executable)')" "$root/opt/sanderling/bin/python"

PYTHON=$python unshare --mount --net --pid --fork --kill-child -- "$0" inside "$root" "${2:-30}"
