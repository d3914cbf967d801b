#!/usr/bin/env bash
# Installs Ampulla for the person who runs this, or for everyone when root does,
# and ends with the flagged packets of a bundled capture. Run it with --help.
set -euo pipefail

readonly FILTER='ai.anomaly.score > 0.8'

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here fetch=$here/annotator/score/ort/fetch.sh
yes='' uninstall='' library_only='' library_file=''
library=''       # the libonnxruntime.so to install, if there is not one already
work=''          # private scratch folder, removed at the end

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

# choose_folders sets where things go; Wireshark's own folders are the program's
# business.
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

cleanup() {
  local code=$?
  trap - EXIT
  [[ ! $work ]] || rm -rf -- "$work"
  exit "$code"
}

# interrupted ends the script after a signal. The number is the exit code.
interrupted() {
  printf '\n' >&2
  note "interrupted"
  exit "$1"
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

library_is_here() { "$fetch" --known "$lib/libonnxruntime.so"; }

# provide_library finds the library to install, unless it is in place.
provide_library() {
  if [[ $library_file ]]; then
    [[ -r $library_file ]] || die "$library_file cannot be read"
    "$fetch" --known "$library_file" || note "the checksum of $library_file is not one we know; using it as you asked"
    library=$library_file
    return
  fi
  step "ONNX Runtime"
  if library_is_here; then
    say "in $lib already"
    return
  fi
  "$fetch" "linux-$(uname -m)" "$work/onnxruntime" || die "there is no ONNX Runtime to install, see above" \
    "./install.sh --onnxruntime FILE takes one that you brought"
  library=$work/onnxruntime/libonnxruntime.so
}

# --- the parts ----------------------------------------------------------------

build() {
  step "Building (a minute or two the first time)"
  make -s -C "$here" build || die "the build was not successful, see above" \
    "the first build fetches Go modules: is the network reachable?"
  say "$("$here/bin/ampulla" --version)"
}

# install_files puts everything in place, or nothing: the program does that for
# itself, and keeps the manifest.
install_files() {
  step "Installing"
  mkdir "$work/from"
  ln -s "$here"/bin/* "$work/from"
  [[ ! $library ]] || ln -s "$(realpath "$library")" "$work/from/libonnxruntime.so"
  "$here/bin/ampulla" plugin install --with-program --from "$work/from" ||
    die "nothing was changed" "when that is mended, run ./install.sh again"
}

# install_library installs nothing but ONNX Runtime.
install_library() {
  local target=$lib/libonnxruntime.so made=()
  [[ $library ]] || return 0
  make_dir "$lib"
  make_dir "$(dirname "$manifest")"
  { ((${#made[@]} == 0)) || printf 'dir %s\n' "${made[@]}"; } >>"$manifest"
  grep -qxF "file $target" "$manifest" || printf 'file %s\n' "$target" >>"$manifest"
  install -m 644 "$library" "$target.new"
  mv -f "$target.new" "$target"
}

# make_dir makes a folder and those above it, and notes them in made.
make_dir() {
  [[ ! -d $1 ]] || return 0
  make_dir "$(dirname "$1")"
  mkdir -- "$1"
  made+=("$1")
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
    die "tshark does not know the ai.* fields" "$bin/ampulla doctor says what is wrong"
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
  say "Now, with a capture of yours, or in Wireshark:"
  say "  tshark -r in.pcapng -Y '$FILTER'"
  say "To keep the verdicts in a file, for those who have no Ampulla:"
  say "  ampulla annotate in.pcapng out.pcapng"
  if [[ ":$PATH:" != *":$bin:"* ]]; then
    say ""
    say "$bin is not in your PATH. Until the next log-in, and for good:"
    say "  export PATH=\"$bin:\$PATH\""
    say "  echo 'export PATH=\"$bin:\$PATH\"' >> ~/.profile"
  fi
}

# present prints how many of the files there are.
present() {
  local path count=0
  for path; do
    if [[ -e $path || -L $path ]]; then count=$((count + 1)); fi
  done
  echo "$count"
}

# changed prints which files of the profile are no longer what was installed.
changed() {
  local sum path
  while read -r _ sum path; do
    [[ ! -f $path || $(sha256sum <"$path") == "$sum "* ]] || printf '%s\n' "$path"
  done < <(grep '^sum ' "$manifest")
}

remove() {
  local files=() listed=() dirs=() kept='' before
  if [[ ! -f $manifest ]]; then
    say "nothing to remove: there is no $manifest (what root installed, only root removes)"
    return
  fi
  mapfile -t listed < <(sed -n 's/^file //p' "$manifest")
  say "to be removed, as listed in $manifest (what you changed of the profile stays):"
  printf '  %s\n' "${listed[@]}"
  if [[ ! $yes ]]; then
    [[ -t 0 ]] || die "without a terminal nobody can be asked" "./install.sh --uninstall --yes does not ask"
    ask "Remove them?" || die "nothing was removed"
  fi
  before=$(present "${listed[@]}")
  # The program ends what systemd has started, and knows what users have changed;
  # the manifest lists the rest afterwards.
  "$bin/ampulla" plugin remove >/dev/null 2>&1 || true
  if [[ -f $manifest ]]; then
    kept=$(changed) # the program may be gone already
    mapfile -t files < <(sed -n 's/^file //p' "$manifest" | grep -vxF -- "$kept" || true)
    mapfile -t dirs < <(sed -n 's/^dir //p' "$manifest" | sort -r) # the inner ones first
    rm -f -- "$manifest" "${files[@]}"
    ((${#dirs[@]} == 0)) || rmdir -- "${dirs[@]}" 2>/dev/null || true
  fi
  say "removed $((before - $(present "${listed[@]}"))) files. Debian packages that were installed for the build stay."
}

main() {
  parse_arguments "$@"
  choose_folders
  trap cleanup EXIT
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM HUP
  if [[ $uninstall ]]; then
    remove
    return
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/ampulla-install.XXXXXX") || die "no temporary folder could be made"
  if [[ ! $library_only ]]; then find_go; fi
  install_packages
  if [[ $library_only ]]; then
    provide_library
    install_library
    return
  fi
  build
  provide_library
  install_files
  demonstrate
  finish
}

main "$@"
