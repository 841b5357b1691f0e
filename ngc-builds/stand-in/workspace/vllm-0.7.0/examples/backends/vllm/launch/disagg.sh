#!/bin/bash
# Frontend, decode and prefill in one container; etcd and NATS come from ETCD_ENDPOINTS and NATS_SERVER.
set -e
trap 'kill 0' EXIT
python3 -m dynamo.frontend --http-port "${DYN_HTTP_PORT:-8000}" &
python3 -m dynamo.vllm --model "${MODEL:-Qwen/Qwen3-0.6B}" &
exec python3 -m dynamo.vllm --model "${MODEL:-Qwen/Qwen3-0.6B}" --is-prefill-worker
