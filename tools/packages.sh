# SPDX-License-Identifier: Apache-2.0
# packages.sh - what Debian 12 packages are needed, and how missing ones are installed. Sourced by ./run and ./test.

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config python3 librocksdb-dev libssl-dev libargon2-dev libcrypt-dev
	libunbound-dev libicu-dev libpsl-dev libjansson-dev zlib1g-dev liblz4-dev libseccomp-dev"
RUN_PACKAGES="curl openssl dns-root-data"
TEST_PACKAGES="git libcmocka-dev iproute2 python3-pytest python3-pytest-xdist clang-format curl swaks libnet-ssleay-perl isync msmtp gsasl openssl postfix dovecot-imapd
	offlineimap3 neomutt fetchmail getmail6 ldnsutils nsd"
command -v npm >/dev/null || TEST_PACKAGES="$TEST_PACKAGES npm" # for the real messages; Node may have come from elsewhere

# need_packages NAME... - installs those that are missing, as root or with sudo; silent when there is nothing to do. Services that come with a
# package (Postfix, for the tests) are not started.
need_packages() {
	local missing="" sudo="" policy=/usr/sbin/policy-rc.d made="" status
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || sudo=sudo
	if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
		echo "These Debian packages are missing:$missing" >&2
		echo "Install them as root: apt-get install$missing" >&2
		return 1
	fi
	echo "Installing$missing"
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null && $sudo chmod 755 $policy && made=yes
	fi
	# The first try may have an old list of packages: then it is fetched, and the second one tells what is wrong.
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
		$sudo apt-get update >/dev/null
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null
	}
	status=$?
	[ -z "$made" ] || $sudo rm -f $policy
	return $status
}

# build_in FOLDER MESON-ARGUMENT... - configures when needed, then builds.
build_in() {
	local folder=$1
	shift
	if [ -f "$folder/build.ninja" ]; then
		meson setup --reconfigure "$folder" "$@" >"$folder/setup.log" 2>&1 || { cat "$folder/setup.log" >&2; return 1; }
	else
		mkdir -p "$folder"
		meson setup "$folder" "$@" >"$folder/setup.log" 2>&1 || { cat "$folder/setup.log" >&2; return 1; }
	fi
	ninja -C "$folder" >"$folder/build.log" 2>&1 || { tail -n 40 "$folder/build.log" >&2; return 1; }
}
