#!/usr/bin/env bash
# Holds the emulator against the kernel's netem (lab/fidelity_test.go), in a
# machine that has one, and prints the table of docs/fidelity.md. make fidelity
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go test -c -o "$work/fidelity" ./lab
code=0
tools/vm/vm.sh run --timeout 900 --add "$work/fidelity" -- \
	NETCMP_FIDELITY=1 ./fidelity -test.timeout 14m -test.run TestFidelity || code=$?
if [ "$code" -eq 77 ]; then code=0; fi # vm.sh has said why
exit "$code"
