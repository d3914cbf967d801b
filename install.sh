#!/usr/bin/env bash
# Installs Ampulla for the person who runs this, or for everyone when root does,
# and ends with the flagged packets of a bundled capture. Run it with --help.
set -euo pipefail

# ONNX Runtime comes from a package registry, through the registry's own client.
# Whatever a client brings is used only if the library itself has the SHA-256
# below; they were computed from these very packages. The project's release
# archives on GitHub are no source here: we have no checksum of theirs that we
# could vouch for. Who has such an archive can pass its library: --onnxruntime.
#
# The version is the newest that both registries have and that has no telemetry:
# from 1.29 on, ONNX Runtime for Linux reports to its makers over the network.
readonly ORT_VERSION=1.27.0
declare -rA ORT_SHA256=(
  [pip-x86_64]=b5c9d4f124d24707f514dad926dc181820807178855df1c528e3addb2dd0e6f7
  [pip-aarch64]=9275ef52956228686ae47b0219f67476a1148505084bdc5571e7bf1bf69b11f2
  [npm-x86_64]=d8aff4aa8abee8fb2abb2f2f2459ffc94461e781e41b9f7c072829dd0d470221
  [npm-aarch64]=c36bc200e7e6c093b8abb0b34590fbdd8c52fd3fb5e33795b9523ffdde2fce0f
)
readonly FILTER='ai.anomaly.score > 0.8'

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
yes='' uninstall='' library_only='' library_file=''
plugin=''        # where Wireshark finds it
work=''          # private scratch folder, removed at the end
pending=()       # "temporary<TAB>final" of files copied but not yet in place
new_dirs=()      # folders made by this run
committed=''     # set once the files are in place

usage() {
  cat <<'END'
Usage: ./install.sh [--yes] [--onnxruntime FILE]
       ./install.sh --uninstall [--yes]

Builds Ampulla and installs the program, its Wireshark plugin and ONNX Runtime,
then shows the flagged packets of a bundled capture. An ordinary user installs
below ~/.local, root for everyone below /usr/local and Wireshark's folder for
plugins. Run it again at any time: to update, or after an interruption.

  --yes               never ask; sudo is used only if it needs no password
  --onnxruntime FILE  use this libonnxruntime.so (1.24 or newer) instead
                      of fetching one
  --library-only      install nothing but ONNX Runtime (for make test)
  --uninstall         remove exactly the files that this script installed
  --help              this text

Example: ./install.sh --yes
END
}

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
note() { printf 'install: %s\n' "$*" >&2; }
hint() { printf 'install: hint: %s\n' "$*" >&2; }
die() {
  printf 'install: error: %s\n' "$1" >&2
  shift
  for h in "$@"; do hint "$h"; done
  exit 1
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --yes | -y) yes=1 ;;
      --uninstall) uninstall=1 ;;
      --library-only) library_only=1 ;;
      --onnxruntime)
        [[ ${2-} ]] || usage_error "--onnxruntime needs a file"
        library_file=$2
        shift
        ;;
      --onnxruntime=*) library_file=${1#*=} ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) usage_error "no such option: $1" ;;
    esac
    shift
  done
}

usage_error() {
  printf 'install: error: %s\n' "$1" >&2
  hint "./install.sh --help lists the options"
  exit 2
}

# choose_folders sets where things go. Wireshark's own folder is asked for later,
# as tshark may have to be installed first.
choose_folders() {
  if ((EUID == 0)); then
    prefix=/usr/local
    umask 022 # for everyone
  else
    [[ ${HOME-} ]] || die "HOME is not set, so there is no place to install to"
    prefix=$HOME/.local
  fi
  bin=$prefix/bin
  lib=$prefix/lib/ampulla
  manifest=$prefix/share/ampulla/installed
}

# cleanup leaves nothing half done: what was not put in place goes away, with the
# folders made for it.
cleanup() {
  local code=$? i
  trap - EXIT
  for i in "${pending[@]}"; do rm -f -- "${i%%$'\t'*}"; done
  if [[ ! $committed ]]; then
    for ((i = ${#new_dirs[@]} - 1; i >= 0; i--)); do
      rmdir -- "${new_dirs[i]}" 2>/dev/null || true
    done
    if ((code != 0)) && ((${#pending[@]} > 0)); then
      note "nothing was changed below $prefix"
    fi
  fi
  [[ ! $work ]] || rm -rf -- "$work"
  exit "$code"
}

# interrupted ends the script after a signal. The number is the exit code.
interrupted() {
  printf '\n' >&2
  note "interrupted"
  exit "$1"
}

catch_signals() {
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM HUP
}

# --- what the machine lacks ---------------------------------------------------

# missing_packages prints the Debian packages to install, one a line.
missing_packages() {
  if [[ ! $library_only ]]; then
    command -v tshark >/dev/null || echo tshark
    have_compiler || printf '%s\n' gcc libc6-dev
    command -v make >/dev/null || echo make
  fi
  [[ -e /etc/ssl/certs/ca-certificates.crt || -d /etc/pki/tls ]] || echo ca-certificates
  if ! library_is_here && [[ ! $library_file ]] && ! have_pip && ! command -v npm >/dev/null; then
    echo python3-pip
  fi
}

have_compiler() {
  command -v gcc >/dev/null && printf '#include <stdlib.h>\nint main(void){return 0;}\n' |
    gcc -x c -o /dev/null - 2>/dev/null
}

have_pip() { python3 -m pip --version >/dev/null 2>&1; }

# install_packages installs what is missing by apt. It asks before it uses sudo
# and prints each command first.
install_packages() {
  local packages=()
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]})) || return 0
  step "Packages"
  say "missing: ${packages[*]}"
  if ! command -v apt-get >/dev/null; then
    die "this is neither Debian nor Ubuntu, so the missing programs cannot be installed from here" \
      "install what corresponds to: ${packages[*]}; then run this again"
  fi
  # noninteractive answers tshark's question whether everyone may capture with
  # its default, no: reading captures needs no rights at all.
  local update=(apt-get update)
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}")
  if ((EUID != 0)); then
    update=(sudo "${update[@]}")
    get=(sudo "${get[@]}")
    consent "${update[*]}" "${get[*]}"
    if [[ $yes ]]; then
      update=("${update[0]}" -n "${update[@]:1}")
      get=("${get[0]}" -n "${get[@]:1}")
    fi
  else
    printf '  %s\n' "${update[*]}" "${get[*]}"
  fi
  "${update[@]}" >"$work/apt.log" 2>&1 ||
    note "apt-get update was not successful; trying with the package lists that are here"
  if ! "${get[@]}" >>"$work/apt.log" 2>&1; then
    tail -n 5 "$work/apt.log" >&2
    die "the packages could not be installed" "run yourself: ${get[*]}" "then run ./install.sh again"
  fi
  hash -r
  say "installed: ${packages[*]}"
}

# consent shows the commands to run with sudo and returns if they may be run. It
# ends the script otherwise, saying what to do by hand.
consent() {
  local refusal=
  if ! command -v sudo >/dev/null; then
    refusal="this needs root, and there is no sudo"
  elif [[ $yes ]]; then
    sudo -n true 2>/dev/null || refusal="this needs root, and sudo would ask for a password (or refuses), which --yes rules out"
  elif [[ ! -t 0 ]]; then
    refusal="this needs root, and without a terminal nobody can be asked (--yes does not ask)"
  fi
  say "to be run as root:"
  printf '  %s\n' "$@"
  if [[ ! $refusal ]]; then
    [[ ! $yes ]] || return 0
    if ! ask "Run them now?"; then
      refusal="not run, as you wish"
    elif sudo -v; then # asks for the password, if it has to
      return 0
    else
      refusal="sudo refuses"
    fi
  fi
  die "$refusal" "have these run as root, then run ./install.sh again:" "${@#sudo }"
}

ask() {
  local answer=
  read -r -p "$1 [y/N] " answer || true
  [[ $answer == [yY]* ]]
}

# find_go puts Go into PATH and makes sure that it is new enough.
find_go() {
  local need have dir
  need=$(awk '$1 == "go" { print $2 }' "$here/go.mod")
  if ! command -v go >/dev/null; then
    for dir in /usr/local/go/bin "${HOME-}/go/bin" "${HOME-}/sdk/go$need/bin" /usr/lib/go/bin; do
      if [[ -x $dir/go ]]; then PATH=$PATH:$dir; fi
    done
  fi
  command -v go >/dev/null ||
    die "Go is missing; $need or newer is needed" "https://go.dev/doc/install says how to install it in two minutes"
  have=$(go_version)
  if ! at_least "$have" "$need" && [[ ! ${GOTOOLCHAIN-} ]]; then
    # Debian tells Go to never fetch another toolchain; for this build it may.
    export GOTOOLCHAIN=auto
    have=$(go_version)
  fi
  at_least "$have" "$need" ||
    die "this is $have; Go $need or newer is needed" "https://go.dev/doc/install says how to install it in two minutes"
}

# go_version prints the version that would build this module, such as go1.26.1,
# or of the installed one where that cannot.
go_version() {
  (cd "$here" && go env GOVERSION 2>/dev/null) ||
    (cd / && go version 2>/dev/null | awk '{ print $3 }') || echo "an unknown version of Go"
}

at_least() { [[ $(printf '%s\n%s\n' "${1#go}" "$2" | sort -V | head -n 1) == "$2" ]]; }

# --- ONNX Runtime -------------------------------------------------------------

library_is_here() { known_library "$lib/libonnxruntime.so"; }

# known_library tells whether a file has one of the checksums above.
known_library() {
  [[ -f $1 ]] || return 1
  local sum
  sum=$(sha256sum <"$1")
  [[ " ${ORT_SHA256[*]} " == *" ${sum%% *} "* ]]
}

# provide_library puts the library into place unless it is there.
provide_library() {
  if [[ $library_file ]]; then
    [[ -r $library_file ]] || die "$library_file cannot be read"
    known_library "$library_file" || note "the checksum of $library_file is not one we know; using it as you asked"
    stage "$library_file" "$lib/libonnxruntime.so" 644
    return
  fi
  step "ONNX Runtime $ORT_VERSION"
  if library_is_here; then
    say "in $lib already"
    return
  fi
  local machine method
  machine=$(uname -m)
  [[ ${ORT_SHA256[pip-$machine]-} ]] ||
    die "no ONNX Runtime is known here for $machine" "build one, then: ./install.sh --onnxruntime FILE"
  for method in pip npm; do
    if "fetch_by_$method" "$machine" && checked "$method-$machine"; then
      stage "$work/libonnxruntime.so" "$lib/libonnxruntime.so" 644
      return
    fi
  done
  (($(df -Pk "$work" | awk 'NR == 2 { print $4 }') > 300000)) ||
    hint "there is little space left below ${TMPDIR:-/tmp}; TMPDIR=/another/folder ./install.sh uses another"
  die "ONNX Runtime could not be fetched, neither by pip nor by npm (is the network reachable?)" \
    "by hand, on a machine with network: python3 -m pip download --no-deps onnxruntime==$ORT_VERSION" \
    "unzip the wheel, then here: ./install.sh --onnxruntime onnxruntime/capi/libonnxruntime.so.$ORT_VERSION"
}

checked() {
  local sum
  sum=$(sha256sum <"$work/libonnxruntime.so")
  if [[ ${sum%% *} != "${ORT_SHA256[$1]}" ]]; then
    note "what ${1%%-*} brought has SHA-256 ${sum%% *}, not ${ORT_SHA256[$1]}; not used"
    return 1
  fi
}

# trouble prints the line of a log that says best what went wrong.
trouble() {
  { grep -oE '\[Errno [-0-9]+\] [A-Za-z ]+' "$1" || grep -iE 'error|no space' "$1" || tail -n 1 "$1"; } | head -n 1
}

# fetch_by_pip takes the library from the wheel. The wheel named here is taken
# whatever Python this machine has: all of a release hold the same library.
fetch_by_pip() {
  have_pip || return 1
  say "fetching it with pip"
  if ! python3 -m pip download --quiet --no-deps --no-cache-dir --disable-pip-version-check \
    --timeout 20 --retries 2 --only-binary=:all: --platform "manylinux_2_28_$1" \
    --implementation cp --python-version 3.11 --abi cp311 \
    --dest "$work/pip" "onnxruntime==$ORT_VERSION" >"$work/pip.log" 2>&1; then
    note "pip: $(trouble "$work/pip.log")"
    return 1
  fi
  python3 - "$work"/pip/*.whl "onnxruntime/capi/libonnxruntime.so.$ORT_VERSION" >"$work/libonnxruntime.so" <<'END'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as library:
    shutil.copyfileobj(library, sys.stdout.buffer)
END
}

# fetch_by_npm takes the library from the Node.js package, a larger download.
fetch_by_npm() {
  command -v npm >/dev/null || return 1
  local arch=x64
  if [[ $1 == aarch64 ]]; then arch=arm64; fi
  say "fetching it with npm (101 MB)"
  if ! (cd "$work" && npm pack --loglevel=error --fetch-retries=1 "onnxruntime-node@$ORT_VERSION" >npm.log 2>&1); then
    note "npm: $(trouble "$work/npm.log")"
    return 1
  fi
  tar -xzf "$work/onnxruntime-node-$ORT_VERSION.tgz" -O \
    "package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" >"$work/libonnxruntime.so"
}

# --- putting files into place -------------------------------------------------

# stage copies a file next to where it belongs, under a temporary name; commit
# then renames all of them. A full disk thus changes nothing.
stage() {
  local from=$1 to=$2 mode=$3 temporary
  if [[ -e $to ]] && ! ours "$to" && ! cmp -s "$from" "$to"; then
    die "$to is there already and was not installed by this script" "move it away, then run ./install.sh again"
  fi
  make_dir "$(dirname "$to")"
  temporary=$to.new.$$
  pending+=("$temporary"$'\t'"$to")
  if ! { cp -- "$from" "$temporary" && chmod "$mode" "$temporary"; } 2>"$work/error"; then
    die "cannot write $to: $(tail -n 1 "$work/error")"
  fi
}

make_dir() {
  [[ ! -d $1 ]] || return 0
  make_dir "$(dirname "$1")"
  mkdir -- "$1" 2>"$work/error" || die "cannot make the folder $1: $(tail -n 1 "$work/error")"
  new_dirs+=("$1")
}

# ours tells whether the manifest names a file.
ours() { [[ -f $manifest ]] && grep -qxF "file $1" "$manifest"; }

# commit writes the manifest, so that --uninstall knows even what an interruption
# here leaves, and then puts the files into place.
commit() {
  local entry dir
  ((${#pending[@]})) || return 0
  make_dir "$(dirname "$manifest")"
  {
    [[ ! -f $manifest ]] || cat -- "$manifest"
    for dir in "${new_dirs[@]}"; do printf 'dir %s\n' "$dir"; done
    for entry in "${pending[@]}"; do printf 'file %s\n' "${entry#*$'\t'}"; done
  } | awk '!seen[$0]++' >"$work/manifest"
  pending+=("$manifest.new.$$"$'\t'"$manifest")
  if ! cp -- "$work/manifest" "$manifest.new.$$" 2>"$work/error"; then
    die "cannot write $manifest: $(tail -n 1 "$work/error")"
  fi
  trap '' INT TERM HUP # a few renames are not worth an interruption
  committed=1
  mv -f -- "$manifest.new.$$" "$manifest"
  for entry in "${pending[@]}"; do
    [[ ${entry#*$'\t'} == "$manifest" ]] || mv -f -- "${entry%%$'\t'*}" "${entry#*$'\t'}"
  done
  catch_signals
}

# --- the parts ----------------------------------------------------------------

build() {
  step "Building (a minute or two the first time)"
  make -s -C "$here" build || die "the build was not successful, see above" \
    "the first build fetches Go modules: is the network reachable?"
  say "$("$here/bin/ampulla" --version)"
}

# lua_folder prints Wireshark's Personal or Global folder for Lua plugins.
lua_folder() { { tshark -G folders 2>/dev/null || true; } | sed -n "s/^$1 Lua Plugins:[[:space:]]*//p"; }

# plugin_folder prints where the plugin goes. Root's goes where all users have it:
# Wireshark 4.4 and newer skip root's personal plugins, and whoever installs as
# root means everyone.
plugin_folder() {
  if ((EUID == 0)); then lua_folder Global; else lua_folder Personal; fi
}

install_plugin() {
  local folder shared other
  folder=$(plugin_folder)
  shared=$(lua_folder Global)
  [[ $folder ]] || die "tshark -G folders names no folder for Lua plugins: was it built without Lua?" \
    "ampulla annotate works without; any Wireshark shows the comments that it writes"
  at_least "$(tshark --version 2>/dev/null | sed -n 's/^TShark (Wireshark) \([0-9.]*[0-9]\).*/\1/p')" 4.0 ||
    note "the plugin is made for Wireshark 4.0 and newer, this one is older"
  plugin=$folder/ampulla/ai.lua
  if ((EUID != 0)) && [[ -e $shared/ampulla/ai.lua ]]; then
    plugin=$shared/ampulla/ai.lua
    say "the plugin is installed for everyone, and Wireshark would run only that one: $plugin"
    cmp -s "$here/lua/ai.lua" "$plugin" || note "$plugin is another version than this one; root can update it"
    return
  fi
  other=$(grep -rlsE --include='*.lua' "Proto(\.new)? *\( *[\"']ai[\"']" "$folder" "$shared" |
    grep -vxF "$plugin" | head -n 1 || true)
  [[ ! $other ]] || note "there is another plugin for ai.* fields, and Wireshark runs but one: $other"
  stage "$here/lua/ai.lua" "$plugin" 644
}

# demonstrate runs the main job on a bundled capture, with what was installed.
demonstrate() {
  local capture=$here/testdata/captures/demo.pcapng
  step "Flagged packets of testdata/captures/demo.pcapng"
  "$bin/ampulla" annotate "$capture" "$work/demo.pcapng" ||
    die "the installed ampulla could not annotate $capture, see above"
  tshark -r "$work/demo.pcapng" -Y "$FILTER" -T fields -e frame.number -e ip.src -e ip.dst \
    -e ai.anomaly.score -e ai.anomaly.type -e ai.anomaly.reason >"$work/list" 2>"$work/error" || {
    grep -v '^Running as user' "$work/error" >&2 || true
    die "tshark does not know the ai.* fields" "the plugin is $plugin; see Troubleshooting in README.md"
  }
  [[ -s $work/list ]] || die "no packet of $capture is flagged; that is a defect, please report it"
  awk -F '\t' '
    { line[NR] = sprintf("%6s  %-15s  %-15s  %5.3f  %-12s  %s", $1, $2, $3, $4, $5, $6)
      total[$5]++
      if (!first[$2, $5]) shown[first[$2, $5] = NR]
      last[$2, $5] = NR }
    END {
      printf "%6s  %-15s  %-15s  %5s  %-12s  %s\n", "frame", "source", "destination", "score", "type", "reason"
      for (key in last) shown[last[key]]
      for (i = 1; i <= NR; i++) if (i in shown) print line[i]
      printf "\nThese are the first and the last of each source and type; in all %d packets are flagged:\n", NR
      for (type in total) printf "%6d  %s\n", total[type], type | "sort -rn"
    }' "$work/list"
}

finish() {
  step "Done"
  say "  program   $bin/ampulla"
  say "  plugin    $plugin"
  say "  library   $lib/libonnxruntime.so"
  say ""
  say "Now, with a capture of yours:"
  say "  ampulla annotate in.pcapng out.pcapng"
  say "  tshark -r out.pcapng -Y '$FILTER'"
  if [[ ":$PATH:" != *":$bin:"* ]]; then
    say ""
    say "$bin is not in your PATH. Until the next log-in, and for good:"
    say "  export PATH=\"$bin:\$PATH\""
    say "  echo 'export PATH=\"$bin:\$PATH\"' >> ~/.profile"
  fi
}

remove() {
  local kind path dirs=() count=0 i
  if [[ ! -f $manifest ]]; then
    say "nothing to remove: there is no $manifest (what root installed, only root removes)"
    return
  fi
  say "to be removed, as listed in $manifest:"
  sed -n 's/^file /  /p' "$manifest"
  if [[ ! $yes ]]; then
    [[ -t 0 ]] || die "without a terminal nobody can be asked" "./install.sh --uninstall --yes does not ask"
    ask "Remove them?" || die "nothing was removed"
  fi
  while read -r kind path; do
    case $kind in
      file) if [[ -e $path ]]; then rm -f -- "$path" && count=$((count + 1)); fi ;;
      dir) dirs+=("$path") ;;
    esac
  done <"$manifest"
  rm -f -- "$manifest"
  for ((i = ${#dirs[@]} - 1; i >= 0; i--)); do rmdir -- "${dirs[i]}" 2>/dev/null || true; done
  say "removed $count files. Debian packages that were installed for the build stay."
}

main() {
  parse_arguments "$@"
  choose_folders
  trap cleanup EXIT
  catch_signals
  if [[ $uninstall ]]; then
    remove
    return
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/ampulla-install.XXXXXX") || die "no temporary folder could be made"
  if [[ ! $library_only ]]; then find_go; fi
  install_packages
  if [[ $library_only ]]; then
    provide_library
    commit
    return
  fi
  build
  provide_library
  stage "$here/bin/ampulla" "$bin/ampulla" 755
  install_plugin
  commit
  demonstrate
  finish
}

main "$@"
