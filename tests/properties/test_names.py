"""References, names below a folder, quantities, challenges and texts: other people's words, read or refused."""

import re
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ngc import files, logins, output, proxies, reference
from ngc.deploy import quantity
from ngc.errors import Wrong

WORDS = st.text("abz09._-/:@[]+ \0\n\x1bé", max_size=60)
PART = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)


@st.composite
def references(draw):
    """(text, registry, repository, tag, digest)."""
    registry = draw(st.sampled_from(["", "localhost", "localhost:5000", "a.example", "[::1]:5000", "nvcr.io"]))
    parts = draw(st.lists(PART, min_size=1, max_size=4))
    if not registry:  # a dot in the first part would make a registry of it
        parts[0] = parts[0].replace(".", "-")
    repository = "/".join(parts)
    tag = draw(st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
    digest = draw(st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True))
    name = f"{registry}/{repository}" if registry else repository
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else ""), registry, repository, tag, digest


@given(references())
def test_a_reference_is_read_into_its_parts_and_written_as_it_was(made):
    text, *parts = made
    read = reference.parse(text)
    assert [read.registry, read.repository, read.tag, read.digest] == parts
    assert str(read) == text


@given(WORDS | st.text(max_size=60))
def test_what_is_no_reference_is_refused_and_what_is_one_is_no_option(text):
    try:
        read = reference.parse(text)
    except Wrong:
        return
    assert str(read) == text
    assert not text.startswith("-")
    assert reference.parse(str(read)) == read
    assert output.line(text) == text


@given(st.lists(st.sampled_from(["a", "..", ".", "", "/", "~", "b.c", "\0", "..."]), max_size=8).map("/".join))
def test_a_name_stays_below_its_folder(text):
    folder = Path("/some/folder")
    try:
        found = files.below(folder, text)
    except Wrong:
        return
    assert found != folder
    assert found.is_relative_to(folder)
    assert ".." not in found.parts


@given(st.from_regex(r"[+-]?[0-9]{1,12}(\.[0-9]{1,9})?(m|k|M|G|Ki|Mi|Gi|e[0-9]{1,2})?", fullmatch=True))
def test_a_quantity_is_a_number(text):
    number, suffix = re.fullmatch(r"([+-]?[0-9.]+)(.*)", text).groups()
    factor = {"": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    times = factor[suffix] if suffix in factor else Decimal(10) ** int(suffix[1:])
    assert quantity.parse(text) == Decimal(number) * times


@given(st.text("0123456789.eE+-KMGTPimnu ", max_size=80) | st.text(max_size=30))
def test_what_is_no_quantity_is_none(text):
    found = quantity.parse(text)
    assert found is None or found.is_finite()


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=80), max_size=4))
def test_challenges_are_words_with_parameters(headers):
    for scheme, parameters in logins.challenges(headers):
        assert re.fullmatch(r"\S+", scheme)
        assert all(re.fullmatch(r"\S+", key) for key in parameters)


REALM = st.text('abc:/?=, \\"', max_size=20)


@given(
    st.lists(st.tuples(st.sampled_from(["Basic", "Bearer", "Digest"]), REALM), min_size=1, max_size=4), st.booleans()
)
def test_each_challenge_has_its_own_realm(made, together):
    """Quoted as RFC 9110 says, in one header or in several."""
    texts = ['{} realm="{}"'.format(scheme, re.sub(r'(["\\])', r"\\\1", realm)) for scheme, realm in made]
    read = logins.challenges([", ".join(texts)] if together else texts)
    assert read == [(scheme.lower(), {"realm": realm}) for scheme, realm in made]


@given(st.text())
def test_harmless_text_drives_nothing_and_stays_harmless(text):
    said = output.harmless(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)
    assert output.harmless(said) == said
    assert "\n" not in output.line(text)
    said.encode()  # no halves of surrogate pairs


@given(st.text("abc.*:/[]0123456789,@#? ", max_size=40), st.sampled_from(["a.example", "10.1.2.3", "[fd00::1]:5000"]))
def test_variables_of_proxies_are_read_or_refused_without_their_login(text, host):
    import os
    from unittest import mock

    with mock.patch.dict(os.environ, {"https_proxy": f"http://user:s3cret{text}", "no_proxy": text}, clear=True):
        try:
            found = proxies.of(f"https://{host}/v2/")
        except Wrong as error:
            assert "s3cret" not in str(error)
            return
    assert found is None or found.login is None or "s3cret" not in found.address
