#!/bin/bash
# Goes from a fresh clone to a picture: installs missing packages, builds, trains a flow on a checkerboard on two ranks,
# evaluates its density on a grid, draws samples, and plots all of them and the data.
#
#   examples/demo.sh [FOLDER]
#
# Everything is written into FOLDER/demo (build/demo) and replaces the files of an earlier run.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

folder=$(realpath -m "${1:-$root/build}")/demo
install_packages python3-matplotlib
configure "$root/build"
ninja -C "$root/build" apps/flow_{data,train,density,sample}
allow_mpirun_as_root
export PATH=$root/build/apps:$PATH

mkdir -p "$folder"
cd "$folder"
rm -f data.h5 flow.h5 flow.csv density.h5 samples.h5 density.png

mpirun --oversubscribe -n 2 flow_train
flow_density flow.h5 --grid "-5:5:250,-5:5:250" -o density.h5
flow_sample flow.h5 -n 20000 --seed 1 -o samples.h5
flow_data make checkerboard --rows 20000 --seed 1 -o data.h5
/usr/bin/python3 "$root/examples/plot_density.py" data.h5:train samples.h5:x density.h5 -o density.png

echo "The picture is $folder/density.png"
