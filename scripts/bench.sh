#!/bin/sh
# Measures side by side with peers. Each benchmark runs ours and the peer's in
# turn and reports medians and their ratio; figures of different runs or
# machines do not compare.
set -eu
cd "$(dirname "$0")/.."
# lxc-checkconfig is a script; its package would bring services along. So it is
# only unpacked, to a folder that goes away.
PEERS=$(mktemp -d)
export PEERS
trap 'rm -rf "$PEERS"' EXIT
(cd "$PEERS" && apt-get download lxc && dpkg-deb -x lxc_*.deb .) >/dev/null 2>&1 || echo "lxc-checkconfig could not be had"
${GO:-go} test -run '^$' -bench . -benchtime 1x -timeout 60m "$@" ./...
# AUFS in user space prints a table: how many rounds, each file system in turn.
AUFS_BENCH=10 ${GO:-go} test -count=1 -run TestBench -v ./unionfs/aufs
