import base64
import io
import json
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_lab.errors import BadImage, BadRequest, LabError, TooLarge, UnsupportedMedia, WrongShape
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.serve import Limits
from mlops_lab.serve.codecs import images as codec

GREY = InputSpec(shape=(28, 28, 1), size=(28, 28))
FLAT = InputSpec(shape=(64,), size=(8, 8), high=16.0)
PLAIN = InputSpec(shape=(4,))
LIMITS = Limits()
IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
BATCH = np.stack([IMAGE, IMAGE[::-1], IMAGE.T])
PNG = encode_png(IMAGE)


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def json_of(message):
    return codec.decode("application/json", json.dumps(message).encode(), GREY, LIMITS)


def of_npy(array, spec=GREY, **options):
    return codec.decode("application/x-npy", npy(array, **options), spec, LIMITS)


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg"])
def test_an_image_is_told_by_its_bytes_not_by_its_label(kind):
    assert np.array_equal(codec.decode(kind, PNG, GREY, LIMITS)[0], IMAGE)


def test_an_image_of_another_size_is_fitted():
    big = encode_png(np.kron(IMAGE, np.ones((2, 2), np.uint8)))
    assert codec.decode("image/png", big, GREY, LIMITS)[0].shape == (28, 28)


@pytest.mark.parametrize("kind", ["text/plain", "application/pdf", "x" * 5000])
def test_other_types_are_refused_with_those_there_are(kind):
    with pytest.raises(UnsupportedMedia) as caught:
        codec.decode(kind, PNG, GREY, LIMITS)
    assert all(known in caught.value.hint for known in codec.TYPES)
    assert len(str(caught.value)) < 500


def test_curl_s_default_gets_a_hint():
    with pytest.raises(UnsupportedMedia, match="Content-Type: image/png"):
        codec.decode("application/x-www-form-urlencoded", PNG, GREY, LIMITS)


# JSON

TEXT = base64.b64encode(PNG).decode()


@pytest.mark.parametrize("image", [TEXT, f"data:image/png;base64,{TEXT}", IMAGE.tolist(), IMAGE[..., None].tolist()])
def test_every_form_of_an_image_in_json(image):
    for message in ({"image": image}, {"images": [image]}):
        assert np.array_equal(json_of(message)[0], IMAGE)


def test_images_of_several_forms_keep_their_order():
    found = json_of({"images": [BATCH[1].tolist(), TEXT, BATCH[2].tolist()]})
    assert [np.array_equal(one, other) for one, other in zip(found, BATCH[[1, 0, 2]], strict=True)] == [True] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"17", b"null", b'"x"', b"{}", b'{"image": 1}', b'{"image": 1, "images": []}',
        b'{"images": {}}', b'{"images": null}', b"\xff\xfe{", b"\x00", b'{"image": NaN}', b'{"image": Infinity}',
        b'{"image": [[1]], "image": [[2]]}', b'{"__proto__": 1}', b'{"images": []}',
        b'{"image": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_json_that_makes_no_sense(body):
    with pytest.raises(BadRequest):
        codec.decode("application/json", body, GREY, LIMITS)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (None, BadImage),
        (True, BadImage),
        (7, BadImage),
        ({}, BadImage),
        ("not base64!", BadImage),
        ("é", BadImage),
        (base64.b64encode(b"no image").decode(), BadImage),
        ([], WrongShape),
        ([[1, 2], [3]], WrongShape),
        ([[1, [2]], [3, 4]], WrongShape),
        (IMAGE[:27].tolist(), WrongShape),
        (BATCH.tolist(), WrongShape),
        ([["7"] * 28] * 28, BadImage),
        ([[None] * 28] * 28, BadImage),
        ([[True] * 28] * 28, BadImage),
        ([[{}] * 28] * 28, BadImage),
        ([[256] * 28] * 28, BadImage),
        ([[-1] * 28] * 28, BadImage),
        ([[10**400] * 28] * 28, LabError),
        ([[10**30] * 28] * 28, BadImage),
        ((IMAGE / 255).tolist(), BadImage),
    ],
)
def test_images_in_json_that_make_no_sense(image, kind):
    with pytest.raises(kind):
        json_of({"image": image})


def test_the_wrong_image_of_several_is_named():
    with pytest.raises(BadImage, match="Image 2 of 3: The 5 bytes"):
        codec.decode_form(codec.Form([PNG, b"hello", PNG], [], []), GREY, LIMITS)
    with pytest.raises(WrongShape, match="Image 2 of 2: The image has the shape"):
        json_of({"images": [IMAGE.tolist(), [[1]]]})
    with pytest.raises(BadImage, match=r"^The 5 bytes"):
        codec.decode_form(codec.Form([b"hello"], [], []), GREY, LIMITS)


@pytest.mark.parametrize("shape", [(27, 28), (784,)])
def test_the_hint_asks_for_pixels_not_for_the_model_s_range(shape):
    with pytest.raises(WrongShape) as caught:
        of_npy(np.zeros(shape, np.uint8))
    assert caught.value.hint == "Send pixels 0–255: an array of shape (28, 28), or of (n, 28, 28)."


def test_infinity_by_the_back_door():
    body = json.dumps({"image": [[0] * 28] * 27 + [[12345] * 28]}).replace("12345", "1e400").encode()
    with pytest.raises(BadImage, match="inf"):
        codec.decode("application/json", body, GREY, LIMITS)


def test_a_long_string_among_numbers_takes_no_memory():
    body = json.dumps({"image": [["x" * 100_000, *[0] * 300_000]]}).encode()
    with pytest.raises(BadImage, match="hold str"):
        codec.decode("application/json", body, GREY, LIMITS)


def test_the_depth_of_json_is_limited_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(BadRequest, match="100001 deep; the limit is json_depth=8"):
        codec.parse_json(b'{"image": ' + b"[" * 100_000, LIMITS)


def test_brackets_inside_strings_are_no_depth():
    assert codec.parse_json(json.dumps({"a": '[[[[[[[[[[\\"[[['}).encode(), LIMITS)
    assert codec.parse_json(json.dumps([["]" * 50, "[" * 50]] * 20).encode(), LIMITS)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 700_000, b'"x' * 500_000, b'"' + b"\\" * 1_000_000, b"[]" * 500_000])
def test_hostile_quotes_take_one_pass(body):
    with pytest.raises(BadRequest):
        codec.parse_json(body, LIMITS)


def test_long_keys_are_not_sent_back():
    with pytest.raises(BadRequest) as caught:
        json_of({"k" * 100_000: 1, **{f"key{number}": 1 for number in range(5000)}})
    assert len(str(caught.value)) < 1000


# npy


@pytest.mark.parametrize(
    "array",
    [
        BATCH,
        BATCH[..., None],
        np.asfortranarray(BATCH),
        BATCH.astype(">i4"),
        BATCH.astype("<u2"),
        BATCH.astype(np.int64),
        BATCH.astype(">f8"),
        BATCH.astype(np.float32),
    ],
)
def test_npy_batches_of_every_kind(array):
    assert np.array_equal(np.stack(list(of_npy(array))), BATCH)


@pytest.mark.parametrize("array", [IMAGE, IMAGE[..., None], np.asfortranarray(IMAGE), IMAGE.astype(">u4")])
def test_npy_of_one_image(array):
    assert np.array_equal(of_npy(array)[0], IMAGE)


def test_npy_for_a_flat_model():
    batch = np.arange(3 * 64, dtype=np.uint8).reshape(3, 64)
    assert np.array_equal(of_npy(batch, FLAT), batch.reshape(3, 8, 8))
    assert len(of_npy(batch[0], FLAT)) == 1


def test_npy_for_a_model_without_images():
    assert len(of_npy(np.ones((3, 4)), PLAIN)) == 3
    assert len(of_npy(np.ones(4), PLAIN)) == 1
    with pytest.raises(BadRequest, match="finite"):
        of_npy(np.full((1, 4), np.nan), PLAIN)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(version):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, BATCH, version=version)
    assert np.array_equal(codec.decode_npy(buffer.getvalue(), GREY, LIMITS), BATCH)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 28)), np.zeros((2, 27, 28)), np.zeros((2, 28, 28, 3)), np.zeros((1,) * 9), np.array(3)]
)
def test_npy_of_wrong_shapes(array):
    with pytest.raises(WrongShape):
        of_npy(array)


@pytest.mark.parametrize(
    "dtype", [object, "U3", "S3", bool, complex, "datetime64[s]", [("a", "u1"), ("b", "f4")], np.longdouble]
)
def test_npy_of_wrong_types(dtype):
    with pytest.raises(BadImage, match="The array holds"):
        of_npy(np.zeros((1, 28, 28), dtype), allow_pickle=True)


def test_no_images_and_too_many():
    with pytest.raises(BadRequest, match="no image"):
        of_npy(np.zeros((0, 28, 28), np.uint8))
    with pytest.raises(TooLarge, match="257 images; the limit is batch=256"):
        of_npy(np.zeros((257, 28, 28), np.uint8))
    with pytest.raises(TooLarge, match="batch=2"):
        codec.decode_npy(npy(BATCH), GREY, Limits(batch=2))


def test_a_pickle_in_an_array_is_not_run(tmp_path):
    class Bad:
        def __reduce__(self):
            return ((tmp_path / "canary").touch, ())

    array = np.empty((1, 28, 28), object)
    array[:] = Bad()
    for body in (npy(array, allow_pickle=True), pickle.dumps(Bad())):
        with pytest.raises(BadRequest):
            codec.decode_npy(body, GREY, LIMITS)
    assert not (tmp_path / "canary").exists()


def header(text, body=b""):
    text = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x01\x00\xff\xff",
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 28, 28), }"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (999999999, 999999999, 999999999), }"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 28, 28), }"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (1L, 28L, 28L), }"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28), }", bytes(785)),
        header("{'descr': '|u1', 'shape': (1,"),
        header("[" * 100),
        header("__import__('os').system('true')"),
    ],
)
def test_headers_that_lie(body):
    with pytest.raises(BadRequest):
        codec.decode_npy(body, GREY, LIMITS)


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_truncated_npy(length):
    with pytest.raises(BadRequest):
        codec.decode_npy(npy(BATCH)[:length], GREY, LIMITS)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 140), piece=st.binary(max_size=12))
def test_damaged_npy_never_raises_anything_else(place, piece):
    body = npy(IMAGE)
    damaged = body[:place] + piece + body[place + len(piece) :]
    with suppress(BadRequest):
        assert len(codec.decode_npy(damaged, GREY, LIMITS)) >= 1


# Forms and answers


def test_a_form_keeps_its_order():
    files = [encode_png(image) for image in BATCH]
    assert np.array_equal(np.stack(list(codec.decode_form(codec.Form(files, [], []), GREY, LIMITS))), BATCH)


def test_a_form_without_images_says_what_it_has():
    with pytest.raises(BadRequest, match="'image', 'note'"):
        codec.decode_form(codec.Form([], [], ["image", "note"]), GREY, LIMITS)
    with pytest.raises(BadRequest, match="it is empty"):
        codec.decode_form(codec.Form([], [], []), GREY, LIMITS)


def test_a_model_without_images_takes_none():
    with pytest.raises(UnsupportedMedia, match="does not take images"):
        codec.decode("image/png", PNG, PLAIN, LIMITS)


def test_the_answer_is_the_design_s(bright, images):
    answer = json.loads(codec.encode(bright, bright.probabilities(images[:1])))
    assert answer == {
        "model": "bright",
        "version": "v1",
        "predictions": [{"label": "dark", "class": 0, "confidence": 1.0, "probabilities": [1.0, 0.0]}],
    }


@pytest.mark.parametrize("road", ["json", "form"])
def test_many_small_images_may_not_cost_more_than_a_large_one(road):
    limits = Limits(request_pixels=3 * 784)
    text = base64.b64encode(PNG).decode()

    def send(number):
        if road == "form":
            return codec.decode_form(codec.Form([PNG] * number, [], ["image"]), GREY, limits)
        return codec.decode("application/json", json.dumps({"images": [text] * number}).encode(), GREY, limits)

    assert len(send(3)) == 3
    with pytest.raises(TooLarge, match=r"Image 4 of 4: .* 3136 pixels; the limit is request_pixels=2352"):
        send(4)


@pytest.mark.parametrize("piece", ["[]", "{}", "[0]"])
def test_json_of_very_many_lists_is_refused_before_it_is_parsed(piece, monkeypatch):
    monkeypatch.setattr(codec, "loads", lambda body: pytest.fail("it was parsed"))
    body = f'{{"images": [{", ".join([piece] * 300_000)}]}}'.encode()
    with pytest.raises(TooLarge, match=r"json_containers=300000"):
        codec.decode("application/json", body, GREY, LIMITS)


def test_the_largest_batch_of_lists_is_parsed():
    batch = np.zeros((LIMITS.batch, 28, 28, 1), int).tolist()
    assert len(json_of({"images": batch})) == LIMITS.batch
