#!/usr/bin/env bash
# Installs what the tests need, where it is missing: Debian packages when this
# machine has apt-get and this user may use it, and the npm packages of
# test/interop and sdk/js. What it cannot have it says plainly and goes on: the tests
# concerned then report "unavailable", which make test lists at its end.
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1; }

have_node() {
	have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

have_chromium() { have chromium || have chromium-browser || have google-chrome; }

# The race detector needs a C compiler and the headers of the C library.
have_cc() {
	have "${CC:-gcc}" && echo '#include <stdlib.h>' | "${CC:-gcc}" -E -x c - >/dev/null 2>&1
}

missing() {
	have curl || echo curl
	have nc || echo netcat-openbsd
	have php || echo php-cli
	have php && php -r 'exit(extension_loaded("curl") ? 0 : 1);' || echo php-curl
	have phpunit || echo phpunit
	have php && php -r "require 'GuzzleHttp/autoload.php';" >/dev/null 2>&1 || echo php-guzzlehttp-guzzle
	have git || echo git
	have_chromium || echo chromium
	have_node || echo nodejs npm
	have nginx || [ -x /usr/sbin/nginx ] || echo nginx-light
	[ -e /usr/lib/nginx/modules/ngx_nchan_module.so ] || echo libnginx-mod-nchan
	have haproxy || [ -x /usr/sbin/haproxy ] || echo haproxy
	have caddy || echo caddy
	have mosquitto || [ -x /usr/sbin/mosquitto ] || echo mosquitto
	have mosquitto_rr || echo mosquitto-clients
	/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || echo python3-aiosmtpd
	have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || echo postgresql
	have mariadbd || [ -x /usr/sbin/mariadbd ] || echo mariadb-server-core mariadb-client-core
	have_cc || echo gcc libc6-dev
	have systemd-analyze || echo systemd
}

install_debian() {
	local sudo=()
	if ! have apt-get; then
		echo "cannot install: $* (no apt-get on this machine; install them by its own means)"
		return 0
	fi
	if [ "$(id -u)" != 0 ]; then
		if ! have sudo || ! sudo -n true 2>/dev/null; then
			echo "cannot install: $* (needs root: apt-get install $*)"
			return 0
		fi
		sudo=(sudo)
	fi
	echo "installing: $*"
	export DEBIAN_FRONTEND=noninteractive
	local log policy=/usr/sbin/policy-rc.d ours=
	log=$(mktemp)
	# The tests start servers of their own; those of the system are not begun.
	if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null && "${sudo[@]}" chmod +x "$policy"; then
		ours=yes
	fi
	if ! { "${sudo[@]}" apt-get update -q &&
		"${sudo[@]}" apt-get install -qy --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
		echo "cannot install: $* (apt-get failed):"
		tail -n 5 "$log" | sed 's/^/  /'
	fi
	[ -z "$ours" ] || "${sudo[@]}" rm -f "$policy"
	rm -f "$log"
}

# npm ci only when the lock file is not the one that was installed last.
install_npm() {
	local dir=$1 stamp
	[ -f "$dir/package-lock.json" ] || return 0
	if ! have_node; then
		echo "cannot install: the npm packages of $dir (no node of version 20 or later)"
		return 0
	fi
	stamp=$(cksum <"$dir/package-lock.json")
	if [ -f "$dir/node_modules/.lock-stamp" ] && [ "$(cat "$dir/node_modules/.lock-stamp")" = "$stamp" ]; then
		return 0
	fi
	echo "installing: the npm packages of $dir"
	if (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error </dev/null); then
		echo "$stamp" >"$dir/node_modules/.lock-stamp"
	else
		echo "cannot install: the npm packages of $dir (npm ci failed)"
	fi
}

read -r -a packages <<<"$(missing | tr '\n' ' ')"
if [ "${#packages[@]}" -gt 0 ]; then
	install_debian "${packages[@]}"
fi
install_npm test/interop
install_npm sdk/js
