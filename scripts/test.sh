#!/bin/sh
# Runs every test. As root, those that make namespaces, groups and devices are
# included; as an ordinary user they are skipped with that reason.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || echo "not root: tests that need it are skipped; for all of them run: sudo make test"
# -short leaves out what takes minutes in a virtual machine: make test-guest.
# One package at a time: the live tests compare the machine before and after,
# and would take each other's doings for their own.
exec ${GO:-go} test -short -count=1 -p 1 -timeout 20m ./...
