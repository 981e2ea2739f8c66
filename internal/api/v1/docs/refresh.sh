#!/bin/sh
# Fetches the pinned release of Swagger UI from the npm registry and puts the
# files that the page needs next to this script. Then set the sums in
# docs_test.go to what is printed, and look at the page.
set -eu
version=5.35.0
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar -xzf swagger-ui-dist-*.tgz
for f in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE; do
	# The map is not shipped, so nothing should point to it.
	sed '/^\/[/*]# sourceMappingURL=/d' "package/$f" >"$here/$f"
done
cd "$here"
sha256sum swagger-ui-bundle.js swagger-ui.css
