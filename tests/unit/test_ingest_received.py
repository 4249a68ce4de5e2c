"""What the door takes for an event, and what it says to everything else."""

from __future__ import annotations

import base64
import json

import pytest
from pydantic import SecretStr
from support.ingest_stage import basic

from backbone.errors import ConfigurationError
from ingest.credentials import Credentials
from ingest.received import DEEPEST_NESTING, UnusableEventError, read_event


def body(**members) -> bytes:
    return json.dumps({"id": "ev_1", "event_type": "invoice_updated", "content": {}} | members).encode()


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return b'{"id":"ev_1","event_type":"x","content":{},"more":%s1%s}' % (
        (opening * levels).encode(),
        (closing * levels).encode(),
    )


def test_an_event_keeps_its_bytes():
    raw = b' {"event_type" : "x","id":"ev_1", "content":{"new_thing":[1.50, "\xc3\xa9"]}}\n'
    event = read_event(raw)
    assert (event.event_id, event.event_type, event.body) == ("ev_1", "x", raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not_json"),
        (b"id=ev_1&event_type=x", "not_json"),
        (b'{"id":"ev_1","event_type":"x","content":{}', "not_json"),
        (b'{"id":"ev_1","event_type":"x","content":{"a":NaN}}', "not_json"),
        (b'{"id":"ev_1","event_type":"x","content":{}} {}', "not_json"),
        (b'\xef\xbb\xbf{"id":"ev_1","event_type":"x","content":{}}', "not_json"),
        (b'{"id":"ev_1","event_type":"x","content":{"a":"\xff"}}', "not_utf8"),
        (b'{"id":7,"event_type":"x","content":{}}}', "not_json"),
        (b'{"id":7,"more":' + b"[" * 5000, "nested_too_deep"),
        (b"[]", "not_an_object"),
        (b'"ev_1"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"event_type":"x","content":{}}', "event_id_missing"),
        (body(id=None), "event_id_missing"),
        (body(id=""), "event_id_missing"),
        (body(id=7), "event_id_unusable"),
        (body(id={"a": 1}), "event_id_unusable"),
        (body(id="e" * 101), "event_id_unusable"),
        (body(id="ev\u0000_1"), "event_id_unusable"),
        (b'{"id":"ev_1","content":{}}', "event_type_missing"),
        (body(event_type=["x"]), "event_type_unusable"),
        (body(event_type="a\nb"), "event_type_unusable"),
        (b'{"id":"ev_1","event_type":"x"}', "content_missing"),
        (body(content=None), "content_not_an_object"),
        (body(content=[{}]), "content_not_an_object"),
        (nested(DEEPEST_NESTING), "nested_too_deep"),
        (nested(100_000), "nested_too_deep"),
        (nested(100_000, "[", "]"), "nested_too_deep"),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(raw, code):
    with pytest.raises(UnusableEventError) as refused:
        read_event(raw)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


def test_many_siblings_are_not_deep():
    lines = [{"id": f"li_{number}", "tiers": [{"text": "[[[{{{"}]} for number in range(500)]
    assert read_event(body(content={"invoice": {"line_items": lines}})).event_id == "ev_1"
    assert read_event(nested(DEEPEST_NESTING - 1)).event_id == "ev_1"


@pytest.mark.parametrize("number", ["1" * 5000, "1e999", "-0.0000001e-400"])
def test_strange_numbers_are_stored_as_they_came(number):
    raw = body(content={"invoice": {"total": 0}}).replace(b'"total": 0', b'"total": ' + number.encode())
    assert read_event(raw).body == raw


def test_half_an_emoji_does_not_lose_the_document():
    raw = rb'{"id":"ev_1","event_type":"x","content":{"customer":{"company":"Slagerij \ud83d","note":"\\ud83d \ud83e\udd56"}}}'
    stored = json.loads(read_event(raw).body)["content"]["customer"]
    assert stored["company"] == "Slagerij \N{REPLACEMENT CHARACTER}"
    assert stored["note"] == "\\ud83d \N{BAGUETTE BREAD}"


@pytest.mark.parametrize(
    ("authorization", "admitted"),
    [
        (basic("jan", "zoë:pass"), True),
        (basic("jan", "zoë:pass").replace("Basic", "basic"), True),
        (basic("jan", "zoë:pas"), False),
        (basic("jan", ""), False),
        (basic("piet", "zoë:pass"), False),
        (basic("", ""), False),
        ("Basic " + base64.b64encode(b"jan").decode(), False),
        ("Basic !!!", False),
        ("Basic \xff\u20ac", False),
        ("Basic", False),
        ("Bearer zoë:pass", False),
        ("", False),
        (None, False),
    ],
)
def test_only_the_right_pair_is_admitted(authorization, admitted):
    assert Credentials(SecretStr("jan"), SecretStr("zoë:pass")).admit(authorization) is admitted


@pytest.mark.parametrize(
    ("username", "password"),
    [
        (None, None),
        (SecretStr("jan"), None),
        (None, SecretStr("x")),
        (SecretStr("jan"), SecretStr("")),
        (SecretStr(""), SecretStr("x")),
    ],
)
def test_a_door_without_a_password_is_not_opened(username, password):
    with pytest.raises(ConfigurationError, match="KRUISPOST_WEBHOOK_PASSWORD"):
        Credentials(username, password)
