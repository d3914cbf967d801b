#!/usr/bin/env bash
# Judges the service over HTTP by the clients of others: schemathesis, which makes
# requests up from the OpenAPI description, a client that openapi-python-client
# generates from it, and judge.py: strangers, slow and large bodies, a thousand
# connections, and load. Prints tables; fails if anything is not as it should be.
# Needs python3 with venv, editcap, and the program in bin/; takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'kill "$service" 2>/dev/null; wait "$service" 2>/dev/null; rm -rf "$dir"' EXIT
export XDG_CONFIG_HOME=$dir/config XDG_CACHE_HOME=$dir/cache XDG_RUNTIME_DIR=$dir/run
mkdir -m 700 "$dir/run"

python3 -m venv "$dir/venv"
HOME=$dir "$dir/venv/bin/pip" install -q schemathesis==4.32.5 openapi-python-client==0.29.1

port=$((20000 + RANDOM % 20000))
./bin/ampulla serve --http "127.0.0.1:$port" --metrics --folder testdata/captures 2>"$dir/log" &
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

echo "== generated client, strangers, load"
(cd "$dir" && venv/bin/openapi-python-client generate --path openapi.json --output-path client >/dev/null 2>&1)
PYTHONPATH=$dir/client "$dir/venv/bin/python" grpc/gateway/judge.py "$url" "$token" "$service" "$dir"

if grep -v 'level=INFO' "$dir/log"; then
  echo "judge.sh: the service complained" >&2
  exit 1
fi
