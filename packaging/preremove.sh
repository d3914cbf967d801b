#!/bin/sh
# Takes the plugin out of Wireshark before the package goes. dpkg says "remove"
# then, rpm says 0 (how many versions stay); anything else is an update.
set -e

case ${1-} in
remove | 0) /usr/bin/ampulla plugin remove >/dev/null || true ;;
esac
