"""Whatever ends a verb, it ends with what was changed."""

from __future__ import annotations

import pytest

from ngc.deploy.cluster.kubectl import Unreachable
from ngc.deploy.cluster.telling import telling
from ngc.errors import Failed, Interrupted, Wrong


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (Failed("no image"), Failed, "no image; revision 2 is applied and stays, `invoke rollback` brings 1 back"),
        (Unreachable("it is away"), Failed, "it is away (revision 2 is applied and stays; wait again)"),
        (KeyboardInterrupt(), Interrupted, "interrupted: revision 2 is applied and stays; wait again"),
        (Wrong("no field x"), Wrong, "no field x; revision 2 is applied and stays, `invoke rollback` brings 1 back"),
    ],
)
def test_every_end_says_what_was_changed(error, kind, said):
    with pytest.raises(kind) as raised, telling() as told:
        told.say("revision 2 is applied and stays", "wait again", "`invoke rollback` brings 1 back")
        raise error
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Failed("no"), "no; nothing was changed"),
        (Unreachable("away"), "away (nothing was changed)"),
        (KeyboardInterrupt(), "interrupted: nothing was changed"),
        (Wrong("unknown x"), "unknown x"),
    ],
)
def test_nothing_changed_is_said_too(error, said):
    with pytest.raises((Failed, Wrong)) as raised, telling():
        raise error
    assert str(raised.value) == said


def test_what_was_made_before_is_not_forgotten():
    with pytest.raises(Failed) as raised, telling() as told:
        told.also.append("the Secret x was made")
        raise Failed("no")
    assert str(raised.value) == "no; the Secret x was made, nothing else was changed"
    with pytest.raises(Failed) as raised, telling() as told:
        told.also.append("the Secret x was made")
        told.say("revision 1 may be applied in part")
        raise Failed("no")
    assert str(raised.value) == "no; the Secret x was made, revision 1 may be applied in part"
