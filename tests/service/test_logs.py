import io
import json

from snooze.service.logs import Log


def test_text_is_one_line_whatever_is_in_it() -> None:
    stream = io.StringIO()
    Log("text", stream).write("error", "a\r\nb", request="1")

    assert stream.getvalue() == "snooze: a  b\n"


def test_json_carries_the_facts() -> None:
    stream = io.StringIO()
    Log("json", stream).write("error", "a\nb", request="1")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["message"], line["request"]) == ("error", "a\nb", "1")
    assert stream.getvalue().count("\n") == 1


def test_off_is_silent() -> None:
    stream = io.StringIO()
    Log("off", stream).write("ready", "x")

    assert stream.getvalue() == ""


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    stream = io.StringIO()
    log = Log("text", stream)
    stream.close()

    log.write("ready", "x")
    log.write("ready", "x")
