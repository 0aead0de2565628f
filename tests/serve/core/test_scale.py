import numpy as np
import pytest

from mlops_lab.errors import BadImage, BadRequest
from mlops_lab.image import InputSpec
from mlops_lab.serve.core.scale import check_pixel_scale, check_tensor_scale

UNIT = InputSpec((2, 2, 1), size=(2, 2))


@pytest.mark.parametrize(
    "image",
    [np.zeros((2, 2)), np.zeros((2, 2), np.uint8), np.array([[0, 2]]), np.array([[255.0, 0.5]]), np.empty((0, 2))],
)
def test_pixels_pass(image):
    check_pixel_scale(image[np.newaxis])


def test_no_images_pass():
    check_pixel_scale(np.empty((0, 2, 2), np.uint8))
    check_tensor_scale(np.empty((0, 2, 2, 1), np.float32), UNIT)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("values", [[0, 0, 0, 1], [1, 1, 1, 1]])
def test_zeros_and_ones_are_a_mask(values, dtype):
    with pytest.raises(BadImage, match="0–255; all of these are 0 or 1, like a mask") as caught:
        check_pixel_scale(np.array(values, dtype).reshape(1, 2, 2))
    assert caught.value.hint == "Send them times 255."


def test_fractions_were_divided_already():
    with pytest.raises(BadImage, match="divided by 255 already"):
        check_pixel_scale(np.array([[[0.0, 0.5]]]))


def test_one_of_several_is_named():
    with pytest.raises(BadImage, match=r"^Image 2 of 3: "):
        check_pixel_scale(np.array([[[9, 0]], [[1, 0]], [[0, 0]]]))


@pytest.mark.parametrize("values", [[0, 1], [0, 0], [1, 1], [0.2, 1 + 1e-4], [-1e-4, 1]])
def test_a_scaled_tensor_passes(values):
    check_tensor_scale(np.array([values], np.float32), UNIT)


@pytest.mark.parametrize("spec", [InputSpec((2,)), InputSpec((2,), high=255.0)])
def test_numbers_without_a_scale_pass(spec):
    check_tensor_scale(np.array([[-3.0, 4000.0]], np.float32), spec)


@pytest.mark.parametrize(("values", "told"), [([0, 255], "divide them by 255"), ([0, 2], "255"), ([-1, 1], "training")])
def test_a_tensor_of_another_scale_is_refused(values, told):
    with pytest.raises(
        BadRequest, match=rf"from {values[0]} to {values[1]}; the model takes images scaled to 0–1"
    ) as e:
        check_tensor_scale(np.array([values], np.float32), UNIT)
    assert told in e.value.hint


def test_the_range_is_the_models():
    signed = InputSpec((2,), size=(1, 2), low=-1.0)
    check_tensor_scale(np.array([[-1.0, 1.0]]), signed)
    with pytest.raises(BadRequest, match="scaled to -1–1"):
        check_tensor_scale(np.array([[0.0, 255.0]]), signed)
    pixels = InputSpec((2,), size=(1, 2), high=255.0)
    check_tensor_scale(np.array([[0.0, 2.0]]), pixels)
    check_tensor_scale(np.array([[0.0, 0.0]]), pixels)
    with pytest.raises(BadImage, match="like a mask"):
        check_tensor_scale(np.array([[0.0, 1.0]]), pixels)
