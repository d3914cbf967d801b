#!/usr/bin/env bash
# Judges the service over HTTP by the clients of others: schemathesis, which makes
# requests up from the OpenAPI description, a client that openapi-python-client
# generates from it, Prometheus, and judge.py: strangers, slow and large bodies, a
# thousand connections, what the dashboard asks, and load. Writes LOAD.md; fails if
# anything is not as it should be. Needs python3 with venv, prometheus, editcap, and
# the program in bin/; takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v prometheus promtool >/dev/null || {
  echo "judge.sh: missing; try: apt-get install --no-install-recommends prometheus" >&2
  exit 1
}
dir=$(mktemp -d)
trap 'kill $service $prometheus 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
service='' prometheus=''
export XDG_CONFIG_HOME=$dir/config XDG_CACHE_HOME=$dir/cache XDG_RUNTIME_DIR=$dir/run
mkdir -m 700 "$dir/run"

python3 -m venv "$dir/venv"
HOME=$dir "$dir/venv/bin/pip" install -q schemathesis==4.32.5 openapi-python-client==0.29.1

port=$((20000 + RANDOM % 20000))
./bin/ampulla baseline learn testdata/captures/benign_*.pcapng -o "$dir/office.baseline" >/dev/null
./bin/ampulla serve --http "127.0.0.1:$port" --metrics --baseline "$dir/office.baseline" --folder testdata/captures 2>"$dir/log" &
service=$!
url=http://127.0.0.1:$port
for ((i = 0; i < 300; i++)); do
  [[ -e $dir/config/ampulla/token ]] && token=$(cat "$dir/config/ampulla/token") &&
    curl -sf -o /dev/null -H "Authorization: Bearer $token" "$url/v1/models" && break
  sleep 0.1
done
curl -sf -H "Authorization: Bearer $token" "$url/v1/openapi.json" >"$dir/openapi.json"

echo "== schemathesis"
(cd "$dir" && venv/bin/st run openapi.json --url "$url" -H "Authorization: Bearer $token" --checks not_a_server_error \
  --exclude-path /v1/metrics/stream --max-examples "${EXAMPLES:-40}" --no-color) | tail -8

echo "== prometheus, with the configuration in README"
sed -n '/^scrape_configs:/,/^```/{/^```/!p}' README.md |
  sed "s|/home/me/.config|$dir/config|; s|127.0.0.1:7462|127.0.0.1:$port|; \$a global: {scrape_interval: 1s}" >"$dir/prometheus.yml"
promtool check config "$dir/prometheus.yml"
curl -sf -H "Authorization: Bearer $token" "$url/metrics" | promtool check metrics
asked=127.0.0.1:$((port + 1))
prometheus --config.file "$dir/prometheus.yml" --storage.tsdb.path "$dir/tsdb" --web.listen-address "$asked" 2>"$dir/prometheus.log" &
prometheus=$!

echo "== generated client, strangers, load"
(cd "$dir" && venv/bin/openapi-python-client generate --path openapi.json --output-path client >/dev/null 2>&1)
PYTHONPATH=$dir/client "$dir/venv/bin/python" grpc/gateway/judge.py "$url" "$token" "$service" "$dir" "$asked"

if grep -v 'level=INFO' "$dir/log"; then
  echo "judge.sh: the service complained" >&2
  exit 1
fi
