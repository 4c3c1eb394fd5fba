# The packages and the build in one place, for examples/demo.sh and test/run.sh, which source this file. Defines
# functions and `root`, the top of the source tree. It does nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian's names, for Debian 12 and Ubuntu 24.04 or later.
packages=(
  g++ meson ninja-build pkg-config python3
  libopenmpi-dev openmpi-bin libhdf5-openmpi-dev libopenblas-dev
  libfmt-dev libxsimd-dev librandom123-dev libcli11-dev libtomlplusplus-dev
  libboost-dev libboost-test-dev libssl-dev zlib1g-dev libzip-dev liblzma-dev libbz2-dev libzstd-dev python3-numpy python3-h5py
)

# install_packages [MORE...]: installs the packages that are missing, as root or with sudo. If it may not, it prints
# what to install and fails. On a system without Debian's packages it only prints what is needed.
install_packages() {
  local package missing=() as_root=()
  if ! command -v dpkg-query apt-get > /dev/null; then
    echo "Not a Debian system. Needed are what Debian calls ${packages[*]} $*." >&2
    return 0
  fi
  for package in "${packages[@]}" "$@"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) == *' installed' ]] || missing+=("$package")
  done
  ((${#missing[@]} == 0)) && return 0
  if ((EUID != 0)); then
    if ! sudo -n true 2> /dev/null && ! { [[ -t 0 ]] && command -v sudo > /dev/null; }; then
      echo "Packages are missing, and installing them needs root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# configure FOLDER [MESON OPTIONS...]: makes a build folder, unless the folder is one already.
configure() {
  local folder=$1
  shift
  [[ -f $folder/build.ninja ]] || meson setup "$@" "$folder" "$root"
}

# Containers run as root, which Open MPI refuses unless both variables are set.
allow_mpirun_as_root() {
  if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}
