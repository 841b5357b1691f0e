"""What a frontend answers: its health, its models, and completions. It says "healthy" with no worker at all, so ask it more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib3 import PoolManager

SHORT = 5.0  # seconds for what is answered from memory
# First words of the stand-in's answers: which way the KV cache came (ngc-builds/stand-in/README.md).
TRANSFERRED, LOCAL, UNLINKED, CORRUPT = "transferred", "local", "unlinked", "corrupt"


@dataclass(frozen=True)
class Answer:
    """An answer to a completion. `status` 0: none came; `error` says why it is not as it should be, "" when it is."""

    status: int
    text: str
    error: str

    @property
    def first_word(self) -> str:
        return next(iter(self.text.split()), "")


def alive(url: str) -> bool:
    """True if something answers HTTP there, whatever it says."""
    import urllib3

    try:
        _pool().request("GET", f"{url}/live", timeout=SHORT)
    except urllib3.exceptions.HTTPError:
        return False
    return True


def registered(url: str, namespace: str | None = None) -> Counter[str] | None:
    """How many workers the frontend knows of each component.endpoint; None if it does not answer."""
    data = _get(f"{url}/health")
    if data is None:
        return None
    found = [i for i in data.get("instances", []) if namespace is None or i.get("namespace") == namespace]
    return Counter(f"{i.get('component')}.{i.get('endpoint')}" for i in found)


def models(url: str) -> list[str] | None:
    """The models that the frontend lists; None if it does not answer."""
    data = _get(f"{url}/v1/models")
    return None if data is None else [str(entry.get("id")) for entry in data.get("data") or []]


def chat(url: str, model: str, prompt: str = "Hi", tokens: int = 1, timeout: float = 30.0) -> Answer:
    """One chat completion; its structure is checked."""
    import urllib3

    body = {"model": model, "max_tokens": tokens, "messages": [{"role": "user", "content": prompt}]}
    try:
        answer = _pool().request(
            "POST", f"{url}/v1/chat/completions", json=body, timeout=urllib3.Timeout(connect=SHORT, read=timeout)
        )
    except urllib3.exceptions.HTTPError as error:
        return Answer(0, "", f"no answer: {_cause(error)}")
    if answer.status != 200:
        return Answer(answer.status, "", said(answer.data) or "an empty body")
    return _checked(answer.data)


def _checked(data: bytes) -> Answer:
    """The text of a chat completion of OpenAI's form, or what is wrong with it."""
    try:
        choice = json.loads(data)["choices"][0]
        text, reason = choice["message"]["content"], choice["finish_reason"]
    except (ValueError, LookupError, TypeError):
        return Answer(200, "", "the answer is no chat completion")
    if not isinstance(text, str) or not text:
        return Answer(200, "", "the answer has no content")
    return Answer(200, text, "" if reason in ("stop", "length") else f"the answer ended by {reason}")


def said(data: bytes) -> str:
    """The message of an error body, on one line."""
    try:
        body = json.loads(data)
    except ValueError:
        return " ".join(data.decode(errors="replace").split())[:200]
    found = body.get("message") or body.get("error") if isinstance(body, dict) else body
    return str(found.get("message", found) if isinstance(found, dict) else found)


def hand_over(word: str) -> str | None:
    """What is wrong with a disaggregated stand-in's answer, by its first word; None if the KV cache was transferred."""
    meaning: Mapping[str, str] = {
        LOCAL: "the decode worker computed the prompt itself: no prefill worker was asked",
        UNLINKED: "prefill answered, but its NIXL metadata was not to be had",
        CORRUPT: "the KV transfer failed, or its content is wrong",
    }
    return None if word == TRANSFERRED else meaning.get(word, f"it begins with '{word}'")


def _get(url: str) -> dict[str, Any] | None:
    import urllib3

    try:
        answer = _pool().request("GET", url, timeout=SHORT)
        data = json.loads(answer.data) if answer.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _pool() -> PoolManager:
    """No retries and no kept connections: each question must be about now."""
    import urllib3

    return urllib3.PoolManager(retries=False, maxsize=1)


def _cause(error: Exception) -> str:
    return str(getattr(error, "reason", error)).rpartition("): ")[2] or str(error)
