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
mkdir -p "$root/build"
log=$root/build/$preset.log
: > "$log"

failed() {
    [ ! -t 1 ] || printf '\r\033[K'
    grep -E -A 12 'error:|Error|FAILED|undefined reference' "$log" | head -n 60 >&2 || tail -n 40 "$log" >&2
    printf 'The build failed while %s. All of its output is in %s\n' "$1" "$log" >&2
    exit 1
}

# The last "[17/120] ..." of Ninja, redrawn in place; the rest goes to the log.
show_progress() {
    local line shown=""
    while IFS= read -r line; do
        printf '%s\n' "$line" >> "$log"
        [ -t 1 ] && [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        [ "${BASH_REMATCH[0]}" != "$shown" ] || continue
        shown=${BASH_REMATCH[0]}
        printf '\r\033[KBuilding %s: %s of %s' "$preset" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

cd "$root"
began=$SECONDS
[ -e "build/$preset/build.ninja" ] || printf 'Building Godwit (%s); the first time takes some minutes.\n' "$preset"
cmake --preset "$preset" >> "$log" 2>&1 || failed "configuring"
cmake --build --preset "$preset" "${targets[@]}" 2>&1 | show_progress || failed "compiling"
[ $((SECONDS - began)) -lt 5 ] || printf 'Built in %d s.\n' $((SECONDS - began))
