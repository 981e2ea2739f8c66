#!/usr/bin/env bash
# Prints the Go files of the tree: tracked or new, but not ignored. The tools
# of npm under test/interop are none of ours.
set -euo pipefail
cd "$(dirname "$0")/.."
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	git ls-files --cached --others --exclude-standard -- '*.go' | while read -r f; do
		[ ! -f "$f" ] || echo "$f" # deleted, but not yet committed
	done
else # an unpacked archive
	find . -name node_modules -prune -o -name '*.go' -print
fi
