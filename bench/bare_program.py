"""What the emulated line itself allows: writes the command, waits for the prompt, writes the PDU, waits for the answer.

PORT... One fixed message, by whichever port is free, for each line on standard input; it keeps, reads and checks
nothing else.
"""

import os
import sys
import threading
import tty

_PDU = b"0001000B919471111111F1000005C8329BFD06"
"""SMS-SUBMIT (3GPP TS 23.040 §9.2.2.2), behind a length of zero for the SMSC: "Hello" in the default alphabet."""
_COMMAND = b"AT+CMGS=%d\r" % (len(_PDU) // 2 - 1)

_input = threading.Lock()


def main() -> None:
    for port in sys.argv[1:]:
        threading.Thread(target=_serve, args=(port,)).start()


def _serve(port: str) -> None:
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)

    def ask(octets: bytes, *ends: bytes) -> None:
        os.write(line, octets)
        answer = b""
        while not any(end in answer for end in ends):
            answer += os.read(line, 4096)

    for command in (b"ATE0\r", b"AT+CMGF=0\r"):
        ask(command, b"OK", b"ERROR")
    while True:
        with _input:
            if not sys.stdin.readline():
                return
        ask(_COMMAND, b"> ")
        ask(_PDU + b"\x1a", b"OK", b"ERROR")


main()
