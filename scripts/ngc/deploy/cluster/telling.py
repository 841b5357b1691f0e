"""What a verb has changed so far: whatever ends it says so, and how it goes on or is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.errors import Failed, Interrupted, Wrong

NOTHING = "nothing was changed"


@dataclass
class Told:
    """`done`: how far the work has come; `on`: what goes on from there; `back`: what undoes it; `also`: what else was changed."""

    done: str = NOTHING
    on: str = ""
    back: str = ""
    also: list[str] = field(default_factory=list)

    def say(self, done: str, on: str = "", back: str = "") -> None:
        """The work has come further."""
        self.done, self.on, self.back = done, on, back

    @property
    def changed(self) -> bool:
        return self.done != NOTHING or bool(self.also)

    def __str__(self) -> str:
        done = "nothing else was changed" if self.also and self.done == NOTHING else self.done
        return ", ".join([*self.also, done])


@contextmanager
def telling() -> Iterator[Told]:
    """Every error of the work, and Ctrl-C, also says what was changed. Raises Interrupted, Failed, Wrong."""
    told = Told()
    try:
        yield told
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {'; '.join(filter(None, (str(told), told.on)))}") from None
    except Unreachable as error:
        raise Failed(f"{error} ({'; '.join(filter(None, (str(told), told.on)))})") from None
    except Failed as error:
        raise Failed(f"{error}; {', '.join(filter(None, (str(told), told.back)))}") from None
    except Wrong as error:
        if not told.changed:  # its exit code says so
            raise
        raise Wrong(f"{error}; {', '.join(filter(None, (str(told), told.back)))}") from None


def flags(cluster: Cluster, graph: str) -> str:
    """The flags that name a deployment to a verb."""
    return f"--config={graph} --context={cluster.context} --namespace={cluster.namespace}"
