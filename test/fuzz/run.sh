#!/bin/bash
# Damages files for each reader, many more than the tests do, in a build in build-fuzz/ with address and
# undefined-behavior sanitizers. With clang, libFuzzer searches as well. The exit code is 0 only if nothing failed.
#
#   test/fuzz/run.sh [N [SECONDS [READER …]]]     N damaged files (100000) for each reader, and SECONDS (60) of libFuzzer
#
# Files that make a reader fail are kept in build-fuzz/test/fuzz/files/READER/found.

set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../examples/setup.sh"
count=${1:-100000} seconds=${2:-60}
readers=("${@:3}")
[[ ${#readers[@]} == 0 ]] && readers=(csv npy zip packed idx cifar config model checkpoint dataset model_content checkpoint_content)

folder=$root/build-fuzz
options=(-Doptimization=1 -Ddebug=true -Db_ndebug=false -Db_sanitize=address,undefined -Db_lundef=false)
if command -v clang++ > /dev/null && [[ ! -d $folder ]]; then
  export CC=clang CXX=clang++ CFLAGS=-fsanitize=fuzzer-no-link CXXFLAGS=-fsanitize=fuzzer-no-link
fi
install_packages && configure "$folder" "${options[@]}" && ninja -C "$folder" fuzz || exit 1

export PUSHFORWARD_PROGRAMS=$folder/apps:$folder/test/fuzz PUSHFORWARD_SOURCE=$root
export PYTHONPATH=$root/test/support PYTHONDONTWRITEBYTECODE=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export LSAN_OPTIONS=suppressions=$root/test/sanitizers.supp:print_suppressions=0
failed=0
for reader in "${readers[@]}"; do
  /usr/bin/python3 "$root/test/fuzz/fuzz.py" "$reader" --count "$count" --seconds "$seconds" || failed=1
done
exit $failed
