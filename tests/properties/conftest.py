"""Properties: what holds for every input. The same examples in every run; `--hypothesis-profile=long` looks for new ones."""

from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", derandomize=True, max_examples=150, database=None, **_COMMON)
settings.register_profile("long", max_examples=5_000, database=None, **_COMMON)
settings.load_profile("short")
