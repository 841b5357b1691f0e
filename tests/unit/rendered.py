"""A config with one of everything that a rendering has to carry over, and what becomes of it."""

import io

from ruamel.yaml import YAML

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import prepare, render

IMAGE = "registry.example.com/team/image:1.0.0"
CONFIG = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: graph
spec:
  backendFramework: vllm
  envs:
    - {name: A, value: of the graph}
    - {name: B, value: of the graph}
    - {name: C, value: of the graph}
    - {name: DYN_NAMESPACE, value: mine}
  pvcs:
    - {name: cache, create: true, size: 10Gi, storageClass: fast, volumeAccessMode: ReadWriteMany}
    - {name: there, create: false}
  services:
    Entrance:
      componentType: frontend
      replicas: 1
      extraPodSpec:
        mainContainer:
          image: IMAGE
    VllmDecode:
      componentType: worker
      subComponentType: decode
      replicas: 2
      envFromSecret: hf-token-secret
      resources:
        requests: {cpu: "4", memory: 16Gi, gpu: "2", custom: {rdma/ib: "1"}}
        limits: {cpu: "8", memory: 32Gi, gpu: "2", custom: {rdma/ib: "1"}}
      envs:
        - {name: B, value: of the service}
        - {name: C, value: of the service}
        - {name: DYN_SYSTEM_PORT, value: "9091"}
      volumeMounts:
        - {name: cache, mountPoint: /models}
        - {name: there, mountPoint: /more}
      extraPodSpec:
        volumes:
          - {name: engine, configMap: {name: graph-engine}}
          - {name: scratch, emptyDir: {}}
        mainContainer:
          image: IMAGE
          workingDir: /workspace
          command: [python3, -m, dynamo.vllm]
          args: [--model, Qwen/Qwen3-0.6B]
          env:
            - {name: C, value: of the container}
          volumeMounts:
            - {name: engine, mountPath: /opt/configs}
            - {name: scratch, mountPath: /scratch}
          securityContext: {capabilities: {add: [IPC_LOCK]}}
    VllmPrefill:
      componentType: worker
      subComponentType: prefill
      replicas: 1
      resources:
        requests: {gpu: "1"}
        limits: {gpu: "1"}
      extraPodSpec:
        mainContainer:
          image: IMAGE
          args: ["echo $HOME; exec python3 -m dynamo.vllm --model Qwen/Qwen3-0.6B --is-prefill-worker"]
    Other:
      replicas: 1
      sharedMemory: {disabled: true}
      extraPodSpec:
        mainContainer:
          image: IMAGE
          command: [sleep, infinity]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: graph-engine
data:
  engine.yaml: |
    # of the engine
    a: 1
""".replace("IMAGE", IMAGE)
COMMAND = "          command: [python3, -m, dynamo.vllm]\n"


def changed(*changes):
    """CONFIG with texts replaced by others, each in the first place where it stands."""
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def objects(folder, to, text=CONFIG, namespace=None, metrics=None, **more):
    """What a config becomes, read from its YAML as another program reads it."""
    path = folder / "graph.yaml"
    path.write_text(text)
    made = render.render(prepare.prepare(catalog.read(), Config(str(path), **more)), to, namespace, metrics)
    return [document for document in YAML(typ="safe").load_all(io.StringIO(render.dump(made))) if document]
