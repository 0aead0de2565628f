import numpy as np
import pytest

from mlops_lab.client.encoding import encode_images, read_file
from mlops_lab.errors import BadImage, UnsupportedMedia, WrongShape
from mlops_lab.image import InputSpec, encode_png

GREY = InputSpec(shape=(28, 28, 1), size=(28, 28))
COLOUR = InputSpec(shape=(28, 28, 3), size=(28, 28), mode="rgb")
CHANNELS_FIRST = InputSpec(shape=(3, 28, 28), size=(28, 28), mode="rgb")
ROWS = InputSpec(shape=(4,))


def content_type(images):
    return encode_images(images).request_options()["headers"]["Content-Type"]


def test_the_content_type_follows_the_images(images):
    assert content_type(images[0]) == "image/png"
    assert content_type(b"\xff\xd8\xff rest of a JPEG") == "image/jpeg"
    assert content_type(images) == content_type(images[0].astype(float)) == "application/x-npy"
    files = encode_images([encode_png(images[0]), images[1]]).request_options()["files"]
    assert [name for name, _ in files] == ["image", "image"]


def test_a_file_is_scaled_and_an_array_is_not(images):
    small = np.full((14, 14), 200, np.uint8)
    (scaled,) = encode_images(encode_png(small)).decode(GREY)
    assert scaled.shape == (28, 28) and set(scaled.ravel()) == {200}
    with pytest.raises(WrongShape, match=r"shape \(2, 14, 14\)"):
        encode_images(np.stack([small, small])).decode(GREY)


@pytest.mark.parametrize(
    ("spec", "shape", "wanted"),
    [
        (GREY, (5, 28, 28), (5, 28, 28)),
        (GREY, (5, 28, 28, 1), (5, 28, 28)),
        (GREY, (28, 28), (1, 28, 28)),
        (COLOUR, (28, 28, 3), (1, 28, 28, 3)),
        (CHANNELS_FIRST, (2, 28, 28, 3), (2, 28, 28, 3)),
        (ROWS, (4,), (1, 4)),
        (ROWS, (3, 4), (3, 4)),
    ],
)
def test_arrays_of_the_models_shape_become_a_batch(spec, shape, wanted):
    assert encode_images(np.zeros(shape)).decode(spec).shape == wanted


@pytest.mark.parametrize(("spec", "shape"), [(CHANNELS_FIRST, (3, 28, 28)), (ROWS, (3, 5)), (GREY, (28, 27))])
def test_arrays_of_other_shapes_are_rejected(spec, shape):
    with pytest.raises(WrongShape, match="Send an array of shape"):
        encode_images(np.zeros(shape)).decode(spec)


def test_a_damaged_file_among_several_is_numbered(images):
    payload = encode_images([encode_png(images[0]), b"no image"])
    assert payload.images is None
    with pytest.raises(BadImage, match="Image 2 of 2"):
        payload.decode(GREY)


def test_a_model_of_rows_takes_no_files(images):
    with pytest.raises(UnsupportedMedia, match="does not take images"):
        encode_images(images[0]).decode(ROWS)


def test_splitting_keeps_the_order_and_leaves_rows_whole(images):
    for form in (images, list(images), [encode_png(images[0]), *images[1:]]):
        parts = encode_images(form).split()
        assert [part.decode(GREY)[0].mean() for part in parts] == [pixels.mean() for pixels in images]
        assert {part.request_options()["headers"]["Content-Type"] for part in parts} == {"image/png"}
    rows = encode_images([np.zeros(4)] * 3)
    assert rows.split() == [rows]


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(BadImage, match="cannot be read"):
        read_file(tmp_path)
