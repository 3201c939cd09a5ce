#!/bin/sh
# Measures side by side with peers. Each benchmark runs ours and the peer's in
# turn and reports medians and their ratio; figures of different runs or
# machines do not compare.
set -eu
cd "$(dirname "$0")/.."
${GO:-go} test -run '^$' -bench . -benchtime 1x -timeout 60m "$@" ./...
# AUFS in user space prints a table: how many rounds, each file system in turn.
AUFS_BENCH=10 exec ${GO:-go} test -count=1 -run TestBench -v ./unionfs/aufs
