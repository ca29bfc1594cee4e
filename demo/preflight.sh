#!/bin/sh
# Says in one line what this machine lacks for `make demo`, and how to get it.
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }

# waiting TEXT LOG COMMAND…: runs a command quietly and says every 3 s that it still runs.
waiting() {
  text=$1 log=$2
  shift 2
  "$@" >"$log" 2>&1 &
  pid=$!
  seconds=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    [ $((seconds % 3)) -ne 0 ] || echo "demo: … $text ($seconds s)"
  done
  wait "$pid"
}

command -v go >/dev/null 2>&1 || fail "Go 1.26 or newer is missing: install it from your system's packages or as its web site says, then run make demo again."
version=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
major=${version%%.*}; rest=${version#*.}; minor=${rest%%.*}
[ "$major" -gt 1 ] || [ "$minor" -ge 26 ] || fail "Go is $version, wanted is 1.26 or newer: install a newer Go, then run make demo again."

mkdir -p build
if ! command -v npm >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "demo: npm is missing: installing it with apt-get (a minute or two)"
    waiting "asking for packages" build/apt.log apt-get update &&
      waiting "installing npm" build/apt.log apt-get install -y --no-install-recommends npm ||
      fail "npm could not be installed: run apt-get install npm and look at what it says (build/apt.log)."
  else
    fail "npm is missing: run sudo apt-get install npm, then make demo again."
  fi
fi

mkdir -p build/demo-cache
free=$(df -Pk build | awk 'NR==2 {print $4}')
[ "$free" -ge 2000000 ] || fail "only $((free / 1024)) MB of disk are free here, the demo wants 2,000: free some, then run make demo again."

# A broken network shows here, in words of ours. The second time there is nothing to do.
if ! waiting "fetching Go modules" build/modules.log timeout 240 go mod download; then
  fail "the Go modules cannot be fetched: check the network or GOPROXY ($(tail -n 1 build/modules.log | cut -c1-200))."
fi
