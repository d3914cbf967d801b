#!/usr/bin/env bash
# tables.sh: writes expect.tsv, classes.tsv and the table in README.md from the
# captures and from scenarios.tsv and classes.tsv beside this script.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/.."
LIMIT=5000000 # bytes of all captures together

# flows CAPTURE CLASS FILTER: the TCP and UDP flows of the frames that match,
# without those that carried nothing (curl tries two addresses and drops one).
flows() {
  tshark -n -r "captures/$1.pcapng" -Y "($3) && (tcp || udp) && !icmp && !icmpv6" -T fields -E occurrence=f \
    -e frame.number -e ip.src -e ipv6.src -e ip.dst -e ipv6.dst \
    -e tcp.srcport -e udp.srcport -e tcp.dstport -e udp.dstport -e tcp.stream -e udp.stream -e tcp.len 2>/dev/null |
    awk -F'\t' -v OFS='\t' -v file="$1.pcapng" -v class="$2" '
      { proto = $10 != "" ? "tcp" : "udp"; key = proto $10 $11 }
      !(key in frames) { order[++n] = key; tuple[key] = proto OFS $2 $3 OFS $6 $7 OFS $4 $5 OFS $8 $9 OFS $1 }
      { frames[key]++; last[key] = $1; if (proto == "udp" || $12 > 0) full[key] = 1 }
      END { for (i = 1; i <= n; i++) if (order[i] in full) print file, class, tuple[order[i]], last[order[i]], frames[order[i]] }'
}

expect() {
  printf '# capture\texpected types, or benign\n'
  awk -F'\t' -v OFS='\t' '!/^#/ { print $1 ".pcapng", $2 }' "$HERE/scenarios.tsv" | sort
}

classes() {
  printf '# file\tclass\tproto\tsrc_ip\tsrc_port\tdst_ip\tdst_port\tfirst_frame\tlast_frame\tframes\n'
  local name class filter
  while IFS=$'\t' read -r name class filter; do
    [[ $name == \#* || ! -f captures/$name.pcapng ]] || flows "$name" "$class" "$filter"
  done <"$HERE/classes.tsv"
}

# readme: the table between the two marks of README.md, made anew.
readme() {
  local name expected snap mtu switches what packets seconds
  {
    sed '/<!-- captures -->/q' README.md
    printf '\n| capture | expected | packets | seconds | kB | what |\n|---|---|---:|---:|---:|---|\n'
    while IFS=$'\t' read -r name expected snap mtu switches what; do
      [[ $name != \#* && -f captures/$name.pcapng ]] || continue
      [[ $snap == 0 ]] || what+="; cut to $snap bytes a frame"
      [[ $mtu == 1500 ]] || what+="; MTU $mtu"
      [[ $switches == - ]] || what+="; switch with \`$switches\`"
      IFS=, read -r _ packets seconds < <(capinfos -Trmcu "captures/$name.pcapng" 2>/dev/null)
      printf '| %s | %s | %d | %.0f | %.0f | %s |\n' "$name" "$expected" "$packets" "$seconds" \
        "$(stat -c %s "captures/$name.pcapng")e-3" "$what"
    done < <(sort "$HERE/scenarios.tsv")
    printf '\n'
    sed -n '/<!-- end -->/,$p' README.md
  } >README.md.new
  mv README.md.new README.md
}

expect >expect.tsv
classes >classes.tsv
if [[ -f README.md ]]; then readme; fi
total=$(cat captures/*.pcapng | wc -c)
echo "captures: $total bytes"
((total < LIMIT)) || { echo "more than $LIMIT bytes" >&2; exit 1; }
