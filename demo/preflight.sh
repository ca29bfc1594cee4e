#!/bin/sh
# Says in one line what this machine lacks for `make demo`, and how to get it.
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }

command -v go >/dev/null 2>&1 || fail "Go 1.26 or newer is missing: install it from your system's packages or as its web site says, then run make demo again."
version=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
major=${version%%.*}; rest=${version#*.}; minor=${rest%%.*}
[ "$major" -gt 1 ] || [ "$minor" -ge 26 ] || fail "Go is $version, wanted is 1.26 or newer: install a newer Go, then run make demo again."

if ! command -v npm >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "demo: npm is missing: installing it with apt-get (a minute or two)"
    mkdir -p build
    { apt-get update && apt-get install -y --no-install-recommends npm; } >build/apt.log 2>&1 ||
      fail "npm could not be installed: run apt-get install npm and look at what it says (build/apt.log)."
  else
    fail "npm is missing: run sudo apt-get install npm, then make demo again."
  fi
fi

mkdir -p build/demo-cache
free=$(df -Pk build | awk 'NR==2 {print $4}')
[ "$free" -ge 2000000 ] || fail "only $((free / 1024)) MB of disk are free here, the demo wants 2,000: free some, then run make demo again."

# Only the modules the three programs need, fetched quietly: a broken network shows here.
echo "demo: fetching Go modules (nothing to do the second time)"
if ! timeout 240 go mod download >build/modules.log 2>&1; then
  fail "the Go modules cannot be fetched: check the network or GOPROXY ($(tail -n 1 build/modules.log | cut -c1-200))."
fi
