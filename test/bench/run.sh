#!/bin/bash
# The library beside PyTorch, on this machine now: builds what is missing, runs each case on one rank, on two and in
# PyTorch with one thread and with two, in turn and more than once, takes the best of each, prints the table and appends
# to a CSV file.
#
#   test/bench/run.sh                         all cases
#   test/bench/run.sh train.exact sample.d2   these (bench --list has the names)
#   test/bench/run.sh --seconds 0.1 --rounds 1 --tiny ...
#   test/bench/run.sh --exponents ...         a step's cost against d, width, blocks, batch, terms (exponents.py)
#   test/bench/run.sh --scaling ...           many ranks, from measurements here (scaling.py)
#
# --seconds S: time for the repeats of each run (1). --rounds N: how often all take their turn (2). --csv FILE: what is
# appended to (build/bench.csv). --tiny: smallest sizes, whether it works.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../examples/setup.sh"

folder=${BUILD:-$root/build} csv='' seconds=1 rounds=2 size=() names=() other=()
while (($#)); do
  case $1 in
    --seconds) seconds=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    --csv) csv=$2 && shift ;;
    --tiny) size=(--tiny) ;;
    --exponents) other=(exponents.py "$folder/test/bench/bench" "${@:2}") && break ;;
    --scaling) other=(scaling.py --bench "$folder/test/bench/bench" "${@:2}") && break ;;
    -*) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done
csv=${csv:-$folder/bench.csv}

((${#other[@]})) || install_packages python3-torch
configure "$folder"
ninja -C "$folder" test/bench/bench apps/flow_data apps/flow_train > "$folder/bench-build.log" ||
  { cat "$folder/bench-build.log" >&2 && exit 1; }

# What would make BLAS run another kernel than it chooses itself.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
allow_mpirun_as_root
((${#other[@]} == 0)) || exec /usr/bin/python3 "$here/${other[0]}" "${other[@]:1}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$folder/test/bench/bench
python=/usr/bin/python3
has_torch=true
"$python" -c 'import torch, functorch, h5py' 2> /dev/null || has_torch=false
$has_torch || echo "No PyTorch for $python: the table is without it." >&2

# Seconds from the start of a training run on two ranks to its end: reads 100 MB, takes one step.
time_start() {
  [[ -f $work/start.h5 ]] || "$folder/apps/flow_data" make checkerboard --rows 7800000 --seed 1 -o "$work/start.h5" > /dev/null
  local start=$EPOCHREALTIME
  mpirun -n 2 "$folder/apps/flow_train" --data "$work/start.h5:/train" --data.fractions 0.998,0.001,0.001 \
    --train.steps 1 --output "$work/start_model.h5" > /dev/null 2>&1
  awk "BEGIN { printf \"flow_train on two ranks with 100 MB of rows, one step: %.2f s\\n\", $EPOCHREALTIME - $start }"
}

"$bench" --list "${names[@]}" > "$work/list"
for ((round = 1; round <= rounds; ++round)); do
  while read -r name baseline _; do
    $has_torch || baseline=-
    echo "$name, round $round" >&2
    "$bench" "$name" --seconds "$seconds" "${size[@]}" --csv "$work/ours.csv" > "$work/log" < /dev/null
    [[ $baseline == - ]] || [[ -f $work/$name.h5 ]] || "$bench" "${size[@]}" --save "$name" "$work/$name.h5" < /dev/null
    torch() {
      [[ $baseline == - ]] || OPENBLAS_NUM_THREADS='' "$python" "$here/torch_baseline.py" "$work/$name.h5" \
        --threads "$1" --seconds "$seconds" --csv "$work/torch.csv" > "$work/log" < /dev/null
    }
    torch 1
    mpirun -n 2 "$bench" "$name" --seconds "$seconds" "${size[@]}" --csv "$work/ours.csv" > "$work/log" < /dev/null
    torch 2
  done < "$work/list"
done

"$python" "$here/table.py" "$work/ours.csv" "$work/torch.csv" --csv "$csv" \
  --commit "$(git -C "$root" describe --always --dirty 2> /dev/null || echo unknown)"
if ((${#names[@]} == 0 && ${#size[@]} == 0)); then time_start; fi
