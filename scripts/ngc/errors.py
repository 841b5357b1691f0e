"""The ways to fail; each text is one sentence with the fix, printed once by the verb."""


class Wrong(Exception):
    """The user asked wrongly: exit code 2."""

    code = 2


class Failed(Exception):
    """The asking was right and the work failed: exit code 1."""

    code = 1


class Interrupted(Failed):
    """The user ended it; the text says what was and what was not changed."""

    code = 130


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: the work is given up as after Ctrl-C, so that nothing half-done stays. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number
