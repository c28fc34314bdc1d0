#!/usr/bin/env bash
# The tests that need a kernel with sch_netem, in one (vm.sh): as root, and as
# an ordinary user where the lab is concerned. make test-vm
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Who, which package, which of its tests.
table=(
	"root ./netem/tc ."
	"root ./lab ."
	"root ./experiment Kernel|Trains"
	"root ./netem/scripts ."
	"root ./cmd/netcmp ^(TestImpair|TestClockStepped)$"
	"user ./lab ."
	"user ./experiment Kernel"
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0
mkdir "$work/tests"
go build -o "$work/tests/netcmp" ./cmd/netcmp

guest() {
	local who=$1 line package pattern name
	# shellcheck disable=SC2016 # for the guest
	echo 'export PATH=$PWD/tests:$PATH NETCMP_SET_CLOCK=1 failed=0'
	echo 'netcmp doctor || failed=1'
	for line in "${table[@]}"; do
		read -r for_whom package pattern <<<"$line"
		if [ "$for_whom" != "$who" ] || [ ! -d "$package" ]; then
			continue
		fi
		name=${package#./}
		if [ ! -e "$work/tests/$name/test" ]; then
			mkdir -p "$work/tests/$name"
			if ls "$package"/testdata >/dev/null 2>&1; then cp -r "$package/testdata" "$work/tests/$name/"; fi
			find "$package" -maxdepth 1 -name '*.sh' -exec cp {} "$work/tests/$name/" \;
			go test -c -o "$work/tests/$name/test" "$package" >&2
		fi
		[ -e "$work/tests/$name/test" ] || continue # it has no tests
		echo "echo '== $package, $who'"
		echo "(cd tests/$name && ./test -test.v -test.timeout 5m -test.run '$pattern' >/out/$who.${name//\//-}.log 2>&1)" \
			"&& grep -c '^--- PASS' /out/$who.${name//\//-}.log" \
			"|| { failed=1; grep -v -e '^=== ' -e '^--- PASS' /out/$who.${name//\//-}.log; }"
		echo "grep -B 1 -e '--- SKIP' /out/$who.${name//\//-}.log || true"
	done
	# shellcheck disable=SC2016 # for the guest
	echo 'exit $failed'
}

status=0
for who in root user; do
	guest "$who" >"$work/$who.sh"
done
for who in root user; do
	flags=()
	if [ "$who" = user ]; then flags=(--user); fi
	code=0
	tools/vm/vm.sh run ${flags[@]+"${flags[@]}"} --timeout 540 --add "$work/tests" --add "$work/$who.sh:/guest/$who.sh" \
		-- bash "/guest/$who.sh" || code=$?
	if [ "$code" -eq 77 ]; then
		exit 0 # vm.sh has said why
	fi
	if [ "$code" -ne 0 ]; then status=1; fi
done
if [ "$status" -eq 0 ]; then echo "all passed"; fi
exit "$status"
