#!/bin/bash
# Frontend, decode and prefill in one container; etcd and NATS come from ETCD_ENDPOINTS and NATS_SERVER.
set -e
trap 'kill 0' EXIT
recipes=/workspace/recipes/stand-in/trtllm
worker() {
    python3 -m dynamo.trtllm --model-path "${MODEL:-Qwen/Qwen3-0.6B}" --disaggregation-strategy decode_first \
        --disaggregation-mode "$1" --extra-engine-args "$recipes/$1.yaml"
}
python3 -m dynamo.frontend --http-port "${DYN_HTTP_PORT:-8000}" &
worker decode &
worker prefill
