#!/usr/bin/env bash
# Builds what users install, into dist/:
#
#   ampulla_<version>_<arch>.deb, ampulla-<version>.<arch>.rpm    Linux, amd64 and arm64
#   ampulla-<version>-linux-<arch>.tar.gz                         the same, to unpack anywhere
#   ampulla-<version>.tar.gz, ampulla.rb                          sources and their Homebrew formula
#   ampulla-<version>-windows-amd64.zip                           annotate and report only
#   SHA256SUMS
#
# packaging/make.sh [linux-amd64] [linux-arm64] [source] [windows-amd64]; all if
# none is named. $HOMEPAGE is where they will be offered; without it the formula
# takes the sources from dist/. Runs on Debian 12 amd64: older systems lack a cross
# compiler, newer ones have a newer glibc, which the packages would then ask for.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NFPM=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
version=${VERSION:?is set by make}
dist=$PWD/dist
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# Compilers by GOOS-GOARCH, and the Debian packages that they come with.
declare -rA COMPILER=(
  [linux-amd64]=x86_64-linux-gnu-gcc [linux-arm64]=aarch64-linux-gnu-gcc [windows-amd64]=x86_64-w64-mingw32-gcc
)
declare -rA COMPILER_PACKAGE=(
  [linux-amd64]=gcc [linux-arm64]='gcc-aarch64-linux-gnu libc6-dev-arm64-cross' [windows-amd64]=gcc-mingw-w64-x86-64
)
declare -rA MACHINE=([amd64]=x86_64 [arm64]=aarch64)

step() { printf '\n== %s\n' "$*"; }
die() { printf 'packages: error: %s\n' "$*" >&2; exit 1; }

need() {
  command -v "$1" >/dev/null || die "$1 is missing; as root: apt-get install -y $2"
}

# build OS ARCH OUTPUT PACKAGE [FLAG...] compiles one program, with cgo unless
# CGO_ENABLED is 0.
build() {
  local os=$1 arch=$2 output=$3 package=$4
  shift 4
  GOOS=$os GOARCH=$arch CGO_ENABLED=${CGO_ENABLED:-1} CC=${COMPILER[$os-$arch]} \
    go build -buildvcs=false -trimpath "$@" -ldflags "-s -w -X main.version=$version" -o "$output" "$package"
}

# documents OS ARCH FOLDER puts there what comes with every package: how to use it, a
# capture to try it on, and the licences of all that was linked in.
documents() {
  local folder=$3
  mkdir -p "$folder"
  cp README.md CHANGELOG.md LICENSE "$folder"
  cp lua/README.md "$folder/RECEIVED.md"
  cp models/CARD.md "$folder/MODELS.md"
  cp testdata/captures/demo.pcapng "$folder"
  {
    echo "Ampulla is licensed as LICENSE says. What follows are the licences of what was"
    echo "linked into it; ONNX Runtime, a library beside it, has files of its own."
    printf '\n==== Go\n\n'
    cat "$(go env GOROOT)/LICENSE"
    GOOS=$1 GOARCH=$2 CGO_ENABLED=1 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' \
      ./annotator ./extcap ./lua/native | sort -u | while read -r module release dir; do
      printf '\n==== %s %s\n\n' "$module" "$release"
      find "$dir" -maxdepth 1 -type f -iname 'LICENSE*' -o -maxdepth 1 -type f -iname 'NOTICE*' | sort | xargs cat
    done
  } >"$folder/THIRD-PARTY.txt"
}

# linux ARCH makes the tree of a package, and packs it in three ways.
linux() {
  local arch=$1 tree=$dist/tree/linux-$1
  local lib=$tree/lib/ampulla doc=$tree/share/doc/ampulla
  step "Linux $arch"
  need "${COMPILER[linux-$arch]}" "${COMPILER_PACKAGE[linux-$arch]}"
  rm -rf "$tree"
  mkdir -p "$tree/bin" "$lib"
  build linux "$arch" "$tree/bin/ampulla" ./annotator
  build linux "$arch" "$lib/ampulla-native.so" ./lua/native -buildmode=c-shared
  rm "$lib/ampulla-native.h"
  CGO_ENABLED=0 build linux "$arch" "$lib/ampulla-extcap" ./extcap
  annotator/score/ort/fetch.sh "linux-${MACHINE[$arch]}" "$dist/onnxruntime-$arch"
  cp "$dist/onnxruntime-$arch/libonnxruntime.so" "$lib"
  documents linux "$arch" "$doc"
  for file in LICENSE ThirdPartyNotices.txt; do
    cp "$dist/onnxruntime-$arch/$file" "$doc/onnxruntime-$file"
  done
  { cat LICENSE; printf '\nSee THIRD-PARTY.txt and onnxruntime-* for what comes with it.\n'; } >"$doc/copyright"
  permissions "$tree"

  for packager in deb rpm; do
    ARCH=$arch VERSION=$version TREE=$tree GLIBC=$(glibc "$tree"/bin/* "$lib"/*) HOMEPAGE=${HOMEPAGE-} \
      go run "$NFPM" package --config packaging/nfpm.yaml --packager "$packager" --target "$dist/"
  done
  local name=ampulla-$version-linux-$arch
  pack "$tree" "$name" | gzip -n >"$dist/$name.tar.gz"
  echo "$dist/$name.tar.gz"
}

permissions() {
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f -exec chmod 644 {} +
  find "$1" -type f \( -path '*/bin/*' -o -name ampulla-extcap \) -exec chmod 755 {} +
}

# pack FOLDER NAME writes the folder as a tar archive, in which it is called NAME.
pack() {
  tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --transform "s,^\.,$2," -cf - .
}

# glibc FILE... prints the newest version of glibc that the files ask for.
glibc() { readelf -VW "$@" | grep -oE 'GLIBC_[0-9.]+' | sed s/GLIBC_// | sort -Vu | tail -n 1; }

# source_code packs the sources, and writes the formula that builds them.
source_code() {
  local name=ampulla-$version
  step "Sources and Homebrew formula"
  git archive --format=tar --prefix="$name/" HEAD | gzip -n >"$dist/$name.tar.gz"
  sed -e "s|@VERSION@|$version|" -e "s|@SHA256@|$(sha256sum <"$dist/$name.tar.gz" | cut -d' ' -f1)|" \
    -e "s|@HOMEPAGE@|${HOMEPAGE:-file://$dist}|g" packaging/ampulla.rb >"$dist/ampulla.rb"
  echo "$dist/$name.tar.gz" "$dist/ampulla.rb"
}

windows() {
  local name=ampulla-$version-windows-amd64 tree=$dist/tree/windows-amd64
  step "Windows amd64"
  need "${COMPILER[windows-amd64]}" "${COMPILER_PACKAGE[windows-amd64]}"
  need zip zip
  rm -rf "$tree"
  mkdir -p "$tree/$name/plugins" "$tree/$name/profiles"
  build windows amd64 "$tree/$name/ampulla.exe" ./annotator
  annotator/score/ort/fetch.sh windows-x86_64 "$dist/onnxruntime-windows"
  cp "$dist/onnxruntime-windows/onnxruntime.dll" "$tree/$name"
  cp lua/ai.lua lua/ai_menu.lua "$tree/$name/plugins"
  cp -r lua/profile/AI "$tree/$name/profiles"
  documents windows amd64 "$tree/$name/doc"
  for file in LICENSE ThirdPartyNotices.txt; do
    cp "$dist/onnxruntime-windows/$file" "$tree/$name/doc/onnxruntime-$file"
  done
  cp packaging/windows.txt "$tree/$name/READ-ME-FIRST.txt"
  find "$tree" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
  rm -f "$dist/$name.zip"
  (cd "$tree" && find "$name" -type f | LC_ALL=C sort | zip -q -X -@ "$dist/$name.zip")
  echo "$dist/$name.zip"
}

mkdir -p "$dist"
(($#)) || set -- linux-amd64 linux-arm64 source windows-amd64
for what; do
  case $what in
    linux-*) linux "${what#linux-}" ;;
    source) source_code ;;
    windows-amd64) windows ;;
    *) die "no such package: $what" ;;
  esac
done
rm -rf "$dist/tree"
(cd "$dist" && sha256sum -- *.deb *.rpm *.tar.gz *.zip 2>/dev/null >SHA256SUMS || true)
