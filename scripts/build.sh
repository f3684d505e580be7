#!/bin/bash
# Configures and builds a preset: quietly, with a line of progress; all output in build/PRESET.log, and shown if it fails.
#
#   scripts/build.sh release             everything of the preset
#   scripts/build.sh release godwit ...  only these targets
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${1:?usage: scripts/build.sh PRESET [TARGET...]}
shift
targets=()
[ $# = 0 ] || targets=(--target "$@")
# As in ./test: another clone of the same sources finds what this one compiled.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
mkdir -p "$root/build"
log=$root/build/$preset.log
: > "$log"

failed() {
    [ ! -t 1 ] || printf '\r\033[K'
    local signs='error:|Error|FAILED|undefined reference'
    if grep -qE "$signs" "$log"; then
        grep -E -A 12 "$signs" "$log" | head -n 60 >&2 || true
    else
        tail -n 40 "$log" >&2
    fi
    printf 'The build failed while %s. All of its output is in %s\n' "$1" "$log" >&2
    exit 1
}

# On a terminal the last "[17/120] ..." of Ninja, redrawn in place; elsewhere a line for every tenth. All goes to the log.
show_progress() {
    local line done_ all tenth last_tenth=0 terminal=0
    [ ! -t 1 ] || terminal=1
    while IFS= read -r line; do
        printf '%s\n' "$line" >> "$log"
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        done_=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
        tenth=$((10 * done_ / all))
        if [ $terminal = 1 ]; then
            printf '\r\033[KBuilding %s: %d of %d' "$preset" "$done_" "$all"
        elif [ "$all" -ge 20 ] && [ "$tenth" -gt "$last_tenth" ]; then
            printf 'Building %s: %d of %d\n' "$preset" "$done_" "$all"
            last_tenth=$tenth
        fi
    done
    [ $terminal = 0 ] || printf '\r\033[K'
}

cd "$root"
began=$SECONDS
[ -e "build/$preset/build.ninja" ] || printf 'Building Godwit (%s); the first time takes some minutes.\n' "$preset"
cmake --preset "$preset" >> "$log" 2>&1 || failed "configuring"
cmake --build --preset "$preset" "${targets[@]}" 2>&1 | show_progress || failed "compiling"
[ $((SECONDS - began)) -lt 5 ] || printf 'Built in %d s.\n' $((SECONDS - began))
