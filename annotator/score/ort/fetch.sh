#!/usr/bin/env bash
# Fetches ONNX Runtime, for this machine or another, with its licences.
#
#   annotator/score/ort/fetch.sh PLATFORM FOLDER   linux-x86_64, linux-aarch64 or windows-x86_64
#   annotator/score/ort/fetch.sh --known FILE      exit code 0 if the library is one of ours
#
# It comes from a package registry, through the registry's own client. Whatever a
# client brings is used only if the library itself has the SHA-256 below; they
# were computed from these very packages. The project's release archives on
# GitHub are no source here: we have no checksum of theirs that we could vouch for.
#
# The version is the newest that both registries have and that has no telemetry:
# from 1.29 on, ONNX Runtime for Linux reports to its makers over the network.
set -euo pipefail

readonly VERSION=1.27.0
declare -rA SHA256=(
  [pip-linux-x86_64]=b5c9d4f124d24707f514dad926dc181820807178855df1c528e3addb2dd0e6f7
  [pip-linux-aarch64]=9275ef52956228686ae47b0219f67476a1148505084bdc5571e7bf1bf69b11f2
  [pip-windows-x86_64]=7b9ef55ecaa67ea48e7b0cbe06c926a2046510eef45bbddc35bb9b02f6de3f81
  [npm-linux-x86_64]=d8aff4aa8abee8fb2abb2f2f2459ffc94461e781e41b9f7c072829dd0d470221
  [npm-linux-aarch64]=c36bc200e7e6c093b8abb0b34590fbdd8c52fd3fb5e33795b9523ffdde2fce0f
)
# What pip calls the platforms.
declare -rA WHEEL=(
  [linux-x86_64]=manylinux_2_28_x86_64
  [linux-aarch64]=manylinux_2_28_aarch64
  [windows-x86_64]=win_amd64
)

note() { printf 'onnxruntime: %s\n' "$*" >&2; }
hint() { printf 'onnxruntime: hint: %s\n' "$*" >&2; }

sum_of() {
  local sum
  sum=$(sha256sum <"$1")
  printf '%s' "${sum%% *}"
}

# trouble prints the line of a log that says best what went wrong.
trouble() {
  { grep -oE '\[Errno [-0-9]+\] [A-Za-z ]+' "$1" || grep -iE 'error|no space' "$1" || tail -n 1 "$1"; } | head -n 1
}

# fetch_by_pip takes the library from the wheel. The wheel named here is taken
# whatever Python this machine has: all of a release hold the same library.
fetch_by_pip() {
  python3 -m pip --version >/dev/null 2>&1 || return 1
  echo "fetching ONNX Runtime $VERSION for $platform with pip"
  if ! python3 -m pip download --quiet --no-deps --no-cache-dir --disable-pip-version-check \
    --timeout 20 --retries 2 --only-binary=:all: --platform "${WHEEL[$platform]}" \
    --implementation cp --python-version 3.11 --abi cp311 \
    --dest "$work/pip" "onnxruntime==$VERSION" >"$work/pip.log" 2>&1; then
    note "pip: $(trouble "$work/pip.log")"
    return 1
  fi
  local inside=capi/libonnxruntime.so.$VERSION
  if [[ $library == *.dll ]]; then inside=capi/$library; fi
  python3 - "$work"/pip/*.whl "$work" "$inside=$library" LICENSE=LICENSE ThirdPartyNotices.txt=ThirdPartyNotices.txt <<'END'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for pair in sys.argv[3:]:
        name, to = pair.split("=")
        with wheel.open("onnxruntime/" + name) as source, open(sys.argv[2] + "/" + to, "wb") as target:
            shutil.copyfileobj(source, target)
END
}

# fetch_by_npm takes the library from the Node.js package, a larger download.
fetch_by_npm() {
  command -v npm >/dev/null && [[ $platform == linux-* ]] || return 1
  local arch=x64
  if [[ $platform == *-aarch64 ]]; then arch=arm64; fi
  echo "fetching ONNX Runtime $VERSION for $platform with npm (101 MB)"
  if ! (cd "$work" && npm pack --loglevel=error --fetch-retries=1 "onnxruntime-node@$VERSION" >npm.log 2>&1); then
    note "npm: $(trouble "$work/npm.log")"
    return 1
  fi
  tar -xzf "$work/onnxruntime-node-$VERSION.tgz" -O \
    "package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" >"$work/$library"
  tar -xzf "$work/onnxruntime-node-$VERSION.tgz" -C "$work" --strip-components=1 package/LICENSE package/ThirdPartyNotices.txt 2>/dev/null || true
}

checked() {
  local sum
  sum=$(sum_of "$work/$library")
  if [[ $sum != "${SHA256[$1]}" ]]; then
    note "what ${1%%-*} brought has SHA-256 $sum, not ${SHA256[$1]}; not used"
    return 1
  fi
}

if [[ ${1-} == --known ]]; then
  [[ -f ${2-} && " ${SHA256[*]} " == *" $(sum_of "$2") "* ]]
  exit
fi

platform=${1-} folder=${2-}
if [[ ! ${WHEEL[$platform]-} || ! $folder ]]; then
  note "no ONNX Runtime is known here for '$platform'; there are: ${!WHEEL[*]}"
  exit 2
fi
library=libonnxruntime.so
if [[ $platform == windows-* ]]; then library=onnxruntime.dll; fi
work=$(mktemp -d "${TMPDIR:-/tmp}/ampulla-onnxruntime.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

for method in pip npm; do
  if "fetch_by_$method" && checked "$method-$platform"; then
    mkdir -p "$folder"
    for file in "$library" LICENSE ThirdPartyNotices.txt; do
      if [[ -f $work/$file ]]; then install -m 644 "$work/$file" "$folder/$file"; fi
    done
    exit 0
  fi
done
(($(df -Pk "$work" | awk 'NR == 2 { print $4 }') > 300000)) ||
  hint "there is little space left below ${TMPDIR:-/tmp}; TMPDIR=/another/folder uses another"
note "ONNX Runtime could not be fetched, neither by pip nor by npm (is the network reachable?)"
hint "by hand, on a machine with network: python3 -m pip download --no-deps onnxruntime==$VERSION"
hint "unzip the wheel, then here: ./install.sh --onnxruntime onnxruntime/capi/libonnxruntime.so.$VERSION"
exit 1
