# SPDX-License-Identifier: Apache-2.0
import dataclasses
from xml.etree import ElementTree

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.memory_plan_svg import memory_plan_svg
from tests.layered_model import OPERATORS, layered_model
from tests.tflite_builder import TfliteBuilder

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def model():
    return compile_model(layered_model(), "/somewhere/else/model.tflite")


def groups(document):
    """Title and rectangle of each buffer."""
    root = ElementTree.fromstring(document)
    return [
        (group.find(f"{NAMESPACE}title").text, group.find(f"{NAMESPACE}rect"))
        for group in root.iter(f"{NAMESPACE}g")
        if group.find(f"{NAMESPACE}rect") is not None
    ]


def box(rect):
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_every_buffer_is_drawn_with_what_it_is(model):
    drawn = groups(memory_plan_svg(model))
    assert len(drawn) == len(model.buffers)
    for (title, rect), buffer in zip(drawn, model.buffers, strict=True):
        offset = model.plan.offsets[buffer.tensor]
        assert f"{buffer.bytes:,} B at {offset:,} to {offset + buffer.bytes - 1:,}, layer" in title
        left, top, right, bottom = box(rect)
        assert (right - left) % (buffer.last - buffer.first + 1) == 0
        assert bottom - top >= 2
    kinds = [rect.get("class") for _, rect in drawn]
    assert kinds.count("buffer input") == 1
    assert kinds.count("buffer output") == 1
    assert "buffer scratch" in kinds


def test_what_lives_at_the_same_time_does_not_overlap_in_the_picture(model):
    # Larger than the least height, which may hide a boundary.
    tall = [box(rect) for _, rect in groups(memory_plan_svg(model))]
    tall = [b for b in tall if b[3] - b[1] > 2]
    layer = min(b[2] - b[0] for b in tall)
    for i, a in enumerate(tall):
        for b in tall[:i]:
            # An output may lie over an input that dies in its layer.
            if layer in (a[2] - b[0], b[2] - a[0]):
                continue
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] - 0.11 or b[1] >= a[3] - 0.11


def test_layers_and_sizes_can_be_read(model):
    texts = [t.text for t in ElementTree.fromstring(memory_plan_svg(model)).iter(f"{NAMESPACE}text")]
    assert texts[0] == f"model.tflite: arena of {model.arena_bytes:,} B"
    assert f"lower bound, {model.plan.lower_bound:,} B" in texts
    assert [text for text in texts if text in OPERATORS] == list(OPERATORS)


def test_the_same_model_gives_the_same_picture_wherever_it_lies(model):
    moved = compile_model(layered_model(), "other/model.tflite")
    assert memory_plan_svg(moved) == memory_plan_svg(model)


def test_a_picture_needs_nothing_beside_it(model):
    text = memory_plan_svg(model).replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text
    assert "<script" not in text


def test_names_of_the_file_cannot_break_the_picture():
    builder = TfliteBuilder()
    x = builder.tensor((1, 4), scale=0.5, name="</svg>&<x y='\"'>")
    y = builder.tensor((1, 4), scale=0.25, name="]]><script>")
    builder.operator("RELU", [x], [y])
    model = dataclasses.replace(compile_model(builder.build([x], [y])), name="<&>.tflite")
    titles = [title for title, _ in groups(memory_plan_svg(model))]
    assert any("]]><script>" in title for title in titles)


def test_a_model_with_nothing_to_do_has_a_picture_too():
    builder = TfliteBuilder()
    x = builder.tensor((1, 4), scale=0.5)
    y = builder.tensor((4,), scale=0.5)
    shape = builder.tensor((1,), "INT32", data=[4])
    builder.operator("RESHAPE", [x, shape], [y])
    assert len(groups(memory_plan_svg(compile_model(builder.build([x], [y]))))) == 1
