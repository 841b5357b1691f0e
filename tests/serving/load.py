"""An open-loop client: it asks at a fixed rate whatever the service does, as users do, and forgives nothing."""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Outcome:
    """One request: when it was sent (seconds since the start), how long it took, "" or what was wrong with it."""

    at: float
    seconds: float
    streamed: bool
    first_word: str
    wrong: str


@dataclass
class OpenLoop:
    """Asks `url` for `tokens` tokens, `rate` times a second, every other request streamed.

    Wrong are: no whole answer within `timeout` seconds, any status but 200, a stream that is cut or short, a first word that is
    not in `first_words`, and whatever else goes wrong. Every request that was sent is counted.
    """

    url: str
    model: str
    first_words: Collection[str]
    rate: float = 20.0
    tokens: int = 20
    timeout: float = 10.0
    sent: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> OpenLoop:
        self._begun = time.monotonic()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._clock.join()
        for thread in self._threads:
            thread.join(self.timeout * 2)
        ended = time.monotonic() - self._begun
        lost = self.sent - len(self.outcomes)
        self.outcomes += [Outcome(ended, self.timeout * 2, False, "", "did not end")] * lost

    def _tick(self) -> None:
        for number in itertools.count():
            if self._stop.wait(max(0.0, self._begun + number / self.rate - time.monotonic())):
                return
            thread = threading.Thread(target=self._one, args=(number,), daemon=True)
            self._threads.append(thread)
            self.sent += 1
            thread.start()

    def _one(self, number: int) -> None:
        begun = time.monotonic()
        streamed = bool(number % 2)
        first = wrong = ""
        try:
            words = self._ask(f"question {number}", streamed)
            first = words[0] if words else ""
            if len(words) != self.tokens:
                wrong = f"{len(words)} of {self.tokens} tokens"
            elif first not in self.first_words:
                wrong = f"began with '{first}'"
        except TimeoutError:
            wrong = f"no answer within {self.timeout:.0f} s"
        except Exception as error:  # nothing that happens to a request may leave it uncounted
            wrong = str(error) or type(error).__name__
        ended = time.monotonic()
        self.outcomes.append(Outcome(begun - self._begun, ended - begun, streamed, first, wrong))

    def _ask(self, prompt: str, streamed: bool) -> list[str]:
        where = urlsplit(self.url)
        line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=self.timeout)
        body = {
            "model": self.model, "max_tokens": self.tokens, "stream": streamed, "messages": [{"role": "user", "content": prompt}],
        }  # fmt: skip
        try:
            line.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = line.getresponse()
            if answer.status != 200:
                raise ValueError(f"status {answer.status}: {answer.read(200).decode(errors='replace')}")
            if not streamed:
                return str(json.loads(answer.read())["choices"][0]["message"]["content"]).split()
            return self._streamed(answer, time.monotonic() + self.timeout)
        finally:
            line.close()

    @staticmethod
    def _streamed(answer: http.client.HTTPResponse, deadline: float) -> list[str]:
        words: list[str] = []
        for line in answer:
            if time.monotonic() > deadline:
                raise TimeoutError
            text = line.decode().strip()
            if text.startswith("event: error"):
                raise ValueError("the stream was cut with an error")
            if text == "data: [DONE]":
                return words
            if text.startswith("data: "):
                words += (json.loads(text[6:])["choices"][0]["delta"].get("content") or "").split()
        raise ValueError("the stream ended without [DONE]")

    @property
    def wrong(self) -> list[Outcome]:
        """Requests that went wrong, in the order they were sent."""
        return sorted((outcome for outcome in self.outcomes if outcome.wrong), key=lambda outcome: outcome.at)

    @property
    def outage(self) -> float:
        """Seconds from the first request that failed to the end of the last one."""
        return outage(self.wrong)

    def said(self) -> str:
        """A line for people."""
        return said(self.outcomes)


def outage(wrong: Sequence[Outcome]) -> float:
    """Seconds from the first of some requests, in the order they were sent, to the end of the last one."""
    return max(each.at + each.seconds for each in wrong) - wrong[0].at if wrong else 0.0


def said(outcomes: Sequence[Outcome]) -> str:
    """A line for people: how many requests, how many wrong, why, and for how long."""
    wrong = sorted((outcome for outcome in outcomes if outcome.wrong), key=lambda outcome: outcome.at)
    if not wrong:
        slowest = max((outcome.seconds for outcome in outcomes), default=0.0)
        return f"{len(outcomes)} requests, none failed, the slowest took {slowest:.1f} s"
    kinds = ", ".join(f"{count} x {kind}" for kind, count in Counter(outcome.wrong for outcome in wrong).most_common(4))
    return f"{len(outcomes)} requests, {len(wrong)} failed over {outage(wrong):.1f} s: {kinds}"


def main() -> None:
    """URL MODEL FIRST-WORDS RATE: ask until stdin ends, then print every outcome as JSON. So it can run inside a cluster."""
    url, model, words, rate = sys.argv[1:]
    with OpenLoop(url, model, words.split(","), float(rate)) as load:
        sys.stdin.read()
    print(json.dumps([asdict(outcome) for outcome in load.outcomes]))


if __name__ == "__main__":
    main()
