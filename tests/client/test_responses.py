import pytest
import requests

from mlops_lab.client.responses import NoSuchRoute, parse_json, to_error
from mlops_lab.errors import MethodNotAllowed, ServerError, TooLarge, Unavailable, UnknownVersion


def response(status, body, **headers):
    found = requests.Response()
    found.status_code, found._content, found.reason = status, body.encode(), "REASON"
    found.url = "http://127.0.0.1:1/models/m/v1"
    found.headers.update(headers)
    found.request = requests.Request("POST", found.url, headers={"Content-Type": "image/png"}).prepare()
    return found


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, '{"error": "No v9. Take v1.", "code": "unknown_version", "hint": "Take v1."}', UnknownVersion, None),
        (413, '{"error": "Too large.", "code": "another", "hint": null}', TooLarge, "another"),
        (503, '{"error": "Draining.", "code": "draining"}', Unavailable, "draining"),
        (418, '{"error": "A teapot."}', ServerError, None),
        (404, "no JSON", NoSuchRoute, None),
        (404, '["error"]', NoSuchRoute, None),
        (405, "", MethodNotAllowed, None),
        (502, "bad gateway", ServerError, None),
    ],
)
def test_errors_by_code_and_by_status(status, body, kind, code):
    error = to_error(response(status, body))
    assert type(error) is kind
    assert error.code == (code or kind.code)


def test_a_hint_is_not_part_of_the_message_too():
    error = to_error(response(404, '{"error": "No v9. Take v1.", "code": "unknown_version", "hint": "Take v1."}'))
    assert (error.message, error.hint) == ("No v9.", "Take v1.")


def test_of_an_html_page_the_reason_is_enough():
    page = response(404, "<title>404</title>", **{"Content-Type": "text/html; charset=utf-8"})
    assert "404: REASON" in str(to_error(page)) and "title" not in str(to_error(page))
    assert "'a proxy says no'" in str(to_error(response(502, "a proxy says no")))


@pytest.mark.parametrize(("body", "text"), [("[]", "not a JSON object"), ("{", "not a JSON object"), ("{}", "lacks")])
def test_a_body_without_its_key(body, text):
    with pytest.raises(ServerError, match=text):
        parse_json(response(200, body), "models")
