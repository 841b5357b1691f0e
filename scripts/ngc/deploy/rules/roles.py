"""Rules about prefill and decode: what makes a worker one, and what each is without the other."""

from __future__ import annotations

from collections.abc import Iterator

from ngc.deploy import serving
from ngc.deploy.commandline import flags
from ngc.deploy.graph import DECODE, PREFILL, WORKER, Service
from ngc.deploy.rules.rule import ERROR, INFO, WARNING, Found, Subject, at, in_main, rule, variable


def _words(subject: Subject, role: str) -> list[str]:
    wanted: list[str] = subject.serving.get("roles", {}).get(role, [])
    return wanted


def _all_told(subject: Subject, service: Service) -> list[str]:
    """The roles that the command line says, whatever subComponentType does."""
    # --flag=value is two words.
    words = [part for word in service.words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    wanted = {role: _words(subject, role) for role in (PREFILL, DECODE)}
    return [r for r, w in wanted.items() if w and any(words[n : n + len(w)] == w for n in range(len(words)))]


def _told(subject: Subject, service: Service) -> str | None:
    return next(iter(_all_told(subject, service)), None)


@rule("role-twice", ERROR)
def role_twice(subject: Subject) -> Iterator[Found]:
    """A command line that says prefill and decode: only one of the two counts, and the graph may lack a worker for the other."""
    for service in subject.workers:
        if len(_all_told(subject, service)) > 1:
            both = " and ".join(" ".join(_words(subject, role)) for role in (PREFILL, DECODE))
            last = _words(subject, DECODE)
            keys = next((f.keys for f in reversed(flags(service)) if f.head == last[0]), in_main(service, "args"))
            yield Found(keys, f"it is given {both}: a worker has one role, and only one of the two counts",
                        "keep one, and give the other role to a worker of its own")  # fmt: skip


@rule("role-mismatch", ERROR)
def role_mismatch(subject: Subject) -> Iterator[Found]:
    """subComponentType says prefill or decode and the command line does not: the worker registers as something else, and no KV cache is handed over."""
    for service in subject.workers:
        said, told = service.sub_type, _told(subject, service)
        if len(_all_told(subject, service)) > 1:
            continue  # role-twice says it
        if said not in (PREFILL, DECODE) or said == told or not _words(subject, said):
            continue
        # A role of one word is a switch that decode workers may go without; with a value, the default is another role.
        if told is None and said == DECODE and len(_words(subject, DECODE)) == 1:
            continue
        words = " ".join(_words(subject, said))
        other = f"the command line makes it a {told} worker" if told else "the command line does not"
        yield Found(
            at(service, "subComponentType"),
            f"subComponentType says {said} and {other}: it registers as something else, and nothing is handed over",
            f"add {words} to its args" if told is None else f"write {words}, or subComponentType: {told}",
        )


@rule("role-unlabelled", INFO)
def role_unlabelled(subject: Subject) -> Iterator[Found]:
    """A prefill or decode worker without subComponentType: the operator and its planner take it for any worker."""
    for service in subject.workers:
        if service.sub_type is None and (told := _told(subject, service)):
            what = (
                f"its command line makes it a {told} worker, which the operator does not know: its pods lack the label"
            )
            yield Found(at(service), what, f"add subComponentType: {told}")


def _has_decode(subject: Subject) -> bool:
    return any(role != PREFILL for role in subject.roles.values())


@rule("prefill-alone", ERROR)
def prefill_alone(subject: Subject) -> Iterator[Found]:
    """Prefill workers without a decode worker: the model may be listed, and every chat answers 503."""
    if subject.disaggregated and not _has_decode(subject):
        for service in subject.workers:
            if subject.roles.get(service.key) == PREFILL and len(_all_told(subject, service)) < 2:
                yield Found(at(service), "there is no decode worker with replicas: the model may be listed, and chats answer 503",
                            "add a decode worker")  # fmt: skip


def _decode_alone(subject: Subject, outcome: str) -> Iterator[Service]:
    if subject.serving.get("without-prefill") == outcome and not subject.disaggregated:
        # A decode worker may have no words of its own: where a prefill worker has no replicas, the others are meant for decode.
        idle = any(serving.role(s, subject.serving) == PREFILL for s in subject.workers if not subject.runs(s))
        for service in subject.workers:
            if subject.roles.get(service.key) in ((DECODE, WORKER) if idle else (DECODE,)):
                yield service


@rule("decode-waits", ERROR)
def decode_waits(subject: Subject) -> Iterator[Found]:
    """Decode workers without a prefill worker, of a framework that cannot do without: they wait for one and serve no model."""
    for service in _decode_alone(subject, "fails"):
        yield Found(at(service), "there is no prefill worker with replicas: it waits for one before it serves a model",
                    "add a prefill worker, or take the role out of its args")  # fmt: skip


@rule("decode-alone", WARNING)
def decode_alone(subject: Subject) -> Iterator[Found]:
    """Decode workers without a prefill worker, of a framework that computes prompts itself then: nothing is disaggregated."""
    for service in _decode_alone(subject, "local"):
        yield Found(at(service), "there is no prefill worker with replicas: it computes the prompts itself",
                    "add a prefill worker, or take subComponentType and role flags out")  # fmt: skip


@rule("strategy-differs", ERROR)
def strategy_differs(subject: Subject) -> Iterator[Found]:
    """Workers with different strategies of disaggregation: the model never appears, chats answer 503, and no log says why."""
    strategy = subject.serving.get("strategy")
    if not strategy or not subject.disaggregated:
        return
    first: str | None = None
    for service in subject.workers:
        value = serving.flag(service.words, strategy["flag"], {}) or strategy["default"]
        first = first or value
        if value != first:
            keys = next((f.keys for f in flags(service) if f.head == strategy["flag"]), in_main(service, "args"))
            what = f"its strategy is {value}, that of {subject.workers[0].key} is {first}: the model never appears, chats answer 503"
            yield Found(keys, what, f"write {strategy['flag']} {first} in both, or leave it out of both")


@rule("first-only", ERROR)
def first_only(subject: Subject) -> Iterator[Found]:
    """A flag of the worker that is asked first, at one that is asked by it: the container ends at once."""
    name = subject.serving.get("strategy", {}).get("first-only")
    for service in subject.workers if name and subject.disaggregated else ():
        flag = next((f for f in flags(service) if f.head == name), None)
        if flag and not subject.first(service):
            what = f"{name} is for the worker that is asked first, which is not this one with {subject.strategy(service)}: the container ends at once"
            yield Found(flag.keys, what, "take it out")


@rule("never-ready", WARNING)
def never_ready(subject: Subject) -> Iterator[Found]:
    """A variable with which workers that are asked second say that they are not ready: the graph waits for them, although chats are answered."""
    known = subject.serving.get("never-ready")
    if not known or not subject.disaggregated:
        return
    for service in subject.workers:
        said = variable(subject.graph, service, known["variable"])
        on = said is not None and said[0].lower() in ("true", "1")
        if said and on and subject.strategy(service) == known["strategy"] and not subject.first(service):
            what = f"with {known['variable']} and {known['strategy']} it says 503 at /health for ever, although chats are answered"
            yield Found(said[1], what, "take the variable out of this worker, or take the other strategy")


@rule("no-connector", WARNING)
def no_connector(subject: Subject) -> Iterator[Found]:
    """A worker of a disaggregated graph without a connector: no KV cache is handed over, and prompts are computed again."""
    off, needed = subject.serving.get("connector-off"), subject.serving.get("connector")
    for service in subject.workers if subject.disaggregated else ():
        given = flags(service)
        for flag in given if off else ():
            if off and flag.head == off["flag"] and all(value.lower() in off["values"] for value in flag.values):
                said = " ".join((flag.head, *flag.values))
                yield Found(flag.keys, f"{said} hands no KV cache over: prompts are computed again", "take it out")
        if needed and not any(flag.head == needed[0] for flag in given):
            what = f"without {needed[0]} it hands no KV cache over: prompts are computed again"
            yield Found(in_main(service, "args"), what, f"add {needed[0]} '{' '.join(needed[1:])}'")


@rule("models-differ", WARNING)
def models_differ(subject: Subject) -> Iterator[Found]:
    """Prefill and decode workers of different models: a prefill worker is asked only for its own."""
    if not subject.disaggregated:
        return
    decoding = {serving.model(s, subject.serving) for s in subject.workers if subject.roles.get(s.key) != PREFILL}
    for service in subject.workers:
        own = serving.model(service, subject.serving)
        if subject.roles.get(service.key) == PREFILL and own and decoding and own not in decoding:
            served = ", ".join(sorted(name for name in decoding if name)) or "none"
            yield Found(in_main(service, "args"), f"it prefills {own}, and decode workers serve {served}: it is never asked",
                        "give both the same model and name")  # fmt: skip
