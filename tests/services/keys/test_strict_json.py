import pytest

from changegate.services.keys import strict_json
from changegate.services.keys.strict_json import parse_json_strictly

REFUSED = {
    "utf-16": '{"a":1}'.encode("utf-16"),
    "utf-16 without a mark": '{"a":1}'.encode("utf-16-le"),
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "broken utf-8": b'{"a":"\xff"}',
    "surrogate in utf-8": b'{"a":"\xed\xa0\x80"}',
    "overlong utf-8": b'{"a":"\xc0\x80"}',
    "repeated name": b'{"a":1,"a":1}',
    "repeated name spelt with an escape": b'{"a":1,"\\u0061":2}',
    "repeated name below": b'{"a":[{"b":1,"b":2}]}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "overflow": b'{"a":1e400}',
    "negative overflow": b'{"a":-1e400}',
    "20 digits": b'{"a":10000000000000000000}',
    "5000 digits": b'{"a":%s}' % (b"9" * 5000),
    "raw NUL": b'{"a":"\x00"}',
    "escaped NUL": b'{"a":"\\u0000"}',
    "escaped NUL in a list": b'{"a":["\\u0000"]}',
    "escaped line break": b'{"a":"\\n"}',
    "control character in a name": b'{"\\u0001":1}',
    "raw DEL": b'{"a":"\x7f"}',
    "raw C1 control": '{"a":"\x85"}'.encode(),
    "lone surrogate": b'{"a":"\\ud800"}',
    "surrogates the wrong way round": b'{"a":"\\ude00\\ud83d"}',
    "trailing text": b"{}x",
    "two texts": b"{}{}",
    "nothing": b"",
    "single quotes": b"{'a':1}",
    "comment": b"{} // x",
    "leading zero": b'{"a":01}',
    "unterminated string": b'{"a":"',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_two_readers_could_read_differently(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_json_strictly(text, max_depth=8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"ä":"\U0001f600"}'.encode(), {"ä": "\U0001f600"}),
        (b' {"a" : [1, -2.5, true, null, "\\u00e4", "{[{["]}\n', {"a": [1, -2.5, True, None, "ä", "{[{["]}),
        (b'{"a":9999999999999999999}', {"a": 9999999999999999999}),
        (b'{"a":"","b":{"a":1}}', {"a": "", "b": {"a": 1}}),
        (b"[]", []),
        (b"null", None),
    ],
)
def test_reads_plain_json(text, value):
    assert parse_json_strictly(text, max_depth=4) == value


def test_refuses_one_level_more_than_allowed():
    assert parse_json_strictly(b"[" * 8 + b"]" * 8, max_depth=8)
    with pytest.raises(ValueError, match="nested deeper than 8"):
        parse_json_strictly(b"[" * 9 + b"]" * 9, max_depth=8)
    with pytest.raises(ValueError, match="nested deeper than 3 levels"):
        parse_json_strictly(b"[[[],[[]]]]", max_depth=3)


def test_counts_depth_and_not_brackets():
    text = b"[" + b",".join([b'{"a":"[[[\\"[["}'] * 50) + b"]"
    assert len(parse_json_strictly(text, max_depth=2)) == 50


def test_reads_ten_thousand_lists_and_no_more():
    assert len(parse_json_strictly(b"[" + b",".join([b"[]"] * 9_999) + b"]", max_depth=2)) == 9_999
    with pytest.raises(ValueError, match="more than 10000 objects and lists"):
        parse_json_strictly(b"[" + b",".join([b"[]"] * 10_000) + b"]", max_depth=2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[" * 200_000, "more than 10000"),
        (b'{"a":' * 100_000, "more than 10000"),
        (b"[]" * 100_000, "more than 10000"),
        (b"[" * 9 + b'"\\' * 130_000, "nested deeper than 8"),
    ],
    ids=["brackets", "objects", "siblings", "quotes"],
)
def test_texts_with_too_many_brackets_are_refused_before_they_are_parsed(monkeypatch, text, problem):
    monkeypatch.setattr(strict_json, "_DECODER", None)
    with pytest.raises(ValueError, match=problem):
        parse_json_strictly(text, max_depth=8)


def test_an_unterminated_string_is_read_once(monkeypatch):
    class Tokens:
        def finditer(self, text):
            for token in pattern.finditer(text):
                tokens.append(token[0])
                yield token

    pattern, tokens = strict_json._TOKEN, []
    monkeypatch.setattr(strict_json, "_TOKEN", Tokens())
    string = '"' + '\\"' * 1_000
    with pytest.raises(ValueError, match="not JSON"):
        parse_json_strictly(("[]" * 9 + string).encode(), max_depth=8)
    assert tokens == [*"[]" * 9, string]


def test_an_error_does_not_carry_the_text():
    with pytest.raises(ValueError, match="not JSON") as refusal:
        parse_json_strictly(b'{"secret": x}', max_depth=4)
    assert type(refusal.value) is ValueError
    assert "secret" not in str(refusal.value)
