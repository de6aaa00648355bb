import sys

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from vasari.errors import WatermarkError
from vasari.watermark.peers import METHODS, Peer


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_writes_it_reads(method, tmp_path):
    pytest.importorskip("imwatermark")
    peer = Peer(method)
    payload = "c0ffee123456"[: peer.bits // 4]
    source, marked = tmp_path / "plain.png", tmp_path / "marked.png"
    Image.fromarray(astronaut()).save(source)
    peer.mark_file(source, marked, payload)
    assert peer.read(marked) == payload


def test_unusable_payloads_are_refused():
    pytest.importorskip("imwatermark")
    for payload in ("c0ffee", "no payload"):
        with pytest.raises(WatermarkError, match="12 hexadecimal digits"):
            Peer("dwtDct").mark(astronaut(), payload)


def test_small_pictures_are_refused():
    pytest.importorskip("imwatermark")
    with pytest.raises(WatermarkError, match="65536 pixels"):
        Peer("dwtDct").received([np.zeros((100, 100, 3), np.uint8)])


@pytest.mark.parametrize(
    ("method", "bits", "complaint"),
    [("dct", None, "dwtDct, dwtDctSvd"), ("rivaGan", 48, "rivaGan 32"), ("dwtDct", 7, "of 8")],
)
def test_unknown_methods_are_refused(method, bits, complaint):
    with pytest.raises(WatermarkError, match=complaint):
        Peer(method, bits)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imwatermark", None)
    with pytest.raises(WatermarkError, match="invisible-watermark"):
        Peer("dwtDct")
