"""Messages and reports from the network: storing, indicating, handing through, and never losing one."""

from __future__ import annotations

import pytest

from drivers.simulator import tpdu
from drivers.simulator.control import ControlError
from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, RECIPIENT, WITH_REPORT, Line


def read_pdu(text: str) -> tpdu.Deliver:
    return tpdu.read_deliver(tpdu.split_smsc(bytes.fromhex(text))[1])


def report_of(text: str) -> tpdu.StatusReport:
    return tpdu.read_status_report(tpdu.split_smsc(bytes.fromhex(text))[1])


def direct_pdu(line: Line, prefix: bytes) -> str:
    """The PDU line of +CMT or +CDS, whose announced length must be right."""
    line.expect(rb"\r\n\+" + prefix + rb": ")
    announced = int(line.expect(rb"\r\n").decode().strip().strip(","))
    pdu = line.expect(rb"\r\n").decode().strip()
    assert len(tpdu.split_smsc(bytes.fromhex(pdu))[1]) == announced
    return pdu


def test_message_is_stored_indicated_read_and_deleted(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    (inbound,) = simulator.control.deliver("+491701234567", "Grüße €")
    line.expect(rb'\r\n\+CMTI: "ME",1\r\n')
    header, pdu, final = line.command("AT+CMGR=1")
    assert (header.split(",")[0], final) == ("+CMGR: 0", "OK")
    message = read_pdu(pdu)
    assert (message.sender.number, message.user_data.text) == ("+491701234567", "Grüße €")
    assert line.command("AT+CMGR=1")[0].startswith("+CMGR: 1")
    assert line.command("AT+CMGL=0") == ["OK"]
    assert line.command("AT+CMGL=1")[1] == pdu
    assert line.command("AT+CPMS?")[0].startswith('+CPMS: "ME",1,100')
    assert line.command("AT+CMGD=1") == ["OK"]
    assert line.command("AT+CMGL=4") == ["OK"]
    names = ["inbound", "deliver", "stored", "read", "read", "read", "delete"]
    events = simulator.events("inbound", "deliver", "stored", "read", "delete")
    assert [event["event"] for event in events] == names
    assert {event["inbound"] for event in events} == {inbound}


def test_third_memory_decides_where_a_message_goes(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    line.command('AT+CPMS="ME","ME","SM"')
    simulator.control.deliver("+4912345", "to the SIM")
    line.expect(rb'\+CMTI: "SM",1\r\n')
    assert line.command("AT+CMGR=1") == ["+CMS ERROR: 321"]
    line.command('AT+CPMS="SM"')
    assert line.command("AT+CMGR=1")[-1] == "OK"


def test_class_2_goes_to_the_sim_even_when_direct(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,2,0,0,0")
    simulator.control.deliver("+4912345", "class two", dcs=0xF2)
    line.expect(rb'\+CMTI: "SM",1\r\n')


def test_mt_0_stores_silently(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.deliver("+4912345", "quiet")
    simulator.wait_for("stored")
    line.silence(0.03)
    assert len(line.command("AT+CMGL=4")) == 3


def test_mode_0_holds_indications_until_the_mode_changes(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=0,1,0,0,0")
    simulator.control.deliver("+4912345", "held back")
    simulator.wait_for("stored")
    line.silence(0.03)
    line.write(b"AT+CNMI=2,1,0,0,0\r")
    line.expect(rb'\+CMTI: "ME",1\r\n')


def test_long_text_comes_in_parts_in_the_order_asked_for(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    text = "".join(chr(ord("a") + number % 26) for number in range(400))
    simulator.control.deliver(
        "+4912345", text, parts_order=[3, 1, 2], reference=0x1234, reference_bits=16, duplicate=True
    )
    simulator.wait_for("stored", count=6)
    pdus = [part for part in line.command("AT+CMGL=4") if not part.startswith("+") and part != "OK"]
    parts = [read_pdu(pdu).user_data for pdu in pdus]
    places = [part.concatenation.sequence for part in parts if part.concatenation]
    assert places == [3, 3, 1, 1, 2, 2]
    assert {part.concatenation.reference for part in parts if part.concatenation} == {0x1234}
    joined = {part.concatenation.sequence: part.text or "" for part in parts if part.concatenation}
    assert "".join(joined[place] for place in (1, 2, 3)) == text


def test_raw_tpdu_is_delivered_as_it_is(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    octets = tpdu.write_deliver(tpdu.address_of("Bank"), "raw", 1_700_000_000.0)
    simulator.control.request("deliver_pdu", pdu=octets.hex())
    simulator.wait_for("stored")
    assert line.command("AT+CMGR=1")[1].endswith(octets.hex().upper())
    with pytest.raises(ControlError, match="octet"):
        simulator.control.request("deliver_pdu", pdu="04")
    simulator.control.request("deliver_pdu", pdu="04FFEE", unchecked=True)
    simulator.wait_for("stored", count=2)
    assert line.command("AT+CMGR=2")[1].endswith("04FFEE")
    line.command("AT+CMGF=1")
    assert line.command("AT+CMGR=2")[1] == "04FFEE"


def test_full_storage_leaves_messages_at_the_network(start: Start, open_line: Open) -> None:
    simulator = start("--me-capacity", "2")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    for number in range(4):
        simulator.control.deliver("+4912345", f"number {number}")
    line.expect(rb'\+CMTI: "ME",1\r\n.*\+CMTI: "ME",2\r\n')
    assert [event["why"] for event in simulator.wait_for("held", count=2)] == ["full", "full"]
    line.silence(0.08)
    assert simulator.control.request("stats")["queued"] == 2
    line.write(b"AT+CMGD=1\r")
    line.expect(rb'\+CMTI: "ME",1\r\n')
    line.write(b"AT+CMGD=1,4\r")
    line.expect(rb"\+CMTI: [^\r]*\r\n")
    assert {event["inbound"] for event in simulator.events("stored")} == {1, 2, 3, 4}


def test_unreachable_modem_gets_its_messages_later(start: Start, open_line: Open) -> None:
    simulator = start("--registration", "2")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    simulator.control.deliver("+4912345", "later")
    assert simulator.wait_for("held")[0]["why"] == "unreachable"
    simulator.control.request("registration", state=1)
    line.expect(rb"\+CMTI: [^\r]*\r\n")


def test_stored_messages_survive_a_reboot(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.deliver("+4912345", "kept")
    simulator.wait_for("stored")
    simulator.control.request("reboot")
    simulator.control.deliver("+4912345", "while booting")
    line.expect(rb"SMS DONE\r\n")
    line.command("ATE0")
    simulator.wait_for("stored", count=2)
    assert len(line.command("AT+CMGL=4")) == 5


def test_direct_messages_without_acknowledgement(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,2,0,0,0")
    for text in ("one", "two"):
        simulator.control.deliver("+4912345", text)
        assert read_pdu(direct_pdu(line, b"CMT")).user_data.text == text
    assert line.command("AT+CMGL=4") == ["OK"]
    assert [event["how"] for event in simulator.events("deliver")] == ["cmt", "cmt"]


def test_direct_messages_wait_for_their_acknowledgement(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CSMS=1")
    line.command("AT+CNMI=2,2,0,0,0")
    for text in ("one", "two"):
        simulator.control.deliver("+4912345", text)
    assert read_pdu(direct_pdu(line, b"CMT")).user_data.text == "one"
    line.silence(0.05)
    line.write(b"AT+CNMA\r")
    line.expect(rb"OK\r\n")
    assert read_pdu(direct_pdu(line, b"CMT")).user_data.text == "two"
    line.write(b"AT+CNMA=2\r")  # refused: the network tries again
    line.expect(rb"OK\r\n")
    assert read_pdu(direct_pdu(line, b"CMT")).user_data.text == "two"
    line.command("AT+CNMA=0")
    assert line.command("AT+CNMA") == ["+CMS ERROR: 340"]
    assert [event["positive"] for event in simulator.events("cnma")] == [True, False, True]


def test_missing_acknowledgement_switches_routing_off(start: Start, open_line: Open) -> None:
    simulator = start("--ack-timeout", "0.05")
    line = open_line(simulator)
    line.command("AT+CSMS=1")
    line.command("AT+CNMI=2,2,0,1,0")
    simulator.control.deliver("+4912345", "nobody acknowledges")
    direct_pdu(line, b"CMT")
    simulator.wait_for("ack_timeout")
    assert line.command("AT+CNMI?")[0] == "+CNMI: 2,0,0,0,0"
    simulator.wait_for("stored")  # the retry finds routing off


def test_text_mode_shows_messages(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CMGF=1")
    simulator.control.deliver("+4912345", "plain text")
    simulator.wait_for("stored")
    header, body, _ = line.command('AT+CMGL="ALL"')
    assert header.startswith('+CMGL: 1,"REC UNREAD","+4912345",,"')
    assert body == "plain text"
    assert line.command("AT+CMGR=1")[0].startswith('+CMGR: "REC READ","+4912345"')


def test_report_comes_directly_with_ds_1(start: Start, open_line: Open) -> None:
    simulator = start("--report-status", "0x20,0")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    line.submit(WITH_REPORT)
    reports = [report_of(direct_pdu(line, b"CDS")) for _ in range(2)]
    assert [report.status for report in reports] == [0x20, 0]
    assert {(report.reference, report.recipient.number) for report in reports} == {(0, RECIPIENT)}
    assert [(e["how"], e["submit"]) for e in simulator.events("report")] == [("cds", 1), ("cds", 1)]


def test_report_is_stored_with_ds_2(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,2,0")
    line.submit(WITH_REPORT)
    line.expect(rb'\r\n\+CDSI: "SR",1\r\n')
    line.command('AT+CPMS="SR","ME","ME"')
    assert report_of(line.command("AT+CMGR=1")[1]).reference == 0
    assert line.command("AT+CMGD=1") == ["OK"]
    assert line.command("AT+CPMS?")[0].startswith('+CPMS: "SR",0,50')


def test_report_is_stored_silently_with_ds_0(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.submit(WITH_REPORT)
    assert simulator.wait_for("report")[0]["how"] == "sr_silent"
    line.silence(0.02)


def test_no_report_without_request_or_without_service(start: Start, open_line: Open) -> None:
    simulator = start("--no-reports")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    line.submit(WITH_REPORT)
    simulator.control.request("network", reports=True)
    line.submit(PLAIN)
    line.silence(0.05)
    assert simulator.events("report_sent") == []


def test_without_report_memory_ds_2_is_refused(start: Start, open_line: Open) -> None:
    line = open_line(start("--sr-capacity", "0"))
    assert line.command("AT+CNMI=?")[0] == "+CNMI: (0-2),(0-3),(0,2),(0,1),(0,1)"
    assert line.command("AT+CNMI=2,1,0,2,0") == ["+CMS ERROR: 303"]
    assert line.command("AT+CNMI=2,1,0,1,0") == ["OK"]


def test_lying_report_memory_indicates_what_cannot_be_read(start: Start, open_line: Open) -> None:
    simulator = start("--sr-capacity", "0", "--sr-lies")
    line = open_line(simulator)
    assert line.command("AT+CNMI=2,1,0,2,0") == ["OK"]
    line.submit(WITH_REPORT)
    line.expect(rb'\+CDSI: "SR",8\r\n')
    line.command('AT+CPMS="SR","ME","ME"')
    assert line.command("AT+CMGR=8") == ["+CMS ERROR: 321"]
    assert simulator.events("report")[0]["how"] == "lost"


def test_report_by_hand(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    simulator.control.request("report", mr=77, to="+4999", status=0x46)
    report = report_of(direct_pdu(line, b"CDS"))
    assert (report.reference, report.recipient.number, report.status) == (77, "+4999", 0x46)


def test_report_waits_for_its_sim(start: Start, open_line: Open) -> None:
    simulator = start("--report-delay", "0.3")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    iccid = line.command("AT+CCID")[0].removeprefix("+CCID: ")
    line.submit(WITH_REPORT)
    simulator.control.request("sim", swap=True)
    simulator.wait_for("report_sent")
    line.silence(0.05)
    simulator.control.request("sim", insert=iccid)
    direct_pdu(line, b"CDS")


def test_recipient_answers_once_per_message(start: Start, open_line: Open) -> None:
    simulator = start("--auto-reply", "Danke", "--auto-reply-delay", "0.01")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    line.submit(PLAIN)
    line.expect(rb"\+CMTI: [^\r]*\r\n")
    message = read_pdu(line.command("AT+CMGR=1")[1])
    assert (message.sender.number, message.user_data.text) == (RECIPIENT, "Danke")
    assert len(simulator.events("inbound")) == 1
