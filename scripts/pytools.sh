#!/usr/bin/env bash
# The Python programs that tests run against us, in virtual environments of our
# own: bin/pytools, bin/ministack, bin/moto and bin/checkov, each made anew when its file in
# tools/python changes. Arguments: which of them, all where there are none.
set -euo pipefail
cd "$(dirname "$0")/.."

make_one() { # name, file of pinned packages
  local dir=bin/$1 want=tools/python/$2 stamp=bin/$1/requirements.txt log=bin/$1.log
  if cmp -s "$want" "$stamp" && [ -x "$dir/bin/python" ]; then return 0; fi
  if ! command -v python3 >/dev/null 2>&1; then
    echo "pytools: python3 was not found; the tests with a real TAXII server, PyMISP, botocore and the emulators of AWS need it" >&2
    return 1
  fi
  rm -rf "$dir"
  mkdir -p bin
  if ! python3 -m venv "$dir" >"$log" 2>&1; then # Debian keeps the module in a package of its own
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
      { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; } >>"$log" 2>&1 || return 1
      rm -rf "$dir"
      python3 -m venv "$dir" >>"$log" 2>&1 || return 1
    else
      echo "pytools: python3 has no venv module; install python3-venv ($log says more)" >&2
      return 1
    fi
  fi
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$want" >>"$log" 2>&1 || {
    tail -n 3 "$log" >&2
    rm -rf "$dir"
    echo "pytools: the pinned packages of $want could not be installed" >&2
    return 1
  }
  cp "$want" "$stamp"
}

if [ $# = 0 ]; then set -- pytools ministack moto checkov; fi
failed=0
for name in "$@"; do
  case $name in
  pytools) make_one pytools requirements.txt || failed=1 ;;
  ministack | moto | checkov) make_one "$name" "$name.txt" || failed=1 ;;
  *) echo "pytools: $name is none of pytools, ministack, moto, checkov" >&2 && exit 2 ;;
  esac
done
exit $failed
