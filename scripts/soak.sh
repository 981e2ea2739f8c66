#!/usr/bin/env bash
# Repeats the tests under test/ with the race detector until the given time
# (like 90s, 10m or 2h) is over, and stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-10m} in
*h) seconds=$((${1%h} * 3600)) ;;
*m) seconds=$((${1%m} * 60)) ;;
*s) seconds=${1%s} ;;
*) echo "soak: the time is a number with s, m or h, not $1" >&2 && exit 2 ;;
esac
round=0
while [ "$SECONDS" -lt "$seconds" ] || [ "$round" = 0 ]; do
	round=$((round + 1))
	echo "soak: round $round, ${SECONDS} s of $seconds s"
	go test -race -count=1 ./test/...
done
echo "soak: $round rounds without a failure in ${SECONDS} s"
