import pytest

from snooze.benchmarks.robustness.answers import Answer, AnswerReader, Malformed

ONE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\none"
TWO = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_cuts_answers_out_of_pieces(step: int) -> None:
    reader = AnswerReader()
    sent = b"HTTP/1.1 100 Continue\r\n\r\n" + ONE + TWO
    answers = [answer for at in range(0, len(sent), step) for answer in reader.feed(sent[at : at + step])]

    assert answers == [
        Answer(200, {b"content-length": b"3", b"x": b"y"}, b"one"),
        Answer(400, {b"content-length": b"0", b"connection": b"close"}, b""),
    ]
    assert [answer.closes for answer in answers] == [False, True]
    assert reader.is_between


def test_half_an_answer_is_none() -> None:
    reader = AnswerReader()
    assert reader.feed(ONE[:-1]) == []
    assert not reader.is_between


@pytest.mark.parametrize(
    "sent",
    [
        b"hello",
        b"HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
)
def test_anything_else_is_malformed(sent: bytes) -> None:
    with pytest.raises(Malformed):
        AnswerReader().feed(sent)
