#!/bin/bash
# Runs the experiments of continuous.md, from built-in densities to tables and pictures, in about 15 minutes on one
# core. Usage: examples/continuous.sh [--small] [OUTPUT_FOLDER]. With --small, as a test has it, everything has few
# steps and few points, and the programs are those of the PATH.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

matching=4000 board=2000 likelihood=1000 long=2500 wide=128 points=120 rows=50000 finest=128 euler=(2 4 8 16 32 64 128)
if [[ ${1:-} == --small ]]; then
  shift
  matching=60 board=40 likelihood=20 long=30 wide=8 points=12 rows=300 finest=8 euler=(8 16)
else
  install_packages python3-matplotlib
  configure "$root/build" --buildtype=release
  ninja -C "$root/build"
  export PATH=$root/build/apps:$PATH
fi
allow_mpirun_as_root
export OPENBLAS_NUM_THREADS=1
out=${1:-$root/build/continuous}
mkdir -p "$out"
cd "$out"

section() { printf '\n== %s\n' "$*"; }
numpy() { /usr/bin/python3 "$root/examples/continuous.py" "$@"; }
density() { flow_density "$@" | tail -3; }
train() {
  flow_train --restart never --model.kind continuous --objective.kind flow_matching --data.rows 100000 \
    --train.validate_every 1000000 "$@"
}

section 'A vector field by flow matching, without likelihood: 8gaussians'
train --data.toy 8gaussians --model.density continuous --train.steps "$matching" --train.batch 500 --train.warmup 200 \
  --train.learning_rate 5e-3 --output field.h5

section 'Euler steps and their limit'
mkdir -p steps
flow_data make 8gaussians --rows "$((rows / 25))" --split 0,0,1 --output rows.h5
numpy points steps/points.h5 --points "$points"
density field.h5 rows.h5 --tolerance 1e-8 -o steps/rows_limit.h5
for n in "${euler[@]}"; do
  density field.h5 rows.h5 --steps "$n" --solver euler -o "steps/rows_euler_$n.h5"
  density field.h5 steps/points.h5:/x --steps "$n" --solver euler -o "steps/points_euler_$n.h5"
done
numpy steps field.h5 steps -o steps.png

section 'Densities of samplers with few steps'
mkdir -p samples
for n in "${euler[@]:1:3}"; do
  flow_sample field.h5 -n "$rows" --steps "$n" --solver euler -o "samples/samples_euler_$n.h5"
  density field.h5 "samples/samples_euler_$n.h5:/x" --tolerance 1e-4 -o "samples/limit_euler_$n.h5"
done
flow_sample field.h5 -n "$rows" --steps 2 --solver rk4 -o samples/samples_rk4_2.h5
density field.h5 samples/samples_rk4_2.h5:/x --tolerance 1e-4 -o samples/limit_rk4_2.h5

section 'Estimates of the divergence, in 16 dimensions: eight pairs of columns of 8gaussians, rotated'
flow_data make 8gaussians --rows "$((rows * 16))" --output pairs.h5
numpy mixture pairs.h5 -o mixture.h5
train --data mixture.h5 --model.hidden "$wide,$wide" --model.activation tanh --model.density continuous \
  --model.steps 16 --train.steps "$matching" --train.batch 500 --train.warmup 200 --train.learning_rate 5e-3 \
  --output mixture_field.h5
flow_logdet mixture_field.h5 mixture.h5 --rows "$((rows / 100))" --output divergence.h5
numpy weights field.h5 samples divergence.h5 -o weights.png

# NAME STEPS_OF_LIKELIHOOD STEPS_OF_THE_GRID FLAGS...: trains on the checkerboard, and checks the model.
board() {
  local name=$1 steps=$2 grid=$3
  shift 3
  section "$name: flow matching, then $steps steps of likelihood, $grid steps of RK4"
  mkdir -p "$name"
  train --model.hidden "$wide,$wide" --model.steps "$grid" --objective.likelihood_steps "$steps" \
    --train.steps "$((board + steps))" --train.batch 256 --train.schedule constant --train.learning_rate 4e-3 \
    --train.warmup 100 --train.average 0 --output.every 25 --output "$name/flow.h5" "$@" || return 0
  flow_check "$name/flow.h5" board.h5 | tail -7 || echo "$name fails its check"
}

flow_data make checkerboard --rows 1000 --split 0,0,1 --output board.h5
numpy points board_points.h5 --half-width 4.6 --points "$((points * 2 / 3))"
unguarded=(--model.density continuous --model.tolerance 1e9)
board unguarded "$likelihood" 4 "${unguarded[@]}" --model.max_steps 4
board stuck "$likelihood" 4 --model.density discrete --model.max_steps 4
board discrete "$likelihood" 4 --model.density discrete
board trace "$likelihood" 4 --model.density continuous
board unguarded_8 "$long" 8 "${unguarded[@]}" --model.max_steps 8
board discrete_8 "$long" 8 --model.density discrete --model.max_steps 8

# The evaluation of these models may take few steps only, so a sampler of fine steps tells their densities.
density unguarded/flow.h5 board.h5 --steps "$finest" --solver dop853
density unguarded_8/flow.h5 board.h5 --steps "$finest" --solver dop853
flow_sample unguarded/flow.h5 -n 2000 --steps 64 --solver dop853 -o unguarded/samples.h5
density discrete/flow.h5 board_points.h5:/x -o discrete/own.h5
density trace/flow.h5 board_points.h5:/x --tolerance 1e-4 -o trace/own.h5
numpy grid unguarded stuck discrete trace unguarded_8 discrete_8 --exploited unguarded --shown trace discrete \
  --points board_points.h5 --rows board.h5 --matching "$board" -o grid.png

section 'Densities along two flows'
numpy film field.h5 trace/flow.h5 --points "$points" -o film.png
printf '\nTables above; pictures in %s: steps.png, weights.png, grid.png, film.png\n' "$out"
