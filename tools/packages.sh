# SPDX-License-Identifier: Apache-2.0
# packages.sh - what Debian 12 packages are needed, and how missing ones are installed. Sourced by ./run and ./test.

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config python3 librocksdb-dev libssl-dev libargon2-dev libcrypt-dev
	libunbound-dev libicu-dev libpsl-dev libjansson-dev zlib1g-dev libseccomp-dev"
RUN_PACKAGES="curl openssl dns-root-data"
TEST_PACKAGES="libcmocka-dev python3-pytest clang-format curl swaks libnet-ssleay-perl isync msmtp openssl postfix iproute2 npm"

# need_packages NAME... - installs those that are missing, as root or with sudo; silent when there is nothing to do.
need_packages() {
	local missing="" sudo=""
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
	# A first look-up may have an old list: fetch it once and ask again.
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 && return 0
	$sudo apt-get update >/dev/null && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $missing >/dev/null
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
