#!/bin/sh
# Called by udhcpc: takes over the address that it was given.
# shellcheck disable=SC2154 # udhcpc sets ip and interface
case $1 in
  bound | renew) ip address replace "$ip/24" dev "$interface" ;;
esac
