#!/usr/bin/env bash
# The fault harness (test/faults) in its long form until the given time (like
# 90s, 10m or 2h) is over: kills and power cuts under load, every invariant
# checked after each round, figures at the end; then for a quarter of the time
# each on a PostgreSQL and a MariaDB that are killed, stopped and out of reach.
# It stops at the first failure.
# After it the model (test/model), with MODEL_CHECKS (500) draws.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10m}
[[ $time =~ ^[0-9]+[smh]$ ]] || { echo "soak: the time is a number with s, m or h, not $time" >&2 && exit 2; }
FAULTS_SOAK=$time go test -count=1 -timeout=0 -v -parallel=1 -run '^(TestSoak|TestReadyAgain|TestDatabase)$' ./test/faults |
	grep -v '^=== '
MODEL_CHECKS=${MODEL_CHECKS:-500} go test -count=1 -timeout=0 -v ./test/model | grep -v '^=== '
