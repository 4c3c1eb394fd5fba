#!/bin/bash
# A training run that outlives the limit of its job. Ten minutes before the limit, Slurm sends SIGUSR2 to the ranks, which
# write a checkpoint and end with code 7. The job then goes back into the queue, and the same command continues the run.
#
#   sbatch examples/slurm.sh run.toml --data data.h5

#SBATCH --job-name=flow_train
#SBATCH --ntasks=8
#SBATCH --time=04:00:00
#SBATCH --signal=USR2@600
#SBATCH --requeue
#SBATCH --open-mode=append

stopped=7

srun flow_train "$@" --restart auto
code=$?
if ((code == stopped)); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
