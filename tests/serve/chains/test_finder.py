import numpy as np
import pytest
from PIL import Image

from mlops_lab.serve.chains import finder
from mlops_lab.serve.chains.finder import Box, bridge, find_digits, label_patches


def sheet(paper=0, ink=255):
    """A tall bar, a ring, and a wide bar, from left to right."""
    image = np.full((60, 140), paper, np.uint8)
    image[10:50, 15:21] = ink
    image[12:48, 50:80] = ink
    image[20:40, 58:72] = paper
    image[8:52, 105:125] = ink
    return image


BOXES = [Box(15, 10, 6, 40), Box(50, 12, 30, 36), Box(105, 8, 20, 44)]


@pytest.mark.parametrize(("paper", "ink"), [(0, 255), (255, 0), (200, 90), (60, 140)])
def test_dark_on_light_and_light_on_dark_from_left_to_right(paper, ink):
    found = find_digits(sheet(paper, ink))
    assert [digit.box for digit in found] == BOXES
    assert all(digit.pixels.max() == 255 and digit.pixels.min() == 0 for digit in found)


def test_noise_changes_little():
    noisy = sheet(230, 30) + np.random.default_rng(0).normal(0, 10, (60, 140))
    found = find_digits(np.clip(noisy, 0, 255).astype(np.uint8))
    assert len(found) == 3
    assert np.abs(np.array([digit.box for digit in found]) - np.array(BOXES)).max() <= 1


def test_dirt_is_no_digit():
    dirty = sheet(255, 0)
    dirty[2:5, 35:38] = dirty[30:33, 90:92] = dirty[56, 10:40] = 0
    assert len(find_digits(dirty)) == 3


def test_a_broken_digit_is_one():
    broken = sheet()
    broken[28:32] = 0  # a gap across all three
    broken[:, 65] = 0  # a scratch down the ring
    assert [digit.box for digit in find_digits(broken)] == BOXES


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_sheet_has_none(level):
    assert find_digits(np.full((50, 80), level, np.uint8)) == []


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_none(seed):
    noise = np.random.default_rng(seed).normal(128, 15, (200, 300))
    assert find_digits(np.clip(noise, 0, 255).astype(np.uint8)) == []


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (2, 2), (1, 5000), (5000, 1)])
def test_odd_shapes_do_no_harm(shape):
    assert find_digits(np.arange(np.prod(shape)).reshape(shape).astype(np.uint8) % 2 * 255) is not None


def test_strokes_of_one_pixel_are_seen():
    thin = np.zeros((28, 60), np.uint8)
    thin[4:24, 10] = thin[4:24, 40] = 255
    assert [digit.box.left for digit in find_digits(thin)] == [10, 40]


def test_a_crop_is_square_and_keeps_the_proportions():
    bar, _, block = find_digits(sheet())
    assert bar.pixels.shape == (40, 40)
    assert (bar.pixels > 0).sum() == 6 * 40
    assert block.pixels.shape == (44, 44)


def test_a_crop_has_its_mass_in_the_middle():
    # An L: its box is centred elsewhere than its mass.
    image = np.zeros((60, 60), np.uint8)
    image[10:50, 20:26] = 255
    image[44:50, 20:36] = 255
    (digit,) = find_digits(image)
    columns = digit.pixels.sum(axis=0) @ (np.arange(40) + 0.5) / digit.pixels.sum()
    assert abs(columns - 20) <= 0.5


def test_a_crop_holds_nothing_of_its_neighbour():
    # The second stroke leans over the first; their boxes overlap, less than half.
    image = np.zeros((60, 80), np.uint8)
    for row in range(10, 50):
        image[row, 60 - row : 66 - row] = 255
        image[row, 72 - row : 78 - row] = 255
    first, second = find_digits(image)
    assert (first.pixels > 0).sum() == (second.pixels > 0).sum() == 40 * 6


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_margin_is_a_share_of_the_digit(margin):
    assert find_digits(sheet(), margin)[0].pixels.shape == (round(40 * (1 + 2 * margin)),) * 2


def test_a_large_image_is_shrunk_and_its_boxes_are_not():
    large = np.asarray(Image.fromarray(sheet()).resize((1400, 600), Image.Resampling.NEAREST))
    found = find_digits(large)
    assert np.abs(np.array([digit.box for digit in found]) - 10 * np.array(BOXES)).max() <= 4
    assert max(digit.pixels.shape[0] for digit in found) <= finder.WORKING_SIDE


def test_confetti_ends():
    grid = (np.arange(600) % 6 < 3)[:, None] & (np.arange(600) % 6 < 3)
    assert len(find_digits((grid * 255).astype(np.uint8))) <= finder.MOST_PATCHES


def naive_labels(ink):
    """The same by walking, one pixel at a time."""
    labels, number = np.zeros(ink.shape, int), 0
    for start in zip(*np.nonzero(ink), strict=True):
        if labels[start]:
            continue
        number += 1
        todo = [start]
        while todo:
            y, x = todo.pop()
            if 0 <= y < ink.shape[0] and 0 <= x < ink.shape[1] and ink[y, x] and not labels[y, x]:
                labels[y, x] = number
                todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


@pytest.mark.parametrize("seed", range(40))
def test_patches_are_those_that_walking_finds(seed):
    random = np.random.default_rng(seed)
    ink = random.random(random.integers(1, 40, size=2)) < random.random()
    ours, walked = label_patches(ink), naive_labels(ink)
    pairs = set(zip(ours.ravel().tolist(), walked.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert ((ours > 0) == ink).all()


def test_only_gaps_of_one_pixel_are_bridged():
    ink = np.zeros((7, 9), bool)
    ink[:, [0, 2, 5, 8]] = True
    assert np.flatnonzero(bridge(ink)[3]).tolist() == [0, 1, 2, 5, 8]


def test_a_digit_has_a_face():
    html = find_digits(sheet())[0]._repr_html_()
    assert "alt=" in html and find_digits(sheet())[0].to_dict() == {"box": [15, 10, 6, 40]}
