import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlops_lab import data
from mlops_lab.errors import BadImage
from mlops_lab.image import InputSpec, encode_png, fit
from mlops_lab.store import ModelStore
from mlops_lab.widgets.preprocessing import has_bright_background, steps, thumbnail, trim

ROOT = Path(__file__).parents[2]
SPEC = InputSpec(shape=(28, 28, 1), size=(28, 28))


def shirt_on(ground, size=(300, 200)):
    pixels = np.full(size, ground, np.uint8)
    pixels[80:220, 60:140] = 255 - ground
    return pixels


@pytest.mark.parametrize(
    ("ground", "invert", "inverted"),
    [(255, None, True), (0, None, False), (255, False, False), (0, True, True)],
)
def test_a_bright_background_is_inverted(ground, invert, inverted):
    taken = steps(encode_png(shirt_on(ground)), SPEC, invert)
    assert ("Inverted" in [step.title for step in taken]) is inverted


def test_the_object_fills_the_image_that_is_sent():
    taken = steps(encode_png(shirt_on(0)), SPEC)
    assert [step.title for step in taken] == ["Your image", "Grey", "Trimmed", "Small"]
    assert (taken[-1].pixels == fit(shirt_on(0)[80:220, 60:140], SPEC)).all()


def test_an_image_of_the_models_size_is_sent_unchanged():
    image = np.pad(np.full((10, 10), 200, np.uint8), 9)
    taken = steps(encode_png(image), SPEC)
    assert (taken[-1].pixels == image).all()


@pytest.mark.parametrize("ground", [0, 30])
def test_specks_in_the_background_are_ignored(ground):
    image = np.full((300, 300), ground, np.uint8)
    image[100:200, 100:160] = 200
    image[5, 5] = image[290, 40] = 255
    assert trim(image).shape == (100, 60)


def test_a_garment_on_a_wide_background_is_classified_as_well_as_one_that_fills_its_image():
    garments = data.load("fashion-mnist").test.sample(200)
    model = ModelStore(ROOT / "models").load("clothes", "v1")

    def accuracy(images):
        said = [prediction.class_index for prediction in model.predict(np.stack(images))]
        return (np.array(said) == garments.labels).mean()

    photos = [255 - np.pad(np.kron(garment, np.ones((9, 9), np.uint8)), 60) for garment in garments.images]
    trimmed = accuracy([steps(encode_png(photo), SPEC)[-1].pixels for photo in photos])
    assert accuracy([fit(255 - photo, SPEC) for photo in photos]) < 0.6
    assert trimmed > accuracy(garments.images) - 0.05


def test_a_plain_background_is_not_cropped():
    assert trim(np.full((40, 40), 90, np.uint8)).shape == (40, 40)


def test_a_large_photo_becomes_small():
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000), "white").save(buffer, format="JPEG")
    taken = steps(buffer.getvalue(), SPEC)
    assert taken[-1].pixels.shape == (28, 28)
    assert max(max(step.pixels.shape[:2]) for step in taken) <= 280
    assert taken[0].caption.startswith("4000×3000")


def test_a_model_of_colours_keeps_them():
    spec = InputSpec(shape=(16, 16, 3), size=(16, 16), mode="rgb")
    taken = steps(encode_png(np.full((20, 20, 3), 200, np.uint8)), spec)
    assert [step.title for step in taken] == ["Your image", "Small"]
    assert taken[-1].pixels.shape == (16, 16, 3)


def test_a_file_that_is_no_image():
    with pytest.raises(BadImage):
        steps(b"no image", SPEC)


def test_thumbnails_keep_the_proportion():
    assert thumbnail(np.zeros((600, 300), np.uint8)).shape == (200, 100)


def test_only_the_edge_decides():
    assert not has_bright_background(np.pad(np.full((10, 10), 255, np.uint8), 1))
