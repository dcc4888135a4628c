"""The least that a user of python-gsmmodem-new writes: PORT, reports on|off, and the file for inbound.

Lines "NUMBER TEXT" on standard input are sent one after the other. It runs in the library's own venv.
"""

import sys
import time

from gsmmodem.modem import GsmModem


def main() -> None:
    port, reports, inbox = sys.argv[1:4]
    with open(inbox, "a", buffering=1) as received:  # noqa: PTH123 - also runs on an older Python

        def keep(message: object) -> None:
            received.write(repr(message.text) + "\n")  # type: ignore[attr-defined]

        while True:
            modem = GsmModem(port, 115200, smsReceivedCallbackFunc=keep, requestDelivery=reports == "on")
            try:
                modem.connect()
                break
            except Exception as error:  # the library raises what serial and its parser raise
                print("connect:", error, flush=True)
                time.sleep(1)
        for line in sys.stdin:
            number, _, text = line.rstrip("\n").partition(" ")
            while True:
                try:
                    modem.sendSms(number, text)
                    break
                except Exception as error:
                    print("send:", error, flush=True)
                    time.sleep(1)
                    try:
                        modem.close()
                        modem.connect()
                    except Exception as again:
                        print("connect:", again, flush=True)
        while True:
            time.sleep(3600)


main()
