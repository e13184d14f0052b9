#!/usr/bin/env bash
# The Python programs that tests run against us, in a virtual environment of our
# own: bin/pytools, made anew when tools/python/requirements.txt changes.
set -euo pipefail
cd "$(dirname "$0")/.."
want=tools/python/requirements.txt dir=bin/pytools stamp=bin/pytools/requirements.txt
if cmp -s "$want" "$stamp" && [ -x "$dir/bin/python" ]; then exit 0; fi
if ! command -v python3 >/dev/null 2>&1; then
  echo "pytools: python3 was not found; the tests with a real TAXII server, PyMISP and botocore need it" >&2
  exit 1
fi
rm -rf "$dir"
mkdir -p bin
if ! python3 -m venv "$dir" >bin/pytools.log 2>&1; then # Debian keeps the module in a package of its own
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; } >>bin/pytools.log 2>&1
    rm -rf "$dir"
    python3 -m venv "$dir" >>bin/pytools.log 2>&1
  else
    echo "pytools: python3 has no venv module; install python3-venv (bin/pytools.log says more)" >&2
    exit 1
  fi
fi
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$want" >>bin/pytools.log 2>&1 || {
  tail -n 3 bin/pytools.log >&2
  rm -rf "$dir"
  echo "pytools: the pinned packages of $want could not be installed" >&2
  exit 1
}
cp "$want" "$stamp"
