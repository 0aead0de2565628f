import pytest

from mlops_lab.deploy.textproto import parse
from mlops_lab.errors import WrongUsage


def test_what_the_form_allows():
    text = """
    # a comment with { and '
    a { b: "x # no comment" c: 'it\\'s' }
    a < b: "" >,  d: -5; e: true
    f: { g: ENUM }
    """
    assert parse(text) == {
        "a": [{"b": ["x # no comment"], "c": ["it's"]}, {"b": [""]}],
        "d": [-5],
        "e": [True],
        "f": [{"g": ["ENUM"]}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a {", "'}' is missing"),
        ("\na: 'x", "Line 2"),
        ("a: }", "where a value should"),
        ("a:", "a value is missing"),
        ("5: 3", "'5' stands where the name"),
        ("a { b: 1 } }", "'}' stands where the name"),
        ("a: @", "'@' does not belong"),
    ],
)
def test_what_it_does_not(text, message):
    with pytest.raises(WrongUsage, match=message.replace("}", r"\}")):
        parse(text)
