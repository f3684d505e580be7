#!/bin/bash
# Installs the Debian packages of a group of scripts/packages.txt that are not there yet, and says so first.
#
#   scripts/setup.sh build       what ./demo needs
#   scripts/setup.sh test        what ./test needs
#   scripts/setup.sh --list test the names only
#
# Runs as root or with sudo, and asks nothing. Does nothing if all is there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list=$here/packages.txt
log=${GODWIT_SETUP_LOG:-${TMPDIR:-/tmp}/godwit-setup-$(id -u).log}

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# The packages of a group and of those it includes.
packages_of() {
    local wanted=$1 group="" line found=0
    while read -r line; do
        line=${line%%#*}
        line=${line%"${line##*[![:space:]]}"}
        case $line in
            "") ;;
            "["*"]") group=${line#[}; group=${group%]}; [ "$group" = "$wanted" ] && found=1 ;;
            "+"*) [ "$group" != "$wanted" ] || packages_of "${line#+}" ;;
            *) [ "$group" != "$wanted" ] || printf '%s\n' "$line" ;;
        esac
    done < "$list"
    [ "$found" = 1 ] || fail "there is no group '$wanted' in $list"
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# apt-get as root, without a question, its output in the log.
apt_get() {
    local prefix=()
    [ "$(id -u)" = 0 ] || prefix=(sudo --non-interactive)
    "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get --quiet --yes --option DPkg::Lock::Timeout=120 "$@" >> "$log" 2>&1
}

list_only=0
if [ "${1:-}" = --list ]; then
    list_only=1
    shift
fi
[ $# = 1 ] || fail "usage: scripts/setup.sh [--list] build|test"
packages=$(packages_of "$1")
if [ "$list_only" = 1 ]; then
    printf '%s\n' "$packages"
    exit 0
fi

command -v dpkg-query > /dev/null && command -v apt-get > /dev/null ||
    fail "this is not Debian: there is no apt." "Install what $list names by other means, then build with cmake --preset release."

missing=()
for package in $packages; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

printf 'These Debian packages are missing and are installed now with apt-get:\n'
printf '    %s\n' "${missing[@]}"
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null && sudo --non-interactive true 2> /dev/null ||
        fail "that takes root, and sudo does not work here without a password." \
             "Run this as root:  apt-get install ${missing[*]}"
fi
: > "$log"
# The lists may be older than what is on the mirror: refresh them only if it does not work without.
if ! apt_get install --no-install-recommends "${missing[@]}"; then
    printf 'Refreshing the package lists...\n'
    { apt_get update && apt_get install --no-install-recommends "${missing[@]}"; } ||
        { tail -n 20 "$log" >&2; fail "apt-get failed; all it said is in $log"; }
fi
for package in "${missing[@]}"; do
    is_installed "$package" || fail "apt-get did not install $package; all it said is in $log"
done
printf 'Installed.\n'
