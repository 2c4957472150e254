#!/usr/bin/env bash
# Runs a command where there is no network but loopback, and counts what tried to leave: test/no-telemetry.test.ts.
# To be started by `unshare --net --mount`, so that nothing of this stays. Usage: without-route.sh FOLDER COMMAND…
set -euo pipefail
folder=$1
shift

# Names are asked for at an address nothing leads to: looking one up counts too, whatever resolver this machine has.
printf 'nameserver 192.0.2.53\noptions timeout:1 attempts:1\n' >"$folder/resolv.conf"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$folder/nsswitch.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf
mount --bind "$folder/nsswitch.conf" /etc/nsswitch.conf

ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, struct.pack("16sh14x", b"lo", 1))'

# The kernel counts, for this namespace alone, each packet and connection that no route leads anywhere for.
left() {
  local v4 v6=0
  v4=$(awk '/^Ip:/ { if (!n) { for (i = 1; i <= NF; i++) if ($i == "OutNoRoutes") n = i } else print $n }' /proc/net/snmp)
  [ ! -e /proc/net/snmp6 ] || v6=$(awk '$1 == "Ip6OutNoRoutes" { print $2 }' /proc/net/snmp6)
  echo $((v4 + v6))
}

before=$(left)
status=0
"$@" || status=$?
after=$(left)
echo "attempts to leave: $((after - before)); exit code: $status"
