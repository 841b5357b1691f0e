#!/bin/bash
# Frontend, decode and prefill in one container; etcd and NATS come from ETCD_ENDPOINTS and NATS_SERVER.
set -e
trap 'kill 0' EXIT
worker() {
    python3 -m dynamo.vllm --model "${MODEL:-Qwen/Qwen3-0.6B}" --disaggregation-mode "$1" \
        --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'
}
python3 -m dynamo.frontend --http-port "${DYN_HTTP_PORT:-8000}" &
worker decode &
worker prefill
