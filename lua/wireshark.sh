#!/bin/sh
# Fetches the Wiresharks of other Debian releases, so that the tests in this
# folder run against them too. Nothing is installed and root is not needed:
# packages are unpacked into a cache folder and run in a user namespace.
#
#   lua/wireshark.sh            4.4 (trixie) and 4.6 (sid)
#   lua/wireshark.sh 4.6        only that one
#
# Afterwards <cache>/<version>/tshark runs that tshark as an ordinary user
# (AMPULLA_UID=0: as root). It sees the current folder, /tmp, /proc and /dev of
# this system, and the unpacked release for everything else. The cache is
# $AMPULLA_WIRESHARKS, or ampulla-wireshark in $XDG_CACHE_HOME. Remove the
# folder to undo everything.
set -eu

cache=${AMPULLA_WIRESHARKS:-${XDG_CACHE_HOME:-$HOME/.cache}/ampulla-wireshark}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die() {
    echo "wireshark.sh: error: $*" >&2
    exit 1
}

# mirror prints the Debian mirror that this machine uses, if it uses one.
mirror() {
    # shellcheck disable=SC2016 # apt-get expands these
    uri=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's!^Debian \(.*/debian/\)$!\1!p' | sort -u | head -n 1)
    echo "${uri:-http://deb.debian.org/debian/}"
}

# fetch DIR SUITE PACKAGE... unpacks packages, and all that they depend on,
# into DIR/root. Apt gets a state of its own in which nothing is installed, and
# of the system's configuration how to get at the mirror, but none of its hooks.
fetch() {
    dir=$1 suite=$2
    shift 2
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/apt/empty"
    : >"$dir/apt/status"
    echo "deb [signed-by=$keyring] $(mirror) $suite main" >"$dir/apt/sources.list"
    apt-config dump | grep '^Acquire::' >"$dir/apt/apt.conf"
    cat >>"$dir/apt/apt.conf" <<CONF
Dir::Etc::main "$dir/apt/none";
Dir::Etc::parts "$dir/apt/empty";
Dir::Etc::sourcelist "$dir/apt/sources.list";
Dir::Etc::sourceparts "$dir/apt/empty";
Dir::Etc::preferences "$dir/apt/none";
Dir::Etc::preferencesparts "$dir/apt/empty";
Dir::State::lists "$dir/apt/lists";
Dir::State::status "$dir/apt/status";
Dir::State::extended_states "$dir/apt/extended_states";
Dir::Cache "$dir/apt";
Dir::Cache::archives "$dir/apt/archives";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Debug::NoLocking "true";
CONF
    APT_CONFIG="$dir/apt/apt.conf" apt-get -qq update
    APT_CONFIG="$dir/apt/apt.conf" apt-get -qq -y --download-only install "$@" >/dev/null

    rm -rf "$dir/new"
    mkdir -p "$dir/new/usr/bin" "$dir/new/usr/sbin" "$dir/new/usr/lib" "$dir/new/usr/lib64"
    for link in bin sbin lib lib64; do # merged /usr, as in every release since 12
        ln -s "usr/$link" "$dir/new/$link"
    done
    for deb in "$dir"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/new" --keep-directory-symlink --no-same-owner
    done
    mkdir -p "$dir/new/tmp" "$dir/new/proc" "$dir/new/dev"
    rm -rf "$dir/root" "$dir/apt"
    mv "$dir/new" "$dir/root"
}

# wrap DIR PROGRAM writes DIR/PROGRAM, which runs it inside DIR/root. The outer
# namespace may mount, the inner one gives up root again: since Wireshark 4.4
# root's scripts are not loaded.
wrap() {
    cat >"$1/$2" <<WRAP
#!/bin/sh
export ROOT='$1/root' WD="\$PWD" ID="\${AMPULLA_UID:-1000}"
exec unshare --user --map-root-user --mount sh -c '
    for d in tmp proc dev; do mount --rbind "/\$d" "\$ROOT/\$d" || exit 1; done
    if [ -z "\$(ls -A "\$ROOT\$WD" 2>/dev/null)" ]; then
        mkdir -p "\$ROOT\$WD" && mount --rbind "\$WD" "\$ROOT\$WD" || exit 1
    fi
    exec unshare --user --map-user="\$ID" --map-group="\$ID" \\
        --root="\$ROOT" --wd="\$WD" "\$@"' sh /usr/bin/$2 "\$@"
WRAP
    chmod +x "$1/$2"
}

[ $# -gt 0 ] || set -- 4.4 4.6

command -v dpkg-deb >/dev/null || die "needs apt and dpkg, that is, Debian or one of its kin"
[ -r "$keyring" ] || die "no $keyring: install the package debian-archive-keyring"

for version; do
    case $version in
    4.4) suite=trixie ;;
    4.6) suite=sid ;;
    *) die "no Debian release known that has Wireshark $version" ;;
    esac
    fetch "$cache/$version" "$suite" tshark
    for program in tshark capinfos editcap; do
        wrap "$cache/$version" "$program"
    done
    found=$("$cache/$version/tshark" --version 2>/dev/null | head -n 1)
    case $found in
    *" $version."*) echo "$cache/$version/tshark: $found" ;;
    *) die "$suite has ${found:-a tshark that does not start}, not Wireshark $version" ;;
    esac
done
