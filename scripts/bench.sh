#!/bin/sh
# Measures side by side with peers. Each benchmark runs ours and the peer's in
# turn and reports medians and their ratio; figures of different runs or
# machines do not compare.
set -eu
cd "$(dirname "$0")/.."
exec ${GO:-go} test -run '^$' -bench . -benchtime 1x -timeout 60m "$@" ./...
