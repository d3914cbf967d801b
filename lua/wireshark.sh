#!/bin/sh
# Fetches the Wiresharks of other Debian releases, so that the tests in this
# folder run against them too. Nothing is installed and root is not needed:
# packages are unpacked into a cache folder and run in a user namespace.
#
#   lua/wireshark.sh [--gui] [VERSION...]
#
# Versions are 4.4 (trixie) and 4.6 (sid), both if not said; those that are
# there already stay as they are. With --gui Wireshark itself comes, too.
#
# Afterwards <cache>/<version>/tshark, and likewise sharkd and others, run that
# program as an ordinary user (AMPULLA_UID=0: as root). It sees all of this
# system's files but for /usr, which is the other release's, with this system's
# /usr/local in it. The cache is $AMPULLA_WIRESHARKS, or ampulla-wireshark in
# $XDG_CACHE_HOME. Remove the folder to undo everything.
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
    mkdir -p "$dir/new/usr/bin" "$dir/new/usr/sbin" "$dir/new/usr/lib" "$dir/new/usr/lib64" "$dir/new/usr/local"
    for link in bin sbin lib lib64; do # merged /usr, as in every release since 12
        ln -s "usr/$link" "$dir/new/$link"
    done
    for deb in "$dir"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/new" --keep-directory-symlink --no-same-owner
    done
    rm -rf "$dir/root" "$dir/apt"
    mv "$dir/new" "$dir/root"
}

# wrap DIR PROGRAM writes DIR/PROGRAM, which runs it with DIR/root/usr as /usr.
# The capabilities are for the mounts only. Root's scripts are not loaded since
# Wireshark 4.4, hence the user.
wrap() {
    cat >"$1/$2.new" <<WRAP
#!/bin/sh
id=\${AMPULLA_UID:-1000}
exec unshare --user --map-user="\$id" --map-group="\$id" --keep-caps --mount sh -c '
    mount --rbind /usr/local "\$0/local" && mount --rbind "\$0" /usr && exec "\$@"' \\
    '$1/root/usr' '/usr/bin/$2' "\$@"
WRAP
    chmod +x "$1/$2.new"
    mv "$1/$2.new" "$1/$2" # tests may be running it
}

# has DIR PROGRAM... tells whether DIR/root has them all.
has() {
    dir=$1
    shift
    for program; do
        [ -x "$dir/root/usr/bin/$program" ] || return
    done
}

packages="tshark dash" programs="tshark sharkd capinfos editcap"
if [ "${1-}" = --gui ]; then
    packages="$packages wireshark" programs="$programs wireshark"
    shift
fi
[ $# -gt 0 ] || set -- 4.4 4.6

command -v dpkg-deb >/dev/null || die "needs apt and dpkg, that is, Debian or one of its kin"
[ -r "$keyring" ] || die "no $keyring: install the package debian-archive-keyring"
[ -L /lib ] || die "needs a system whose /lib is in /usr"

for version; do
    case $version in
    4.4) suite=trixie ;;
    4.6) suite=sid ;;
    *) die "no Debian release known that has Wireshark $version" ;;
    esac
    dir=$cache/$version
    # shellcheck disable=SC2086 # several words
    has "$dir" $programs || fetch "$dir" "$suite" $packages
    for program in $programs; do
        wrap "$dir" "$program"
    done
    found=$("$dir/tshark" --version 2>/dev/null | head -n 1)
    case $found in
    *" $version."*) echo "$dir/tshark: $found" ;;
    *) die "$suite has ${found:-a tshark that does not start}, not Wireshark $version" ;;
    esac
done
