"""Where INT8 pays, according to /proc/cpuinfo."""

import pytest

from imaging.core.cpu import int8_profits

X86 = "processor\t: 0\nmodel name\t: CPU @ 2 GHz\nflags\t\t: fpu sse4_2 avx2 {}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\n"


@pytest.mark.parametrize("feature", ["avx512_vnni", "avx_vnni", "amx_int8"])
def test_x86_with_byte_products(tmp_path, feature):
    assert int8_profits(written(tmp_path, X86.format(feature)))


@pytest.mark.parametrize("feature", ["asimddp", "i8mm"])
def test_arm_with_byte_products(tmp_path, feature):
    assert int8_profits(written(tmp_path, ARM.format(feature)))


@pytest.mark.parametrize("text", [X86.format("avx512f"), ARM.format("crc32"), X86.format("no_avx_vnni"), "", "flags"])
def test_without(tmp_path, text):
    assert not int8_profits(written(tmp_path, text))


def test_where_there_is_no_cpuinfo(tmp_path):
    assert not int8_profits(tmp_path / "cpuinfo")


def written(folder, text):
    path = folder / "cpuinfo"
    path.write_text(text)
    return path
