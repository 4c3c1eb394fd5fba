#!/bin/bash
# Runs the experiments of log_determinants.md, from the raw digits to tables and pictures, in about five minutes on two
# cores. Usage: examples/log_determinants.sh FOLDER_OF_OPTDIGITS [OUTPUT_FOLDER]; the folder has optdigits.tra and
# optdigits.tes (UCI Machine Learning Repository, "Optical Recognition of Handwritten Digits").

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

digits=$(cd "${1:?"usage: examples/log_determinants.sh FOLDER_OF_OPTDIGITS [OUTPUT_FOLDER]"}" && pwd)
install_packages python3-matplotlib
configure "$root/build" --buildtype=release
ninja -C "$root/build"
allow_mpirun_as_root
export PATH=$root/build/apps:$PATH
out=${2:-$root/build/log_determinants}
mkdir -p "$out"
cd "$out"

section() { printf '\n== %s\n' "$*"; }

section 'Data: 8 × 8 images of digits, 16 shades, dequantized to (0, 1); two columns have one shade only'
flow_data import --train "$digits/optdigits.tra" --test "$digits/optdigits.tes" --exclude 65 \
  --dequantize '*' --divide 17 --output digits.h5

train() {
  local name=$1 method=$2
  shift 2
  section "Training with log_det.train = $method"
  mpirun -n 2 flow_train "$root/examples/digits.toml" --data digits.h5 --log_det.train "$method" --output "$name.h5" "$@"
}

train exact exact
train auto auto
train trace_krylov trace+krylov:3
train roulette roulette:p=0.5,exact=2,length=step,probe=gaussian
"$root/examples/plot_history.py" exact.csv auto.csv trace_krylov.csv roulette.csv -o training.png

section 'Estimators on the test digits'
compare() { mpirun -n 2 flow_logdet exact.h5 digits.h5 "$@"; }
compare --rows 200 --repeats 20 --gradient --spectrum --output log_det.h5 \
  --method roulette:p=0.5,exact=20,length=step,probe=gaussian \
  --method roulette:p=0.5,exact=2,length=step,probe=gaussian \
  --method roulette:p=0.5,exact=2 --method roulette:p=0.02,exact=2 --method poisson:rate=2 \
  --method series:2 --method series:5 --method series:10 --method series:20 --method series:10,trace=exact \
  --method krylov:2 --method krylov:3 --method krylov:6 --method krylov:3,probe=hadamard,probes=4 \
  --method trace+krylov:2 --method trace+krylov:3 --method trace+krylov:6 --method trace+krylov \
  --method exact:through=narrowest
"$root/examples/plot_log_det.py" log_det.h5 -o log_det.png

section 'The cliff of the roulette, in two dimensions'
mpirun -n 2 flow_train --model.blocks 4 --model.lipschitz 0.9 --train.steps 2000 --output cliff_flow.h5
flow_data make checkerboard --rows 1000 --output checkerboard.h5
mpirun -n 2 flow_logdet cliff_flow.h5 checkerboard.h5 --rows 40 --repeats 20000 --spectrum --output cliff.h5 \
  --method roulette:p=0.5,exact=2 --method roulette:p=0.5,exact=20 --method roulette
/usr/bin/python3 -c "
import h5py, numpy
blocks = h5py.File('cliff.h5')['blocks']
name = max(blocks, key=lambda k: blocks[k]['spectral_radius'][()].max())
row = int(blocks[name]['spectral_radius'][()].argmax())
print(f'block {int(name)}, row {row}, spectral radius {blocks[name][\"spectral_radius\"][row]:.3f}: sample variances')
for method, group in blocks[name]['log_det'].items():
    if isinstance(group, h5py.Group):
        values = group['value'][:, row]
        print(f'{method:<26}', *(f'{values[:n].var(ddof=1):8.3f}' for n in (100, 300, 1000, 3000, 10000, 20000)))
open('block', 'w').write(str(int(name)))"
"$root/examples/plot_log_det.py" cliff.h5 --block "$(cat block)" -o cliff.png
printf '\nTables above; pictures in %s: training.png, log_det.png, cliff.png\n' "$out"
