import pytest

from mlops_lab import errors
from mlops_lab.errors import LabError, nearest

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_drawn_in_the_tree_and_has_a_code(kind):
    assert kind.__name__ in errors.__doc__
    assert kind.code.replace("_", "").isalpha()
    assert 400 <= kind.status < 600


def test_every_name_in_the_tree_is_a_class():
    drawn = [line.split()[-1 if "──" not in line else 1] for line in errors.__doc__.splitlines() if "──" in line]
    words = {word for line in errors.__doc__.splitlines() if "──" in line for word in line.split("── ")[1].split()[:1]}
    assert len(drawn) > 20
    assert words <= {kind.__name__ for kind in CLASSES}


def test_codes_are_unique():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


def test_an_error_reads_as_message_and_hint():
    error = LabError("The file is empty.", "Save it again.")
    assert str(error) == "The file is empty. Save it again."
    assert error.to_dict() == {"error": str(error), "code": "error", "hint": "Save it again."}


def test_a_notebook_shows_two_lines_instead_of_frames():
    assert errors.BadImage("It is empty.", "Send one.")._render_traceback_() == [
        "BadImage: It is empty.",
        "→ Send one.",
    ]
    assert errors.BadImage("It is empty.")._render_traceback_() == ["BadImage: It is empty."]


def test_a_code_can_be_narrower_than_the_class():
    assert errors.TooLarge("Too many.", code="too_many_headers").code == "too_many_headers"
    assert errors.TooLarge.code == "too_large"


@pytest.mark.parametrize(
    ("wanted", "known", "hint"),
    [
        ("cloths", ["clothes", "digits"], "Did you mean 'clothes'? There are: 'clothes', 'digits'."),
        ("x", ["clothes", "digits"], "There are: 'clothes', 'digits'."),
        ("x", [], "There are none yet."),
    ],
)
def test_nearest(wanted, known, hint):
    assert nearest(wanted, known) == hint


def test_nearest_does_not_list_thousands():
    hint = nearest("none", [f"m{number}" for number in range(5000)])
    assert len(hint) < 400
    assert "4980 more" in hint
