#!/bin/sh
# Fetches the update tool of this product into the folder that this script lies in. What
# is fetched takes its name only when it has the SHA-256 that stands here.
set -eu
# VALUES
ME=${0##*/}

usage() {
  cat <<END
Usage: $ME [OPTION]

Fetches the update tool ($NAME $VERSION) for this system into the folder of this script.

  -a, --all          fetch it for every system
  -c, --clean        remove the fetched files, after a question
      --force-clean  remove them without a question
  -v, --verbose      tell more
      --version      print the version of the tool that is fetched
  -h, --help         print this

Proxies are taken from http_proxy, https_proxy and no_proxy, certificate authorities of your
own from the file that UPLEVEL_CA_CERT names. Ends with 0 when it is done or there is nothing
for this system, else with 1.
END
}

# fail TEXT NEXT
fail() {
  printf '%s: %s\n' "$ME" "$1" >&2
  [ -z "${2:-}" ] || printf 'Next: %s\n' "$2" >&2
  exit 1
}

say() { printf '%s\n' "$*"; }

tell() { [ "$VERBOSE" = no ] || say "$*"; }

has() { command -v "$1" >/dev/null 2>&1; }

main() {
  ACTION=fetch VERBOSE=no PART=
  for option in "$@"; do
    case $option in
      -h | --help) usage && exit 0 ;;
      --version) say "$NAME $VERSION" && exit 0 ;;
      -v | --verbose) VERBOSE=yes ;;
      -a | --all) choose all ;;
      -c | --clean) choose clean ;;
      --force-clean) choose force-clean ;;
      *) fail "$option is no option." "$ME --help" ;;
    esac
  done
  CDPATH='' BIN=$(cd -P -- "$(dirname -- "$0")" && pwd) || fail "The folder of this script cannot be entered." "Look at its permissions."
  case $ACTION in
    clean | force-clean) clean ;;
    *) fetch_tools ;;
  esac
}

choose() {
  [ "$ACTION" = fetch ] || [ "$ACTION" = "$1" ] || fail "--$ACTION and --$1 exclude one another." "Give one of them."
  ACTION=$1
}

# product prints what the product calls itself.
product() {
  file=$BIN/../updates/product.txt
  [ -f "$file" ] || fail "Unable to identify the product: there is no $file." "Put this script into the bin folder of a product."
  line=
  IFS= read -r line <"$file" || [ -n "$line" ] || fail "Unable to identify the product: $file is empty or cannot be read." "Put NAME-VERSION into it."
  printf '%s\n' "$line" | tr -d '\r'
}

# system prints this system as the list names it.
system() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    MINGW* | MSYS* | CYGWIN*) os=windows ;;
    *) os=$(uname -s) ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
  esac
  printf '%s/%s\n' "$os" "$arch"
}

fetch_tools() {
  PRODUCT=$(product) || exit 1
  HERE=$(system)
  tell "$PRODUCT in $(dirname -- "$BIN"), on $HERE; update tool $NAME $VERSION from $SERVICE"
  if [ "$ACTION" != all ] && ! known "$HERE"; then
    say "NOTE: there is no update tool of $PRODUCT for $HERE. Update it on another system, or fetch the tools of all systems with --all."
    exit 0
  fi
  while read -r system file sum size path; do
    [ "$ACTION" = all ] || [ "$system" = "$HERE" ] || [ "$system" = any ] || continue
    get "$file" "$sum" "$size" "$SERVICE$path"
  done <<END
$FILES
END
}

# known SYSTEM: whether there is a tool for it.
known() {
  case "
$FILES" in
    *"
$1 "*) return 0 ;;
  esac
  return 1
}

# get FILE SHA256 SIZE URL
get() {
  if [ -f "$BIN/$1" ] && [ "$(sum_of "$BIN/$1")" = "$2" ]; then
    chmod 755 "$BIN/$1" || fail "$BIN/$1 cannot be made executable." "Run this as the user who owns the product's folder."
    say "$1 is there already."
    return
  fi
  PART=$BIN/.$1.partial-$$
  trap 'rm -f "$PART"' 0
  trap 'exit 1' 1 2 15
  (umask 077 && set -C && : >"$PART") 2>/dev/null || fail "$BIN cannot be written." "Run this as the user who owns the product's folder, on a disk that may be written."
  tell "Fetching $4 ($3 bytes)"
  download "$3" "$4" || fail "$1 could not be fetched from $SERVICE: see above." "Look at the network, the free disk space and the proxy (http_proxy, https_proxy, no_proxy), then run this again."
  got=$(sum_of "$PART") || fail "The SHA-256 of $1 could not be computed." "Install sha256sum, shasum or openssl."
  [ "$got" = "$2" ] || fail "What came for $1 is not what the vendor released: SHA-256 $got instead of $2. It was thrown away." "Look for a proxy that answers in place of $SERVICE; else get this script anew from your vendor."
  place "$BIN/$1" || fail "$1 could not be put into $BIN." "See whether a folder of that name is there, and who owns it."
  PART=
  say "$1 is fetched."
}

# place FILE: gives what was fetched its name, in place of what had it.
place() {
  [ ! -d "$1" ] && chmod 755 "$PART" && { sync "$PART" 2>/dev/null || sync; } && mv -f "$PART" "$1"
}

# sum_of FILE
sum_of() {
  if has sha256sum; then sum=$(sha256sum <"$1")
  elif has shasum; then sum=$(shasum -a 256 <"$1")
  elif has openssl; then sum=$(openssl dgst -sha256 -r <"$1")
  else return 1; fi
  printf '%s\n' "${sum%% *}"
}

# download SIZE URL: into PART, never much more than SIZE bytes.
download() (
  # As the tool itself does: http_proxy alone serves https addresses, too.
  if [ -z "${https_proxy:-}${HTTPS_PROXY:-}" ] && [ -n "${http_proxy:-}" ]; then
    https_proxy=$http_proxy
    export https_proxy
  fi
  ulimit -f $(($1 / 512 + 2)) 2>/dev/null || :
  if has curl; then
    set -- --fail --silent --show-error --location --proto =http,https --connect-timeout 30 --speed-limit 100 --speed-time 60 --retry 3 --output "$PART" "$2"
    [ -z "${UPLEVEL_CA_CERT:-}" ] || set -- --cacert "$UPLEVEL_CA_CERT" "$@"
    exec curl "$@" >&2
  fi
  if has wget; then
    set -- -q -T 60 -O "$PART" "$2"
    [ -z "${UPLEVEL_CA_CERT:-}" ] || set -- --ca-certificate="$UPLEVEL_CA_CERT" "$@"
    wget "$@" >&2 && exit 0
    printf 'wget ended with %s\n' $? >&2
    exit 1
  fi
  printf 'neither curl nor wget is here: install one of them, or copy %s into %s\n' "${2##*/}" "$BIN" >&2
  exit 1
)

clean() {
  there=
  while read -r system file rest; do
    [ ! -f "$BIN/$file" ] || there="$there $file"
  done <<END
$FILES
END
  if [ -z "$there" ]; then
    say "There is nothing to remove."
    exit 0
  fi
  if [ "$ACTION" = clean ]; then
    [ -t 0 ] || fail "There is no terminal to ask whether$there should be removed." "$ME --force-clean"
    printf 'Remove%s from %s? [y/N] ' "$there" "$BIN" >&2
    answer=
    read -r answer || :
    case $answer in
      y | Y | yes | Yes | YES) ;;
      *) say "Nothing was removed." && exit 0 ;;
    esac
  fi
  for file in $there; do
    rm -f -- "$BIN/$file" || fail "$file could not be removed." "Run this as the user who owns the product's folder."
    say "$file is removed."
  done
}

main "$@"
