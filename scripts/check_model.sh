#!/bin/bash
# Checks the model of the hand-over (model/handover.pml) with spin: that nothing forbidden can happen, and that each
# planted mistake is found, so that the check is known to see something.
#
#   scripts/check_model.sh [-DCUTS=3 -DCRASHES=2 ...]
set -euo pipefail
model=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/model/handover.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Prints "errors: N" and how many states were seen.
check() { # -DNAME=VALUE...
    rm -f ./*
    spin -a "$@" "$model" > spin.log 2>&1 && cc -O1 -DSAFETY -w -o pan pan.c || { cat spin.log; return 1; }
    ./pan -E -m1000000 > pan.log 2>&1 || true
    grep -q 'max search depth too small' pan.log && { echo "the search was cut short"; return 1; }
    sed -nE 's/.*(errors: [0-9]+).*/\1/p; s/^ *([0-9]+) states, stored.*/\1 states/p' pan.log | paste -sd' '
}

failed=0
for mode in 1 2 3; do
    found=$(check "-DMODE=$mode" "$@")
    printf 'mode %d: %s\n' "$mode" "$found"
    [[ $found == "errors: 0 "* ]] || failed=1
done
for planted in "2 1" "1 2" "2 2" "3 3" "3 4"; do
    read -r mode bug <<< "$planted"
    found=$(check "-DMODE=$mode" "-DBUG=$bug" "$@")
    printf 'mode %d with planted mistake %d: %s\n' "$mode" "$bug" "$found"
    [[ $found == "errors: 1 "* ]] || { echo "the mistake was not found"; failed=1; }
done
exit $failed
