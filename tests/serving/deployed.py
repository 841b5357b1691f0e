"""A config that `up` serves, and what tests ask of it: always through the verbs and the frontend, as a user would."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sh

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 90  # far more than a slow machine takes; a hang must not take the whole run
VERB_SECONDS = 500  # for any verb: a hang must not take the whole run either


@dataclass(frozen=True)
class Said:
    """What a verb ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Verbs:
    """The verbs as processes, with a state folder of their own so that a user's stacks are left alone."""

    environment: dict[str, str]

    def __call__(self, *words: str, **environment: str) -> Said:
        done = sh.Command(sys.executable)(
            "-m", "invoke", "--search-root", str(ROOT), *words,
            _env={**self.environment, **environment}, _cwd="/", _ok_code=list(range(256)), _return_cmd=True, _tty_out=False,
            _timeout=VERB_SECONDS,
        )  # fmt: skip
        return Said(done.exit_code, done.stdout.decode(), done.stderr.decode())


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Reply:
    """An HTTP answer: status 0 when none came."""

    status: int
    body: Any

    @property
    def words(self) -> list[str]:
        """Words of a completion, of either form."""
        choice = self.body["choices"][0]
        return (choice["message"]["content"] if "message" in choice else choice["text"]).split()


@dataclass(frozen=True)
class Deployed:
    """A stack that is up."""

    verbs: Verbs
    name: str
    url: str
    model: str
    client: sh.Command = field(repr=False)

    @property
    def project(self) -> str:
        return f"ngc-{self.name}"

    def post(self, path: str, body: dict[str, Any], timeout: float = 30) -> Reply:
        """One request."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Reply(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read().decode())
        except OSError:
            return Reply(0, None)

    def chat(self, prompt: str = "Hi", tokens: int = 3, **more: Any) -> Reply:
        """One chat completion."""
        messages = [{"role": "user", "content": prompt}]
        return self.post(
            "/v1/chat/completions", {"model": self.model, "max_tokens": tokens, "messages": messages, **more}
        )

    def first_word(self, prompt: str = "Hi") -> str:
        """The word that tells which way a request went; the status as text where it failed."""
        reply = self.chat(prompt)
        return reply.words[0] if reply.status == 200 else str(reply.status)

    def stream(self, prompt: str, tokens: int, timeout: float = 60) -> Iterator[str]:
        """The words of a streamed chat completion, as they come; an `event: error` ends in AssertionError."""
        body = {
            "model": self.model,
            "max_tokens": tokens,
            "stream": True,
            "messages": [{"role": "user", "content": prompt}],
        }
        request = urllib.request.Request(
            self.url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            for line in answer:
                text = line.decode().strip()
                assert not text.startswith("event: error"), "the stream was cut with an error"
                if text.startswith("data: ") and text != "data: [DONE]":
                    delta = json.loads(text[6:])["choices"][0]["delta"]
                    yield from (delta.get("content") or "").split()

    def get(self, path: str) -> str:
        """The body of a page of the frontend; empty when it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def registered(self) -> Counter[str]:
        """How many workers the frontend knows, by component."""
        text = self.get("/health")
        return (
            Counter(i["component"] for i in json.loads(text)["instances"] if i["endpoint"] == "generate")
            if text
            else Counter()
        )

    def container(self, service: str) -> str:
        """The id of a service's container."""
        labels = [f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}"]
        found = str(
            self.client("ps", "--all", "--quiet", *(word for label in labels for word in ("--filter", label)))
        ).split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def in_container(self, service: str, *command: str) -> str:
        """Stdout of a command in a service's container."""
        return str(self.client("exec", self.container(service), *command, _timeout=30))

    def metrics(self, service: str) -> str:
        """A worker's own metrics."""
        return self.in_container(service, "curl", "-fsS", "http://127.0.0.1:9090/metrics")

    def status(self) -> tuple[int, dict[str, Any]]:
        """Exit code and data of `invoke status`."""
        said = self.verbs("status", f"--config={self.name}", "--json")
        return said.code, json.loads(said.out)


@contextmanager
def up(verbs: Verbs, client: sh.Command, config: str, name: str, *words: str, **environment: str) -> Iterator[Deployed]:
    """Serve a config under a name of its own on a free port; always taken down again."""
    port = free_port()
    said = verbs(
        "up", f"--config={config}", "--base=stand-in", f"--port={port}", f"--set=metadata.name={name}",
        f"--timeout={UP_SECONDS}", *words, **environment,
    )  # fmt: skip
    try:
        assert said.code == 0, said.err
        model = json.loads(said.out.split(" -d ")[1].strip().strip("'"))["model"]
        yield Deployed(verbs, name, f"http://127.0.0.1:{port}", model, client)
    finally:
        gone = verbs("down", f"--config={name}", **environment)
        assert gone.code == 0 or "not up" in gone.err or "no stack" in gone.err, gone.err


def left_over(client: sh.Command, project: str) -> list[str]:
    """Containers, networks and volumes of a Compose project."""
    label = f"label=com.docker.compose.project={project}"
    return [
        *str(client("ps", "--all", "--quiet", "--filter", label)).split(),
        *str(client("network", "ls", "--quiet", "--filter", label)).split(),
        *str(client("volume", "ls", "--quiet", "--filter", label)).split(),
    ]
