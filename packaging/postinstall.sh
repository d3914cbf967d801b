#!/bin/sh
# Puts the plugin into every Wireshark of the machine: after an installation, an
# update, or an update of Wireshark. A trouble with one Wireshark is no reason to
# leave the package half installed; "ampulla doctor" tells what is wrong.
set -e

/usr/bin/ampulla plugin install >/dev/null || {
  echo "ampulla: the package is installed, but Wireshark has no plugin yet: ampulla doctor says why" >&2
}
