#!/usr/bin/env bash
# image.sh VERSION: builds the container image herald:VERSION, which is
# herald:latest too, with docker or podman.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-devel}
for tool in docker podman; do
	if command -v "$tool" >/dev/null 2>&1; then
		tag=${version//[^0-9A-Za-z_.-]/-}
		exec "$tool" build -f packaging/docker/Dockerfile --build-arg "VERSION=$version" \
			-t "herald:$tag" -t herald:latest .
	fi
done
echo "an image needs docker or podman; neither is installed" >&2
exit 1
