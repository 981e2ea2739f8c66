#!/usr/bin/env bash
# Runs govulncheck, given as the arguments. Its database is on the network:
# where that cannot be reached this says so and does not fail, because nothing
# was found out. Everything else that govulncheck says is passed on.
set -euo pipefail
status=0
out=$("$@" ./... 2>&1) || status=$?
if [ "$status" != 0 ] && grep -q 'fetching vulnerabilities' <<<"$out"; then
	echo "govulncheck: NOT CHECKED, its database cannot be reached:"
	grep 'fetching vulnerabilities' <<<"$out" | sed 's/^/  /'
	exit 0
fi
echo "$out"
exit "$status"
