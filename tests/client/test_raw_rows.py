import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData
from snooze.client.exchange import Payload
from snooze.client.raw_rows import encode_raw


def encode(kind: str, *rows: str, data: Path | None = None, label: str | None = None) -> list[Payload]:
    found = encode_raw(kind, rows or None, data, label)
    assert found is not None
    return list(found)


def as_json(payloads: list[Payload]) -> Any:
    (payload,) = payloads
    assert payload.headers == {"Content-Type": "application/json"}
    return json.loads(payload.body)


def as_csv(payloads: list[Payload]) -> str:
    (payload,) = payloads
    assert payload.headers == {"Content-Type": "text/csv"}
    return payload.body.decode()


def test_a_picture_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.JPG"
    file.write_bytes(b"\xff\xd8")

    assert encode("image", data=file) == [Payload(b"\xff\xd8", {"Content-Type": "application/octet-stream"})]
    with pytest.raises(InvalidData, match=r"none\.png: cannot be read: No such file or directory$"):
        encode("image", data=tmp_path / "none.png")


def test_each_picture_of_a_folder_is_a_request(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.bmp"):
        (tmp_path / name).write_bytes(name.encode())

    assert [payload.body for payload in encode("image", data=tmp_path)] == [b"a.jpg", b"b.png", b"c.bmp"]


@pytest.mark.parametrize("file", ["rows.npy", "rows.npz", "rows.json"])
def test_arrays_are_the_own_inputs_of_a_model_of_pictures(tmp_path: Path, file: str) -> None:
    assert encode_raw("image", None, tmp_path / file) is None
    assert encode_raw("image", ["1,2"], None) is None


def test_texts_may_have_commas(tmp_path: Path) -> None:
    assert as_json(encode("text", "Who, if anyone?", "[it]")) == {"texts": ["Who, if anyone?", "[it]"]}
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\ntwo")
    assert as_json(encode("text", data=tmp_path / "a.txt")) == {"texts": ["one\ntwo"]}
    (tmp_path / "a.csv").write_text("text,kind\none,x\n,y\n")
    assert as_json(encode("text", data=tmp_path / "a.csv", label="kind")) == {"texts": ["one", ""]}
    (tmp_path / "b.txt").write_bytes(b"a\xff")
    with pytest.raises(InvalidData, match=r"b\.txt: is not UTF-8 \(byte 1\)$"):
        encode("text", data=tmp_path / "b.txt")


def test_other_columns_than_texts_are_the_own_inputs_of_a_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "ids.npz", input_ids=np.ones((2, 3), np.int64))

    assert encode_raw("text", None, tmp_path / "ids.npz") is None


def test_rows_of_a_table_are_fields_of_csv(tmp_path: Path) -> None:
    assert as_csv(encode("table", "1,2,good", '3,,"a,b"')) == '1,2,good\n3,,"a,b"'
    (tmp_path / "a.csv").write_text('\ufeffa,kind,b\n01,x,"1,5"\n\n,y,2\n')
    assert as_csv(encode("table", data=tmp_path / "a.csv")) == 'a,kind,b\n01,x,"1,5"\n\n,y,2\n'
    assert as_csv(encode("table", data=tmp_path / "a.csv", label="kind")) == 'a,b\r\n01,"1,5"\r\n,2\r\n'


def test_other_rows_of_a_table_are_json(tmp_path: Path) -> None:
    assert as_json(encode("table", '[1, null, "a"]', "2,3,b")) == {"rows": [[1, None, "a"], [2, 3, "b"]]}
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": null, "b": "y"}\n')
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    assert as_json(encode("table", data=tmp_path / "a.jsonl")) == {"rows": rows}
    np.save(tmp_path / "a.npy", np.array([[1.5, 2], [3, 4]]))
    assert as_json(encode("table", data=tmp_path / "a.npy")) == {"rows": [[1.5, 2], [3, 4]]}


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "a,kind\n1\n"])
def test_a_column_of_labels_is_in_every_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)

    with pytest.raises(InvalidData) as caught:
        encode("table", data=tmp_path / "a.csv", label="kind")

    assert caught.value.what == "--label"
