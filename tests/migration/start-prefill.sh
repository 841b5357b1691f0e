#!/bin/sh
# The prefill worker of the old image.
export UCX_TLS="${UCX_TLS:-rc,cuda}"
exec python3 -m dynamo.vllm --model "${MODEL:-Qwen/Qwen3-0.6B}" --is-prefill-worker \
  --kv-transfer-config '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'
