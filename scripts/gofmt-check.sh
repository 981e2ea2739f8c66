#!/usr/bin/env bash
# Fails when a Go file is not formatted, and names it.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(scripts/gofiles.sh)
bad=$(gofmt -l "${files[@]}")
if [ -n "$bad" ]; then
	echo "not formatted; run make fmt:"
	echo "$bad" | sed 's/^/  /'
	exit 1
fi
