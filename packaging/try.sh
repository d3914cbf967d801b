#!/usr/bin/env bash
# Tries in a fresh Debian what a user does: installs, walks through README.md's tour,
# asks the doctor, removes, and wants everything as it was.
#
#   packaging/try.sh deb bookworm      the .deb in dist/, as root and as a user
#   packaging/try.sh rpm bookworm      the .rpm, by rpm itself: its scripts, not its dependencies
#   packaging/try.sh archive bookworm  the .tar.gz, as a user
#   packaging/try.sh source trixie     ./install.sh in a clean clone, as for deb
#
# Needs root, debootstrap, git and the network. The fresh systems are kept in
# $XDG_CACHE_HOME/ampulla-roots; removing that folder undoes everything.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?deb, rpm, archive or source} suite=${2:?which Debian release}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ampulla-roots

die() { printf 'try: error: %s\n' "$*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }
((EUID == 0)) || die "needs root"
command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install -y debootstrap"

# as USER COMMAND runs a shell command in the fresh system, in a log-in of the user.
as() {
  chroot "$root" env -i LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive su - "$1" -c "$2"
}

# make_root makes the fresh system, from a copy that is made once.
make_root() {
  local mirror
  # shellcheck disable=SC2016 # apt-get expands these
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's!^Debian \(.*/debian/\)$!\1!p' | sort -u | head -n 1)
  mkdir -p "$cache"
  if [[ ! -e $cache/$suite.tar ]]; then
    step "A Debian $suite (once)"
    rm -rf "$cache/$suite.new"
    debootstrap --variant=minbase "$suite" "$cache/$suite.new" "${mirror:-http://deb.debian.org/debian}" >"$cache/$suite.log"
    tar -C "$cache/$suite.new" -cf "$cache/$suite.tar.new" .
    rm -rf "$cache/$suite.new"
    mv "$cache/$suite.tar.new" "$cache/$suite.tar"
  fi
  root=$(mktemp -d "$cache/try.XXXXXX")
  chmod 755 "$root"
  tar -C "$root" -xf "$cache/$suite.tar"
}

# enter mounts what the system needs, in a namespace of this process's own.
enter() {
  mount -t proc none "$root/proc"
  mount --rbind /dev "$root/dev"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  for file in /etc/apt/apt.conf.d/*; do # how to get at the mirror from here
    if grep -q Acquire "$file"; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi
  done
  # Any Debian that was installed has adduser, which wireshark-common calls.
  as root "apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends adduser >/dev/null 2>&1 && useradd --create-home --shell /bin/bash me"
}

# files FOLDER... lists what there is, with modes and checksums; packages' caches and
# logs aside, and what Go keeps.
files() {
  chroot "$root" find "$@" -xdev \( -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /tmp \
    -o -path '/home/me/ampulla' -o -path '/home/me/.cache' -o -path '/home/me/.config/go' -o -path /proc -o -path /dev -o -path /run -o -path /work -o -path /etc/ld.so.cache \) -prune -o -printf '%p %M %u ' \
    \( -type f -exec sha256sum {} \; -o -printf '\n' \) | sed 's/ [^ ]*$//' | sort
}

# well USER wants the doctor to find nothing wrong.
well() {
  as "$1" "ampulla doctor" || die "the doctor is not content with $1's"
}

# unwell USER wants the doctor to miss nothing but the right to capture, and mends that.
unwell() {
  local wrong mend
  wrong=$(as "$1" "ampulla doctor --json || true" 2>/dev/null | jq -r '.sections[].findings[] | select(.mend) | .mend')
  [[ $wrong == *"usermod -aG wireshark $1"* && $(wc -l <<<"$wrong") == 1 ]] || die "the doctor says: $wrong"
  mend=${wrong//sudo /}
  step "The doctor's advice: $wrong"
  as root "$mend"
}

# tour USER FOLDER has a user walk through the tour, in a folder with the captures.
tour() {
  step "The tour, as $1"
  as "$1" "cd $2 && bash /work/packaging/tour.sh /work/README.md"
}

listed() {
  as "$1" "tshark -G fields" 2>/dev/null | grep -q $'\tai.anomaly.score\t' || die "tshark knows no ai.* fields"
  as "$1" "tshark -D" 2>/dev/null | grep -q 'ai (AI capture)' || die "tshark does not list AI capture"
}

try_deb() {
  local debs=(dist/ampulla_*_amd64.deb) before
  [[ -e ${debs[0]} ]] || die "there is no package in dist; make packages builds it"
  cp "${debs[-1]}" "$root/tmp/ampulla.deb"
  chmod 644 "$root/tmp/ampulla.deb"
  step "tshark"
  as root "apt-get install -y -q --no-install-recommends tshark" >/dev/null
  before=$(files /)
  step "The package"
  as root "apt-get install -y -q --no-install-recommends /tmp/ampulla.deb" | tail -n 4
  listed root
  listed me
  well root
  unwell me
  well me
  mkdir -p "$root/home/me/testdata/captures"
  cp "$root/usr/share/doc/ampulla/demo.pcapng" "$root/home/me/testdata/captures"
  chroot "$root" chown -R me: /home/me/testdata
  tour me /home/me
  step "An update of Wireshark"
  rm -r "$root"/usr/lib/x86_64-linux-gnu/wireshark/plugins/ampulla
  as root "apt-get install -y -q --reinstall tshark" >/dev/null
  well root
  step "Removing"
  as root "gpasswd -d me wireshark; apt-get purge -y -q ampulla" >/dev/null
  rm -r "$root"/home/me/{testdata,annotated.pcapng,original.pcapng}
  same "$before" /
}

# try_rpm has rpm do without what it does not know of, dpkg's packages.
try_rpm() {
  local rpms=(dist/ampulla-*.x86_64.rpm) before
  [[ -e ${rpms[0]} ]] || die "there is no package in dist; make packages builds it"
  cp "${rpms[-1]}" "$root/tmp/ampulla.rpm"
  step "tshark and rpm"
  as root "apt-get install -y -q --no-install-recommends tshark libstdc++6 rpm" >/dev/null
  as root "rpm --force-debian -qa" >/dev/null # makes its database
  before=$(files /usr /etc /var /home)
  step "The package"
  as root "rpm --force-debian --nodeps -i /tmp/ampulla.rpm"
  listed root
  well root
  step "An update"
  as root "rpm --force-debian --nodeps --force -U /tmp/ampulla.rpm"
  well root
  step "Removing"
  as root "rpm --force-debian -e ampulla"
  same "$before" /usr /etc /var /home
}

try_archive() {
  local archives=(dist/ampulla-*-linux-amd64.tar.gz) before
  [[ -e ${archives[0]} ]] || die "there is no archive in dist; make packages builds it"
  step "tshark"
  as root "apt-get install -y -q --no-install-recommends tshark" >/dev/null
  before=$(files /)
  step "The archive"
  mkdir -p "$root/home/me/archive" "$root/home/me/testdata/captures"
  tar -C "$root/home/me/archive" --strip-components 1 -xf "${archives[-1]}"
  cp "$root/home/me/archive/share/doc/ampulla/demo.pcapng" "$root/home/me/testdata/captures"
  chroot "$root" chown -R me: /home/me/archive /home/me/testdata
  as me "archive/bin/ampulla plugin install --with-program"
  rm -r "$root/home/me/archive"
  listed me
  unwell me
  well me
  tour me /home/me
  step "Removing"
  as me "ampulla plugin remove --with-program"
  as root "gpasswd -d me wireshark" >/dev/null
  rm -r "$root"/home/me/{testdata,annotated.pcapng,original.pcapng}
  same "$before" /
}

# same BEFORE FOLDER... wants nothing there but what there was.
same() {
  local before=$1 left
  shift
  left=$(diff <(printf '%s\n' "$before") <(files "$@") | grep -vE '/etc/group-?|/etc/gshadow-?|/usr/bin/dumpcap|^[0-9,acd]+$|^---$' || true)
  [[ ! $left ]] || die "it is not as it was: $left"
}

# ours leaves what may be Ampulla's of a list of files; Debian's python3 makes a folder
# of its own in /usr/local.
ours() { grep -iE 'ampulla|/usr/local' | grep -v '^/usr/local/lib/python' || true; }

try_source() {
  local before left user
  step "What install.sh needs"
  mkdir -p "$root/usr/local/go" "$root/mod" "$root/home/me/ampulla"
  mount --bind -o ro "$(go env GOROOT)" "$root/usr/local/go"
  mount --bind -o ro "$(go env GOMODCACHE)" "$root/mod"
  as root "apt-get install -y -q --no-install-recommends git jq ca-certificates" >/dev/null
  for file in /etc/pip.conf "$HOME/.npmrc"; do
    [[ ! -e $file ]] || cp "$file" "$root/etc/"
  done
  if [[ ${PIP_CERT-} ]]; then # this machine reaches registries by way of somebody
    cp "$PIP_CERT" "$root/etc/pip.crt"
    printf 'export PIP_CERT=/etc/pip.crt\n' >"$root/etc/profile.d/pip.sh"
  fi
  git clone -q . "$root/home/me/ampulla"
  cp -r "$root/home/me/ampulla" "$root/root/ampulla"
  chroot "$root" chown -R me: /home/me
  printf 'export PATH=$PATH:/usr/local/go/bin GOMODCACHE=/mod GOPROXY=off\n' >"$root/etc/profile.d/go.sh"
  for user in root me; do # root's installs what me's cannot
    step "install.sh, as $user"
    as "$user" "go telemetry off" # makes Go's folder in ~/.config
    before=$(files /usr /home/me)
    as "$user" "cd ampulla && ./install.sh --yes" | tail -n 30
    if [[ $user == me ]]; then unwell me; fi
    well "$user"
    listed "$user"
    tour "$user" "$([[ $user == me ]] && echo /home/me/ampulla || echo /root/ampulla)"
    as "$user" "cd ampulla && ./install.sh --uninstall --yes"
    as "$user" "cd ampulla && ./install.sh --uninstall --yes" | grep -q "nothing to remove" || die "there is still something to remove"
    if [[ $user == root ]]; then # who has also installed what was missing
      left=$(diff <(ours <<<"$before") <(files /usr /home/me | ours) || true)
      [[ ! $left ]] || die "there is still something of Ampulla's: $left"
    else
      as root "gpasswd -d me wireshark" >/dev/null
      same "$before" /usr /home/me
    fi
  done
}

# Mounts and processes end with the one that made them, so that nothing of this machine is
# left in the system when it is removed.
if [[ ! ${TRY_ROOT-} ]]; then
  make_root
  trap 'rm -rf -- "$root"' EXIT
  TRY_ROOT=$root unshare --mount --propagation private --pid --fork --kill-child "$PWD/packaging/try.sh" "$what" "$suite"
  exit
fi
root=$TRY_ROOT
enter
mkdir -p "$root/work"
mount --bind -o ro "$PWD" "$root/work"
case $what in
  deb) try_deb ;;
  rpm) try_rpm ;;
  archive) try_archive ;;
  source) try_source ;;
  *) die "neither deb, rpm, archive nor source: $what" ;;
esac
step "All as it should be ($what, $suite)"
