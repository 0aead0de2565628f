import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from mlops_lab import image
from mlops_lab.errors import BadImage, BadRequest, LabError, TooLarge, WrongShape
from mlops_lab.image import InputSpec, decode, encode_png, fit, from_input, to_input
from mlops_lab.image_cost import count_parts

GREY = InputSpec(shape=(28, 28, 1), size=(28, 28))
RGB = InputSpec(shape=(8, 8, 3), size=(8, 8), mode="rgb")
FLAT = InputSpec(shape=(64,), size=(8, 8), high=16.0)
PLAIN = InputSpec(shape=(4,))
GRADIENT = np.arange(16 * 12, dtype=np.uint8).reshape(16, 12)


def written(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width, height, depth=1, colour=0):
    """Return a PNG that declares a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def interlaced():
    """Return a 2×2 grey image as an Adam7 PNG: pass 1 has pixel 0,0, pass 6 pixel 1,0, pass 7 the second row."""
    rows = b"\0\x0a" + b"\0\x14" + b"\0\x1e\x28"
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


# Decoding: every kind of PNG and JPEG


def test_grey_png_comes_back_unchanged():
    assert np.array_equal(decode(encode_png(GRADIENT)), GRADIENT)


def test_one_bit_png_is_black_and_white():
    pixels = Image.fromarray(np.eye(9, dtype=bool))
    assert np.array_equal(decode(written(pixels)), 255 * np.eye(9, dtype=np.uint8))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palette_png_of_few_bits(bits):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([10, 10, 10, 200, 200, 200])
    assert decode(written(image, bits=bits)).tolist() == [[10, 200], [200, 10]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_transparent_palette_entry_is_black(transparency):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 10, 10, 200, 200, 200])
    assert decode(written(image, transparency=transparency)).tolist() == [[10, 0]]


def test_transparent_grey_is_black():
    image = Image.fromarray(np.array([[50, 90]], np.uint8))
    assert decode(written(image, transparency=90)).tolist() == [[50, 0]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_on_black(mode):
    image = Image.new("RGBA", (2, 1), (200, 200, 200, 255))
    image.putpixel((1, 0), (200, 200, 200, 0))
    assert decode(written(image.convert(mode))).tolist() == [[200, 0]]


def test_half_transparent_is_half_as_bright():
    image = Image.new("RGBA", (1, 1), (200, 200, 200, 128))
    assert abs(int(decode(written(image))[0, 0]) - 100) <= 1


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    levels = np.array([[0, 257, 40000, 65535]], np.uint16)
    assert decode(written(Image.fromarray(levels))).tolist() == [[0, 1, 156, 255]]


def test_sixteen_bit_grey_in_colour():
    assert decode(written(Image.fromarray(np.array([[40000]], np.uint16))), "rgb").tolist() == [[[156, 156, 156]]]


def test_rgb_becomes_luminance_or_stays():
    image = Image.new("RGB", (1, 1), (255, 0, 0))
    assert decode(written(image)).tolist() == [[76]]
    assert decode(written(image), "rgb").tolist() == [[[255, 0, 0]]]


def test_grey_becomes_rgb_where_the_model_wants_it():
    assert decode(encode_png(GRADIENT), "rgb").shape == (16, 12, 3)


def test_interlaced_png():
    assert decode(interlaced()).tolist() == [[10, 20], [30, 40]]


def test_animated_png_gives_its_first_image():
    frames = [Image.new("L", (3, 2), level) for level in (40, 90)]
    data = written(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in data
    assert (decode(data) == 40).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_kind_is_close_to_what_was_drawn(mode, progressive):
    drawn = ImageOps.scale(Image.fromarray(GRADIENT), 4, Image.Resampling.BILINEAR).convert("RGB").convert(mode)
    data = written(drawn, "JPEG", quality=95, progressive=progressive)
    assert np.abs(decode(data).astype(int) - np.asarray(drawn.convert("L"), int)).mean() < 4


def test_multi_image_jpeg_gives_its_first():
    frames = [Image.new("L", (16, 16), level) for level in (40, 200)]
    data = written(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert np.abs(decode(data).astype(int) - 40).max() < 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_rotation_is_undone(orientation, mode, kind):
    if kind == "JPEG" and mode in ("RGBA", "I;16"):
        mode = "CMYK"
    half = np.zeros((16, 32), np.uint8)
    half[:8, :16] = 255  # a white quarter at the top left, where it must be after turning too
    upright = Image.fromarray(half)
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = upright
    if inverse != 1:
        stored = upright.transpose(image._TURNS[inverse])
    stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 257) if mode == "I;16" else stored
    stored = stored.convert("RGB").convert(mode) if mode in ("RGB", "RGBA", "CMYK") else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = written(stored, kind, exif=exif)
    assert np.abs(decode(data).astype(int) - half).max() < 12


def test_the_table_of_turns_is_pillow_s_own():
    for orientation, turn in image._TURNS.items():
        turned = Image.fromarray(GRADIENT)
        turned.getexif()[0x0112] = orientation
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(turned)), np.asarray(turned.transpose(turn)))


# Decoding: what is refused


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "ICO", "WEBP", "PPM"])
def test_other_formats_are_refused(kind):
    with pytest.raises(BadImage, match="not a PNG or JPEG"):
        decode(written(Image.new("RGB", (32, 32)), kind))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"%PDF-1.7", "a PDF document"),
        (b"<!doctype html><html></html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9", "a text"),
        (b"PK\x03\x04", "a zip archive"),
        (b"iVBORw0KGgoAAAANSUhEUgAAABwAAAAc", "the base64 text of an image"),
        (b"\x89PNG\r\n\x1a\n", "The PNG image of 8 bytes is damaged"),
        (b"\xff\xd8\xff", "The JPEG image of 3 bytes is damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "The JPEG image of 54 bytes is damaged"),
        (bytes(1000), "they start with 00 00 00 00"),
    ],
)
def test_what_is_no_image_is_refused_and_called_by_its_name(data, named):
    with pytest.raises(BadImage) as caught:
        decode(data)
    assert named in str(caught.value)


def test_nothing_is_refused():
    with pytest.raises(BadImage, match="empty"):
        decode(b"")


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(size):
    with pytest.raises(BadImage):
        decode(png_header(*size))


@pytest.mark.parametrize(
    "size", [(4097, 1), (1, 4097), (2001, 2000), (9500, 9500), (13000, 13000), (14000, 14000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_refused_from_its_header(size, monkeypatch):
    monkeypatch.setattr(image, "_pixels", lambda *_: pytest.fail("the pixels were decoded"))
    with pytest.raises(TooLarge, match=rf"{size[0]}×{size[1]} pixels; .*image_side=4096 .*image_pixels=4000000"):
        decode(png_header(*size))


def test_the_limits_are_arguments():
    with pytest.raises(TooLarge, match=r"image_side=10 .*image_pixels=100"):
        decode(encode_png(GRADIENT), image_side=10, image_pixels=100)
    assert decode(encode_png(GRADIENT), image_side=16, image_pixels=192).shape == (16, 12)


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(monkeypatch):
    data = written(Image.fromarray(GRADIENT), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    many = data[:last] + data[last:-2] * 40 + data[-2:]
    assert decode(many, image_scans=45).shape == GRADIENT.shape
    monkeypatch.setattr(image, "_pixels", lambda *_: pytest.fail("the pixels were decoded"))
    with pytest.raises(TooLarge, match=r"has 45 scans; the limit is image_scans=32"):
        decode(many)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pixels_are_spent_before_they_are_decoded(kind, monkeypatch):
    def spend(pixels):
        spent.append(pixels)
        raise TooLarge("no more", "")

    monkeypatch.setattr(image, "_pixels", lambda *_: pytest.fail("the pixels were decoded"))
    monkeypatch.setattr(image, "decode_plain_png", lambda *_: pytest.fail("the pixels were decoded"))
    spent = []
    with pytest.raises(TooLarge, match="no more"):
        decode(written(Image.fromarray(GRADIENT), kind), spend=spend)
    parts = 0 if kind == "PNG" else count_parts(written(Image.fromarray(GRADIENT), kind)).parts
    assert spent == [192 + 100 * parts]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_file_is_refused_or_whole(kind):
    data = written(Image.fromarray(GRADIENT), kind)
    whole = decode(data)
    refused = 0
    for length in range(0, len(data), 3):
        try:
            assert np.array_equal(decode(data[:length]), whole), length
        except BadImage:
            refused += 1
    assert refused > len(data) // 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), extra=st.binary(max_size=8))
def test_damage_never_raises_anything_else(kind, place, value, extra):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(written(Image.fromarray(GRADIENT), kind, exif=exif))
    place %= len(data)
    data[place : place + 1] = bytes([value]) + extra
    try:
        assert decode(bytes(data)).dtype == np.uint8
    except LabError as error:
        assert isinstance(error, BadImage | TooLarge)


def test_bytes_after_the_end_do_no_harm():
    assert np.array_equal(decode(encode_png(GRADIENT) + bytes(100_000)), GRADIENT)


# Encoding


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_encode_grey(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(decode(encode_png(pixels)), pixels.reshape(5, 7))


def test_encode_colour():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(decode(encode_png(pixels), "rgb"), pixels)


# Pixels to input


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(8), st.just(8))))
@settings(max_examples=40, deadline=None)
def test_a_batch_is_the_same_as_one_by_one(batch):
    for spec in (FLAT, InputSpec(shape=(8, 8, 1), size=(8, 8), low=-1.0)):
        together = to_input(batch, spec)
        singly = np.concatenate([to_input([image], spec) for image in batch])
        channels = to_input(batch[..., np.newaxis], spec)
        assert np.array_equal(together, singly)
        assert np.array_equal(together, channels)
        assert together.shape == (len(batch), *spec.shape)
        assert together.dtype == np.float32


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, [0, 0.2, 1]), (-1, 1, [-1, -0.6, 1]), (0, 16, [0, 3.2, 16])]
)
def test_the_range_of_the_input(low, high, expected):
    spec = InputSpec(shape=(1, 3, 1), size=(1, 3), low=low, high=high)
    assert to_input(np.array([[[0, 51, 255]]], np.uint8), spec).ravel() == pytest.approx(expected, abs=1e-6)


def test_whole_numbers_of_any_type_give_the_same():
    batch = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    expected = to_input(batch.astype(np.uint8), GREY)
    for dtype in (">i4", "<u2", np.int64, np.float64, ">f4"):
        assert np.array_equal(to_input(batch.astype(dtype), GREY), expected)
    assert np.array_equal(to_input(np.asfortranarray(batch), GREY), expected)


def test_the_images_are_not_changed():
    batch = np.full((2, 28, 28), 200.0)
    to_input(batch, GREY)
    assert (batch == 200).all()


def test_images_of_other_sizes_are_fitted_on_black():
    wide = np.full((10, 20), 255, np.uint8)
    row = to_input([wide, np.full((28, 28), 255, np.uint8)], GREY)
    assert row.shape == (2, 28, 28, 1)
    assert row[0, 0].max() == 0
    assert row[0, 14].min() == 1
    assert row[1].min() == 1


def test_no_images_make_an_empty_batch():
    assert to_input([], GREY).shape == (0, 28, 28, 1)
    assert to_input(np.empty((0, 28, 28), np.uint8), GREY).shape == (0, 28, 28, 1)


def test_colour_for_a_colour_model():
    batch = np.full((2, 8, 8, 3), 255, np.uint8)
    assert to_input(batch, RGB).shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("images", "spec"),
    [
        (np.zeros((28, 28), np.uint8), GREY),
        (np.zeros(28, np.uint8), GREY),
        (np.array(0, np.uint8), GREY),
        (np.zeros((2, 28, 28, 3), np.uint8), GREY),
        (np.zeros((2, 3, 28, 28, 1), np.uint8), GREY),
        ([np.zeros((0, 28), np.uint8)], GREY),
        (np.zeros((2, 8, 8), np.uint8), RGB),
        (np.zeros((2, 5)), PLAIN),
        (np.zeros(4), PLAIN),
    ],
)
def test_wrong_shapes_are_refused_and_named(images, spec):
    with pytest.raises(WrongShape, match=r"received|takes"):
        to_input(images, spec)


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (-1, np.int16, "from -1 to"),
        (256, np.int16, "to 256"),
        (np.nan, np.float32, "nan"),
        (np.inf, np.float32, "inf"),
        (0.5, np.float32, "divided by 255 already"),
        (True, bool, "bool"),
        (1j, complex, "complex"),
        ("7", str, "str"),
        (None, object, "object"),
    ],
)
def test_wrong_values_are_refused_and_named(value, dtype, words):
    image = np.zeros((28, 28), dtype)
    image[3, 4] = value
    for images in (image[np.newaxis], [image]):
        with pytest.raises(BadImage, match=words):
            to_input(images, GREY)


def test_a_black_and_white_float_image_of_zeros_and_ones_is_taken():
    assert to_input(np.ones((1, 28, 28)), GREY).max() == pytest.approx(1 / 255)


def test_a_model_without_images_gets_its_arrays_as_they_are():
    assert to_input([[1, 2, 3, 4.5]], PLAIN).tolist() == [[1, 2, 3, 4.5]]
    for value in (np.nan, np.inf):
        with pytest.raises(BadRequest, match="finite"):
            to_input(np.full((1, 4), value), PLAIN)


def test_fit_returns_what_fits_untouched():
    image = np.zeros((28, 28), np.uint8)
    assert fit(image, GREY) is image


# What a model takes, in a manifest


@pytest.mark.parametrize("spec", [GREY, RGB, FLAT, PLAIN, InputSpec(shape=(2, 3), name="x", low=-1.0)])
def test_a_spec_survives_its_manifest_entry(spec):
    assert InputSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [28, 28, 2]},
        {"shape": [-1]},
        {"shape": [10**12]},
        {"shape": ["28"]},
        {"dtype": "int8"},
        {"dtype": "nonsense"},
        {"range": [0]},
        {"preprocessing": {"kind": "image", "size": [28, 28], "mode": "cmyk"}},
        {"preprocessing": {"kind": "image", "size": [28]}},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(change):
    with pytest.raises((ValueError, TypeError, LookupError)):
        InputSpec.from_dict({**GREY.to_dict(), **change})


@pytest.mark.parametrize("spec", [GREY, RGB, FLAT, PLAIN])
def test_a_spec_is_described_in_one_sentence(spec):
    assert str(spec.size[0] if spec.size else spec.shape) in image.describe(spec)


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(shape=(2, 4, 1), size=(2, 4)),
        InputSpec(shape=(8,), size=(2, 4), low=-1.0, high=1.0),
        InputSpec(shape=(2, 4, 3), size=(2, 4), mode="rgb"),
        InputSpec(shape=(3, 2, 4), size=(2, 4), mode="rgb", high=255.0),
    ],
    ids=["grey", "flat", "rgb", "channels first"],
)
def test_an_image_is_got_back_from_the_models_input(spec):
    images = np.random.default_rng(0).integers(0, 256, (3, *spec.image_shape), dtype=np.uint8)
    assert np.array_equal(from_input(to_input(images, spec), spec), images)
