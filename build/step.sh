#!/bin/sh
# Runs one step of a build or check and says how long it took: build/step.sh NAME COMMAND [ARGUMENT…]
# What it says goes to stderr, so that a command whose output matters keeps its stdout.

name=$1
shift
started=$(date +%s%N)
"$@"
status=$?
took=$((($(date +%s%N) - started) / 100000000))
if [ "$status" -eq 0 ]; then word=done; else word="FAILED (exit status $status)"; fi
printf '=== %-24s %4d.%d s  %s\n' "$name" $((took / 10)) $((took % 10)) "$word" >&2
exit "$status"
