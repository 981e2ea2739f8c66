#!/usr/bin/env bash
# Runs every fuzz target of the tree (or of the packages given) for the given time, one after another
# (the go command takes one target of one package at a time).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
packages=${2:-./...}
failed=()
count=0
for package in $(go list "$packages"); do
	dir=$(go list -f '{{.Dir}}' "$package")
	targets=$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | sed 's/^func //' | sort -u || true)
	for target in $targets; do
		count=$((count + 1))
		echo "fuzzing $package $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" || failed+=("$package $target")
	done
done
echo "fuzz: $count targets, ${#failed[@]} failed"
for f in "${failed[@]}"; do echo "  $f"; done
[ "$count" -gt 0 ] && [ "${#failed[@]}" = 0 ]
