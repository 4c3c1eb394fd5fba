#!/bin/bash
# From a fresh clone to the verdict: installs the packages that are missing, builds and runs all tests. The last line is
# "N passed, N failed", test cases on each number of ranks counted one by one; the exit code is 0 only when none failed.
#
#   test/run.sh             a release build in build/, all tests
#   test/run.sh --sanitize  a build in build-sanitize/ with address, leak and undefined-behavior sanitizers, all tests
#   test/run.sh --memcheck  a build in build-memcheck/, the programs on two ranks under valgrind's memcheck
#   test/run.sh --coverage  a build in build-coverage/, all tests, and which lines of each room they reached
#   test/run.sh --tidy      the release build, and clang-tidy on every source in place of the tests

set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/setup.sh"

# Tools with which the tests look at the sources.
tools=(clang-format clang-tidy doxygen)
job=test
tests=(--no-suite memcheck)
targets=()
case ${1:-} in
  '')
    # A warning of a compiler that we have not met must not stop a user's build; here it fails.
    folder=$root/build options=(-Dwerror=true)
    ;;
  --sanitize)
    # Sanitized programs are slow; the style of sources is the same.
    folder=$root/build-sanitize tests+=(--no-suite style --timeout-multiplier 6)
    options=(-Doptimization=1 -Ddebug=true -Db_ndebug=false
      -Db_sanitize=address,undefined -Db_lundef=false)
    # What the libraries below us never give back is none of our leaks. To know it, the stack of an allocation must be
    # whole, also through libraries without frame pointers. Some tests preload a library of their own.
    export LSAN_OPTIONS=suppressions=$root/test/sanitizers.supp:print_suppressions=0
    export ASAN_OPTIONS=fast_unwind_on_malloc=0:verify_asan_link_order=0
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    ;;
  --memcheck)
    folder=$root/build-memcheck tests=(--suite memcheck)
    targets=(apps/flow_{train,data,density,sample,check,logdet} test/apps/uninitialized)
    options=(-Doptimization=1 -Ddebug=true -Dnative=false)  # valgrind does not know AVX-512
    tools+=(valgrind)
    ;;
  --coverage)
    folder=$root/build-coverage options=(-Dwerror=true -Doptimization=1 -Ddebug=true -Db_coverage=true)
    tools+=(gcovr)
    job=coverage
    ;;
  --tidy)
    folder=$root/build options=(-Dwerror=true)
    job=tidy
    ;;
  *)
    echo "usage: test/run.sh [--sanitize | --memcheck | --coverage | --tidy]" >&2
    exit 2
    ;;
esac

if ! { install_packages "${tools[@]}" && configure "$folder" "${options[@]}" && ninja -C "$folder" "${targets[@]}"; }; then
  echo "The build failed."
  echo "0 passed, 1 failed"
  exit 1
fi
if [[ $job == tidy ]]; then
  exec python3 "$root/test/style/tidy.py" "$root" "$folder"
fi
rm -f "$folder/meson-logs/testlog.json"
[[ $job == coverage ]] && find "$folder" -name '*.gcda' -delete
# Some tests wait for most of their time, so there is one more than there are cores.
meson test -C "$folder" --no-rebuild --print-errorlogs --num-processes "$(($(nproc) + 1))" "${tests[@]}"
if [[ $job == coverage ]]; then
  gcovr --root "$root" --filter "$root/lib/" --filter "$root/apps/" --exclude-throw-branches --exclude-unreachable-branches \
    -j "$(nproc)" --json-summary - "$folder" | python3 "$root/test/coverage.py"
fi
python3 "$root/test/count.py" "$folder/meson-logs/testlog.json"
