"""Why a worker ended, told from its last log lines: the causes that users meet most, each with its fix."""

from __future__ import annotations

import re
from collections.abc import Sequence

_KNOWN = (
    (r"unrecognized arguments: (?P<what>.+)", "its command does not know {what}; `invoke validate` names the right flags"),
    (r"error: argument (?P<what>.+)", "its command is wrong: argument {what}"),
    (r"GatedRepoError|401 Client Error.*huggingface|Access to model (?P<what>\S+) is restricted", "Hugging Face wants a token for the model; set HF_TOKEN"),
    (r"RepositoryNotFoundError|404 Client Error.*huggingface", "Hugging Face has no such model; check --model"),
    (r"CUDA out of memory|torch\.OutOfMemoryError", "the GPU's memory is full; take a smaller model, more GPUs (tensor parallel) or a shorter --max-model-len"),
    (r"No CUDA GPUs are available|no CUDA-capable device", "it sees no GPU; `invoke doctor` says what is missing"),
    (r"CUDA driver version is insufficient|error 803", "the driver is older than the image's CUDA needs; update it (ngc-builds/releases.yaml has the floors)"),
    (r"No space left on device", "the disk is full"),
    (r"Unable to (?:create lease|connect to etcd)|etcd.*(?:Connection refused|transport error)", "it does not reach etcd"),
    (r"JetStream not (?:available|enabled)|nats.*[Cc]onnection refused", "it does not reach NATS with JetStream"),
    (r"[Aa]ddress already in use", "a port that it wants is taken"),
    (r"exec: \"(?P<what>[^\"]+)\": (?:executable file not found|stat)", "the image has no program {what}; is it the right image?"),
    (r"exec (?P<what>\S+) failed: No such file or directory", "the image has no program {what}; is it the right command, and the right image?"),
    (r"No module named '?(?P<what>[\w.]+)", "the image has no Python module {what}; is it the right image?"),
)  # fmt: skip


def why(lines: Sequence[str]) -> str | None:
    """One sentence for the last known cause among the lines, None where there is none."""
    for line in reversed(lines):
        for pattern, sentence in _KNOWN:
            if match := re.search(pattern, line):
                return sentence.format(**{key: value or "" for key, value in match.groupdict().items()})
    return None
