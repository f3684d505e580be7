#!/usr/bin/env bash
# Prints the line coverage of everything that reads bytes of a peer: the codecs of the stream, the monitor's
# JSON, the URI. Counted are the unit tests, and the fuzz targets on their seeds and written inputs.
#
#   scripts/decoder_coverage.sh          the table; fails below 95 % in total
#   scripts/decoder_coverage.sh missing  the lines that nothing has reached, too
#
# Needs clang-19, libclang-rt-19-dev and, beyond what scripts/setup.sh installs, llvm-19.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LEAST=95  # percent
readonly OUT=build/coverage
readonly TESTS=(wire_test qmp_json_test channel_test)
readonly FUZZED=(stream configuration record return_path ram field_table description multifd compress xbzrle
  block_section bitmap_section small_streams json address)

for tool in clang++-19 llvm-cov-19 llvm-profdata-19; do
  command -v "$tool" >/dev/null ||
    { echo "decoder_coverage: there is no $tool; install clang-19 libclang-rt-19-dev llvm-19" >&2; exit 2; }
done

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
mkdir -p "$OUT"
quietly() { # LOG COMMAND...
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { tail -40 "$log"; exit 1; }
}
# What the fuzz targets are instrumented with calls a sanitizer's library, also from the other programs.
quietly "$OUT/configure.log" cmake -S . -B "$OUT" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++-19 \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DGODWIT_FUZZ=ON \
  -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping" -DCMAKE_EXE_LINKER_FLAGS="-fsanitize=undefined"
quietly "$OUT/build.log" cmake --build "$OUT" -j "${GODWIT_JOBS:-$(nproc)}" \
  --target fuzz_seeds "${TESTS[@]}" "${FUZZED[@]/#/fuzz_}"

rm -rf "$OUT/profiles"
export LLVM_PROFILE_FILE=$PWD/$OUT/profiles/%m-%p.profraw
programs=()
for name in "${TESTS[@]}"; do
  quietly "$OUT/$name.log" "$OUT/tests/$name" --gtest_brief=1
  programs+=("$OUT/tests/$name")
done
for name in "${FUZZED[@]}"; do
  inputs=()
  for folder in "$OUT/fuzz/seeds/fuzz_$name" "tests/data/fuzz/$name"; do
    [ ! -d "$folder" ] || inputs+=("$folder")
  done
  quietly "$OUT/fuzz_$name.log" "$OUT/fuzz/fuzz_$name" -runs=0 "${inputs[@]}"
  programs+=("$OUT/fuzz/fuzz_$name")
done
llvm-profdata-19 merge -sparse "$OUT"/profiles/*.profraw -o "$OUT/all.profdata"

mapfile -t sources < <(git ls-files 'src/wire/*.cpp' 'src/qmp/json_*.cpp' src/qmp/utf8.cpp src/channel/address.cpp |
  grep -vE '_test\.cpp$|/test_')
objects=()
for program in "${programs[@]:1}"; do objects+=(-object "$program"); done

llvm-cov-19 export "${programs[0]}" "${objects[@]}" -instr-profile="$OUT/all.profdata" -summary-only \
  -sources "${sources[@]}" >"$OUT/summary.json"
[ "${1:-}" != missing ] ||
  llvm-cov-19 show "${programs[0]}" "${objects[@]}" -instr-profile="$OUT/all.profdata" \
    -show-instantiations=false -sources "${sources[@]}" | grep -E '^/|^ +[0-9]+\| +0\|' | sed "s|^$PWD/||"
python3 - "$OUT/summary.json" "$LEAST" <<'PYTHON'
import json, os, sys

files = json.load(open(sys.argv[1]))["data"][0]["files"]
lines = lambda file: file["summary"]["lines"]
for file in sorted(files, key=lambda f: lines(f)["percent"]):
    print(f"{lines(file)['percent']:6.1f} %  {lines(file)['covered']:4} of {lines(file)['count']:4}  "
          f"{os.path.relpath(file['filename'])}")
covered, count = (sum(lines(f)[key] for f in files) for key in ("covered", "count"))
print(f"{100 * covered / count:6.1f} %  {covered:4} of {count:4}  in total")
sys.exit(100 * covered < int(sys.argv[2]) * count)
PYTHON
