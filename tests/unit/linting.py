"""Configs without a finding, and what one change makes of each: a case per rule, at least."""

from dataclasses import dataclass

FRONTEND = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: good
spec:
  backendFramework: FRAMEWORK
  pvcs:
    - {name: cache, create: true, size: 10Gi, storageClass: fast, volumeAccessMode: ReadWriteMany}
  services:
    Frontend:
      componentType: frontend
      replicas: 1
      volumeMounts:
        - {name: cache, mountPoint: /models}
      extraPodSpec:
        mainContainer:
          image: registry.example.com/dynamo-FRAMEWORK-runtime:0.6.1-post1
          command: [python3, -m, dynamo.frontend]
          args: [--router-mode, kv]
          startupProbe: {exec: {command: [ask-for-a-token]}}
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
"""
WORKER = """\
    NAME:
      componentType: worker
      subComponentType: ROLE
      replicas: 1
      resources:
        requests: {gpu: "2", custom: {rdma/ib: "1"}}
        limits: {gpu: "2", custom: {rdma/ib: "1"}}
      volumeMounts:
        - {name: cache, mountPoint: /models}
      extraPodSpec:
        volumes:
          - {name: engine, configMap: {name: good-engine}}
        mainContainer:
          image: registry.example.com/dynamo-FRAMEWORK-runtime:0.6.1-post1
          workingDir: /workspace
          command: [python3, -m, dynamo.FRAMEWORK]
          args:
            - ARGS
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
          securityContext: {capabilities: {add: [IPC_LOCK]}}
          volumeMounts:
            - {name: engine, mountPath: /opt/configs}
"""
ENGINE = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: good-engine}
data:
  engine.yaml: |
    tensor_parallel_size: 2
    cache_transceiver_config: {backend: DEFAULT}
    disable_overlap_scheduler: true
"""


def config(framework, decode, prefill):
    """A disaggregated graph on several nodes, each worker with two GPUs."""

    def worker(name, role, args):
        lines = "\n            - ".join(args)
        return WORKER.replace("NAME", name).replace("ROLE", role).replace("ARGS", lines)

    text = FRONTEND + worker("Decode", "decode", decode) + worker("Prefill", "prefill", prefill) + ENGINE
    return text.replace("FRAMEWORK", framework)


_VLLM = ["--model", "Qwen/Qwen3-0.6B", "--tensor-parallel-size", '"2"']
_TRTLLM = [
    "--model-path", "Qwen/Qwen3-0.6B", "--served-model-name", "Qwen/Qwen3-0.6B", "--tensor-parallel-size", '"2"',
    "--extra-engine-args", "/opt/configs/engine.yaml", "--disaggregation-strategy", "decode_first",
    "--disaggregation-mode",
]  # fmt: skip
GOOD = {
    "vllm": config("vllm", _VLLM, [*_VLLM, "--is-prefill-worker"]),
    "trtllm": config("trtllm", [*_TRTLLM, "decode", "--publish-events-and-metrics"], [*_TRTLLM, "prefill"]),
}


@dataclass(frozen=True)
class Case:
    """One change to a good config. The finding is at `field`, in the line that has `mark`, searched from its service on."""

    rule: str
    field: str
    mark: str
    old: str
    new: str
    also: frozenset = frozenset()  # rules that find it too
    framework: str = "vllm"
    every: bool = False  # change all places, not only the first
    then: tuple = ("", "")  # a second change, of the first place

    @property
    def text(self):
        good = GOOD[self.framework]
        assert self.old in good
        return good.replace(self.old, self.new, -1 if self.every else 1).replace(*self.then, 1)

    @property
    def line(self):
        service = self.field.split(".")[2] if self.field.startswith("spec.services.") else None
        start = self.text.index(f"    {service}:") if service else 0
        return self.text.count("\n", 0, self.text.index(self.mark, start)) + 1

    def __str__(self):
        return f"{self.rule}: {self.new.strip()[:40]}"


_FRONT, _DECODE, _PREFILL = (f"spec.services.{name}" for name in ("Frontend", "Decode", "Prefill"))
_MAIN = "extraPodSpec.mainContainer"
_LIMITS = 'limits: {gpu: "2", custom: {rdma/ib: "1"}}'
_GPUS = 'requests: {gpu: "2", custom: {rdma/ib: "1"}}\n        ' + _LIMITS
_MODEL = "- --model\n            - Qwen/Qwen3-0.6B"
_TP = '- --tensor-parallel-size\n            - "2"'
_EVENTS = "- --publish-events-and-metrics"

_ELSEWHERE = "envs: [{name: DYN_NAMESPACE, value: elsewhere}]"
_PROBE = "          startupProbe: {exec: {command: [ask-for-a-token]}}\n"
_LIFE = '          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}\n'
_IMAGE = "registry.example.com/dynamo-vllm-runtime:0.6.1-post1"
_RUN = f"          command: [python3, -m, dynamo.vllm]\n          args:\n            {_MODEL}\n            {_TP}\n"


def _worker(name):
    text = GOOD["vllm"]
    return text[text.index(f"    {name}:") : text.index("    Prefill:" if name == "Decode" else "---\n")]


def _more(words):
    return f"{_TP}\n            - {words}"


def _behind(*words):
    return "\n            ".join((_EVENTS, *(f"- {word}" for word in words)))


def _in_decode(line):
    return f"replicas: 1\n      {line}\n      res"


def case(rule, field, mark, old, new, *also, **options):
    return Case(rule, field, mark, old, new, frozenset(also), **options)


FIELDS = [
    case("unknown-field", f"{_FRONT}.replicaz", "replicaz", "replicas: 1", "replicaz: 1", "replicas-missing"),
    case("field-type", f"{_FRONT}.replicas", "two", "replicas: 1", "replicas: two"),
    case("field-type", f"{_DECODE}.resources.limits.gpu", "limits:", _LIMITS, _LIMITS.replace('"2"', "2")),
    case("missing-field", "spec.pvcs[0]", "{create", "{name: cache, create", "{create", "volume-unknown"),
    case("field-value", f"{_DECODE}.multinode.nodeCount", "nodeCount", "replicas: 1\n      res", _in_decode("multinode: {nodeCount: 1}")),
    case("missing-field", "apiVersion", "kind", "apiVersion: nvidia.com/v1alpha1\n", "# apiVersion\n"),
    case("quantity", f"{_DECODE}.sharedMemory.size", "sharedMemory", "replicas: 1\n      res", _in_decode("sharedMemory: {size: abc}")),
    case("quantity", f"{_DECODE}.resources.limits.cpu", "limits", _LIMITS, _LIMITS.replace("{gpu", "{cpu: two, gpu")),
    case("quantity", f"{_DECODE}.resources.limits.memory", "limits", _LIMITS, _LIMITS.replace("{gpu", "{memory: 10GB, gpu")),
    case("quantity", f"{_DECODE}.resources.limits.custom.rdma/ib", "limits", _LIMITS, _LIMITS.replace('"1"', '"-1"')),
    case("quantity", f"{_DECODE}.{_MAIN}.resources.limits.ephemeral-storage", "abc", "workingDir", "resources: {limits: {ephemeral-storage: abc}}\n          workingDir"),
    case("quantity", "spec.pvcs[0].size", "{name", "size: 10Gi", "size: big"),
    case("allow-unread", "", "allow", "spec:\n", "# allow: no-rdma: one node\nspec:\n"),
    case("allow-unread", "", "allow", "spec:\n", "# allow no-rdma as it is one node\nspec:\n"),
    case("no-reason", "", "allow", "spec:\n", "# allow no-rdma\nspec:\n"),
    case("unknown-rule", "", "allow", "spec:\n", "# allow no-rmda: one node\nspec:\n"),
]  # fmt: skip
GRAPH = [
    case("metadata-name", "metadata.name", "not_good", "name: good", "name: not_good"),
    case("service-key", "spec.services.De_code", "De_code", "    Decode:", "    De_code:"),
    case("service-key", "spec.services.prefill", "prefill:", "    Decode:", "    prefill:"),
    case("name-too-long", f"spec.services.{'D' * 60}", "DDD", "    Decode:", f"    {'D' * 60}:"),
    case("no-frontend", "spec.services", "services:", "componentType: frontend", "componentType: main"),
    case("no-frontend", f"{_FRONT}.replicas", "replicas", "replicas: 1", "replicas: 0"),
    case("no-worker", f"{_DECODE}.replicas", "replicas", "replicas: 1\n      res", "replicas: 0\n      res", every=True),
    case("replicas-number", f"{_DECODE}.replicas", "replicas", "replicas: 1\n      res", "replicas: -1\n      res"),
    case("namespace-differs", f"{_DECODE}.envs[0]", "DYN_NAMESPACE", "subComponentType: decode", f"subComponentType: decode\n      {_ELSEWHERE}"),
    case("namespace-differs", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --namespace, other]"),
    case("namespace-differs", f"{_FRONT}.envs[0]", "DYN_NAMESPACE", "      replicas: 1\n", f"      replicas: 1\n      {_ELSEWHERE}\n"),
    case("namespace-differs", f"{_PREFILL}.envs[0]", "DYN_NAMESPACE", "kv]", "kv, --namespace, '']", then=("Type: prefill\n", f"Type: prefill\n      {_ELSEWHERE}\n")),
    case("namespace-differs", f"{_DECODE}.{_MAIN}.args[13]", "--endpoint", _EVENTS, _behind("--endpoint", "dyn://other.tensorrt_llm.generate"), framework="trtllm"),
    case("no-kv-events", f"{_DECODE}.{_MAIN}.args", "args", f"            {_EVENTS}\n", "", framework="trtllm"),
    case("no-kv-events", f"{_DECODE}.{_MAIN}.args", "args", f"            {_EVENTS}\n", "", framework="trtllm",
         then=("args: [--router-mode, kv]", "env: [{name: DYN_ROUTER_MODE, value: kv}]")),
    case("namespace-mismatch", f"{_DECODE}.dynamoNamespace", "other", "subComponentType: decode", "subComponentType: decode\n      dynamoNamespace: other"),
    case("framework-mismatch", "spec.backendFramework", "backend", "backendFramework: vllm", "backendFramework: trtllm"),
    case("unknown-framework", "spec.backendFramework", "backend", "dynamo.vllm", "dynamo.other", every=True, then=("backendFramework: vllm", "backendFramework: other")),
    case("unknown-framework", f"{_DECODE}.{_MAIN}", "mainContainer", "dynamo.vllm", "dynamo.other", then=("  backendFramework: vllm\n", "")),
    case("framework-mismatch", "spec.backendFramework", "backend", "backendFramework: vllm", "backendFramework: sglang"),
    case("framework-mismatch", "spec.backendFramework", "backend", "dynamo.vllm", "dynamo.other", "prefill-alone"),
    case("worker-type", f"{_DECODE}.componentType", "componentType", "componentType: worker", "componentType: main"),
    case("no-command", f"{_DECODE}.{_MAIN}", "mainContainer", _RUN, "", "prefill-alone"),
    case("no-image", f"{_FRONT}.{_MAIN}", "mainContainer", f"          image: {_IMAGE}\n", ""),
    case("image-name", f"{_FRONT}.{_MAIN}.image", "image", _IMAGE, "Not/An:Image"),
    case("kubernetes-name", "metadata.name", "Good_Engine", "metadata: {name: good-engine}", "metadata: {name: Good_Engine}"),
    case("kubernetes-name", 'data["../x"]', "../x: |", "  engine.yaml: |", "  ../x: |"),
    case("kubernetes-name", "data.count", "count", "  engine.yaml: |", "  count: 5\n  engine.yaml: |"),
    case("kubernetes-name", "spec.pvcs[0].name", "{name: Cache", "{name: cache,", "{name: Cache,", "volume-unknown"),
    case("kubernetes-name", f"{_DECODE}.{_MAIN}.volumeMounts[0].mountPath", "mountPath", "mountPath: /opt/configs", 'mountPath: "/opt/configs:rw"'),
    case("kubernetes-name", f"{_FRONT}.labels.a", "labels", "componentType: frontend", "componentType: frontend\n      labels: {a: b c}"),
    case("kubernetes-name", f"{_FRONT}.envs[0].name", "envs", "componentType: frontend", "componentType: frontend\n      envs: [{name: A=B, value: c}]"),
    case("object-incomplete", "apiVersion", "kind: ConfigMap", "apiVersion: v1\n", ""),
    case("image-moving", f"{_FRONT}.{_MAIN}.image", "image", ":0.6.1-post1", ":latest", "image-tag", "image-versions"),
    case("image-tag", f"{_FRONT}.{_MAIN}.image", "image", ":0.6.1-post1", ":0.6.1.post1", "image-versions"),
    case("image-versions", f"{_FRONT}.{_MAIN}.image", "image", ":0.6.1-post1", ":0.7.0"),
    case("replicas-missing", _FRONT, "Frontend", "      replicas: 1\n", ""),
]  # fmt: skip
FLAGS = [
    case("unknown-flag", f"{_DECODE}.{_MAIN}.args[2]", "--tensr", "--tensor-parallel-size", "--tensr-parallel-size", "gpu-unused"),
    case("unknown-flag", f"{_FRONT}.{_MAIN}.args[0]", "args", "--router-mode", "--routr-mode"),
    case("flag-abbreviated", f"{_DECODE}.{_MAIN}.args[4]", "--max-model", _TP, _more('--max-model-l\n            - "99"')),
    case("refused-flag", f"{_DECODE}.{_MAIN}.args[4]", "--kv-tr", _TP, _more("--kv-transfer-config\n            - '{}'")),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[0]", "args", "kv]", "kw]"),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--migration", _TP, _more("--migration-limit\n            - abc")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--migration", _TP, _more("--migration-limit=-1")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[2]", "--tensor", _TP, _TP.replace('"2"', "x")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[2]", "--tensor", _TP, _TP.replace('"2"', '"0"')),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[2]", "--tensor", _TP, "- --tensor-parallel-size"),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--max-model", _TP, _more("--max-model-len\n            - long")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--block", _TP, _more('--block-size\n            - "17"')),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--speculative", _TP, _more("--speculative-config\n            - '{not json}'")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--no-enable", _TP, _more('--no-enable-prefix-caching\n            - "true"')),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--conn", _TP, _more("--connector\n            - foo")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--conn", _TP, _more("--connector\n            - nixl\n            - none")),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[4]", "--dynamo", _TP, _more('--dynamo-port-min\n            - "80"')),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --kv-overlap-score-weight, abc]"),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --busy-threshold, hello]"),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --http-port, abc]"),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --static-endpoint, ab, --model-name, m, --model-path, /models/m]"),
    case("flag-value", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, --no-kv-events, 'true']"),
    case("flag-value", f"{_DECODE}.{_MAIN}.args[13]", "--over", _EVENTS, _behind("--override-engine-args", "'{not json}'"), framework="trtllm"),
    case("refused-flag", f"{_FRONT}.{_MAIN}.args[2]", "args", "kv]", "kv, -i]"),
    case("variable-value", f"{_FRONT}.envs[0]", "DYN_ROUTER_MODE", "      replicas: 1\n", "      replicas: 1\n      envs: [{name: DYN_ROUTER_MODE, value: kvv}]\n",
         then=("args: [--router-mode, kv]", "args: []")),
    case("variable-value", "spec.envs[0]", "DYN_HTTP_PORT", "  pvcs:", "  envs: [{name: DYN_HTTP_PORT, value: abc}]\n  pvcs:"),
    case("flag-below", f"{_DECODE}.{_MAIN}.args[4]", "--dynamo", _TP, _more('--dynamo-port-min\n            - "40000"')),
    case("flag-below", f"{_DECODE}.{_MAIN}.args[4]", "--dynamo", _TP, _more('--dynamo-port-min\n            - "25000"\n            - --dynamo-port-max\n            - "24000"')),
    case("flag-single", f"{_DECODE}.{_MAIN}.args[4]", "--served", _TP, _more("--served-model-name\n            - Qwen/Qwen3-0.6B\n            - two")),
    case("flag-together", f"{_FRONT}.{_MAIN}.args[0]", "args", "[--router-mode, kv]", "[--tls-cert-path, /tls/crt]"),
    case("flag-not-separate", f"{_DECODE}.{_MAIN}.args[2]", "-tp", _TP, '- -tp\n            - "2"'),
    case("flag-not-separate", f"{_DECODE}.{_MAIN}.args[2]", "size=2", _TP, "- --tensor-parallel-size=2"),
    case("served-name", f"{_DECODE}.{_MAIN}.args[2]", "--served", "name\n            - Qwen/Qwen3-0.6B", "name\n            - short", framework="trtllm", every=True),
]  # fmt: skip
ROLES = [
    case("role-mismatch", f"{_PREFILL}.subComponentType", "subComponent", "            - --is-prefill-worker\n", ""),
    case("role-mismatch", f"{_DECODE}.subComponentType", "subComponent", "mode\n            - decode\n", "mode\n            - prefill_and_decode\n", framework="trtllm"),
    case("role-unlabelled", _PREFILL, "Prefill", "      subComponentType: prefill\n", ""),
    case("prefill-alone", _PREFILL, "Prefill", _worker("Decode"), ""),
    case("decode-alone", _DECODE, "Decode", _worker("Prefill"), ""),
    case("decode-alone", _DECODE, "Decode", "prefill\n      replicas: 1", "prefill\n      replicas: 0"),
    case("decode-alone", _DECODE, "Decode", "prefill\n      replicas: 1", "prefill\n      replicas: 0", then=("      subComponentType: decode\n", "")),
    case("prefill-alone", _PREFILL, "Prefill", "decode\n      replicas: 1", "decode\n      replicas: 0"),
    case("role-twice", f"{_PREFILL}.{_MAIN}.args[5]", "--is-decode", "- --is-prefill-worker", "- --is-prefill-worker\n            - --is-decode-worker"),
    case("first-only", f"{_PREFILL}.{_MAIN}.args[12]", "--next", "- prefill\n", "- prefill\n            - --next-endpoint\n            - dyn://a.b.c\n", framework="trtllm"),
    case("never-ready", f"{_DECODE}.envs[0]", "DYN_HEALTH", "decode_first", "prefill_first", "no-kv-events", framework="trtllm", every=True,
         then=("subComponentType: decode", 'subComponentType: decode\n      envs: [{name: DYN_HEALTH_CHECK_ENABLED, value: "true"}]')),
    case("no-connector", f"{_DECODE}.{_MAIN}.args[4]", "--conn", _TP, _more("--connector\n            - none")),
    case("no-connector", f"{_DECODE}.{_MAIN}.args[4]", "--conn", _TP, _more("--connector")),
    case("decode-waits", _DECODE, "Decode", "prefill\n      replicas: 1", "prefill\n      replicas: 0", framework="trtllm"),
    case("strategy-differs", f"{_PREFILL}.{_MAIN}.args[8]", "--disaggregation-strategy", "decode_first", "prefill_first", framework="trtllm"),
    case("models-differ", f"{_PREFILL}.{_MAIN}.args", "args", "- Qwen/Qwen3-0.6B", "- Qwen/Qwen3-8B"),
]  # fmt: skip
PARALLEL = [
    case("gpu-only-requested", f"{_DECODE}.resources.requests.gpu", "requests", _LIMITS, 'limits: {custom: {rdma/ib: "1"}}'),
    case("gpu-not-a-number", f"{_DECODE}.resources.limits.gpu", "limits", _LIMITS, _LIMITS.replace('"2"', "one"), "gpu-differs"),
    case("gpu-differs", f"{_DECODE}.resources.requests.gpu", "requests", 'requests: {gpu: "2"', 'requests: {gpu: "1"'),
    case("no-gpu", f"{_DECODE}.resources", "resources", _GPUS, _GPUS.replace('gpu: "2", ', "")),
    case("gpu-too-few", f"{_DECODE}.{_MAIN}.args[2]", "--tensor", _GPUS, _GPUS.replace('"2"', '"1"')),
    case("gpu-too-few", f"{_DECODE}.{_MAIN}.args[2]", "--tensor", _TP, _more('--pipeline-parallel-size\n            - "2"')),
    case("gpu-unused", f"{_DECODE}.resources.limits.gpu", "limits", _GPUS, _GPUS.replace('"2"', '"4"')),
    case("shared-memory-off", f"{_DECODE}.sharedMemory.disabled", "sharedMemory", "replicas: 1\n      res", _in_decode("sharedMemory: {disabled: true}")),
    case("multinode-orchestrator", f"{_DECODE}.multinode", "multinode", "replicas: 1\n      res", _in_decode("multinode: {nodeCount: 2}"), "gpu-unused"),
    case("engine-file", f"{_DECODE}.{_MAIN}.args[6]", "--extra", "/engine.yaml", "/other.yaml", framework="trtllm"),
    case("engine-file", f"{_DECODE}.{_MAIN}.args[6]", "--extra", "tensor_parallel_size: 2", "[", framework="trtllm"),
    case("engine-file-wins", f"{_DECODE}.{_MAIN}.args[4]", "--tensor", _EVENTS, _behind("--override-engine-args", "'{\"tensor_parallel_size\": 8}'"),
         "gpu-too-few", framework="trtllm"),
    case("engine-needs", f"{_DECODE}.{_MAIN}.args[6]", "--extra", "    cache_transceiver_config: {backend: DEFAULT}\n", "", framework="trtllm"),
    case("engine-needs", f"{_PREFILL}.{_MAIN}.args[6]", "--extra", "scheduler: true", "scheduler: false", framework="trtllm"),
    case("engine-file-wins", f"{_DECODE}.{_MAIN}.args[4]", "--tensor", "tensor_parallel_size: 2", "tensor_parallel_size: 1", "gpu-unused", framework="trtllm"),
]  # fmt: skip
KUBERNETES = [
    case("claim-incomplete", "spec.pvcs[0]", "- {name: cache", ", storageClass: fast", ""),
    case("claim-needed", "spec.pvcs[0]", "- {name: cache", "create: true", "create: false"),
    case("volume-unknown", f"{_FRONT}.volumeMounts[0]", "cash", "{name: cache, mountPoint", "{name: cash, mountPoint"),
    case("volume-unknown", f"{_DECODE}.{_MAIN}.volumeMounts[0]", "engin,", "{name: engine, mountPath", "{name: engin, mountPath"),
    case("mount-hides-files", f"{_DECODE}.{_MAIN}.volumeMounts[0]", "mountPath", "mountPath: /opt/configs", "mountPath: /workspace",
         "engine-file", framework="trtllm", then=("/opt/configs/engine.yaml", "examples/engine.yaml")),
    case("mount-under-root", f"{_FRONT}.volumeMounts[0]", "/root", "/models", "/root/.cache",
         then=("extraPodSpec:\n", "extraPodSpec:\n        securityContext: {runAsUser: 1000}\n")),
    case("model-not-at-frontend", _FRONT, "Frontend", "Qwen/Qwen3-0.6B", "/models/x", every=True, then=("mountPoint: /models", "mountPoint: /elsewhere")),
    case("no-rdma", f"{_DECODE}.resources", "resources", ', custom: {rdma/ib: "1"}', "", every=True),
    case("rdma-without-ipc-lock", f"{_DECODE}.{_MAIN}", "mainContainer", "add: [IPC_LOCK]", "add: []"),
    case("ready-early", f"{_FRONT}.{_MAIN}", "mainContainer", _PROBE, ""),
    case("no-pre-stop", f"{_FRONT}.{_MAIN}", "mainContainer", _LIFE, ""),
    case("frontend-port", _FRONT, "Frontend", "[--router-mode, kv]", '[--http-port, "9000"]'),
    case("system-port", f"{_DECODE}.envs", "DYN_SYSTEM", "subComponentType: decode", 'subComponentType: decode\n      envs: [{name: DYN_SYSTEM_PORT, value: "8081"}]'),
]  # fmt: skip
CASES = [*FIELDS, *GRAPH, *FLAGS, *ROLES, *PARALLEL, *KUBERNETES]
