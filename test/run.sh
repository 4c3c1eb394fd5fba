#!/bin/bash
# From a fresh clone to the verdict: installs the packages that are missing, builds and runs all tests. The last line is
# "N passed, N failed", test cases on each number of ranks counted one by one; the exit code is 0 only when none failed.
#
#   test/run.sh             a release build in build/, all tests
#   test/run.sh --sanitize  a build in build-sanitize/ with address and undefined-behavior sanitizers, the unit tests

set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/setup.sh"

case ${1:-} in
  '')
    # A warning of a compiler that we have not met must not stop a user's build; here it fails.
    folder=$root/build options=(-Dwerror=true) tests=()
    ;;
  --sanitize)
    folder=$root/build-sanitize tests=(--suite unit)
    options=(-Doptimization=1 -Ddebug=true -Db_ndebug=false
      -Db_sanitize=address,undefined -Db_lundef=false)
    # What the libraries below us never give back is none of our leaks. To know it, the stack of an allocation must be
    # whole, also through libraries without frame pointers.
    export LSAN_OPTIONS=suppressions=$root/test/sanitizers.supp:print_suppressions=0
    export ASAN_OPTIONS=fast_unwind_on_malloc=0
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    ;;
  *)
    echo "usage: test/run.sh [--sanitize]" >&2
    exit 2
    ;;
esac

if ! { install_packages && configure "$folder" "${options[@]}" && ninja -C "$folder"; }; then
  echo "The build failed."
  echo "0 passed, 1 failed"
  exit 1
fi
rm -f "$folder/meson-logs/testlog.json"
meson test -C "$folder" --no-rebuild --print-errorlogs "${tests[@]}"
python3 "$root/test/count.py" "$folder/meson-logs/testlog.json"
