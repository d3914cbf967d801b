#!/usr/bin/env bash
# Regenerates the Go code and the OpenAPI description beside the .proto files.
# Needs protoc and jq (Debian: protobuf-compiler, jq) and pip; the plugins are
# built from the versions pinned here.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
gateway=github.com/grpc-ecosystem/grpc-gateway/v2
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
GOBIN=$bin go install $gateway/protoc-gen-grpc-gateway@v2.33.0
GOBIN=$bin go install $gateway/protoc-gen-openapiv3@v2.33.0
# google/api/*.proto, which say how methods become HTTP.
python3 -m pip install -q --no-deps --target "$bin/google" googleapis-common-protos==1.76.0

PATH=$bin:$PATH protoc -I proto -I "$bin/google" \
  --go_out=proto --go_opt=paths=source_relative \
  --go-grpc_out=proto --go-grpc_opt=paths=source_relative \
  --grpc-gateway_out=proto --grpc-gateway_opt=paths=source_relative \
  --openapiv3_out="$bin" \
  annotator/v1/annotator.proto annotator/v1/gateway.proto
jq -f proto/openapi.jq "$bin/annotator/v1/gateway.openapi.json" >proto/annotator/v1/openapi.json
