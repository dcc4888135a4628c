"""What a client sets and a reboot forgets, and the options of the whole program. Data only."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Cnmi:
    """+CNMI: how new messages and reports are shown (27.005 §3.4.1)."""

    mode: int = 0
    mt: int = 0
    bm: int = 0
    ds: int = 0
    bfr: int = 0


@dataclass(slots=True)
class Settings:
    """The volatile settings, as they stand after power-up or &F."""

    has_echo: bool = True
    is_verbose: bool = True
    is_quiet: bool = False
    error_level: int = 0
    is_text_mode: bool = False
    text_header: int = 0
    character_set: str = "IRA"
    memories: list[str] = field(default_factory=lambda: ["ME", "ME", "ME"])
    service: int = 0
    cnmi: Cnmi = field(default_factory=Cnmi)
    more_messages: int = 0
    registration_reports: dict[str, int] = field(default_factory=lambda: {"+CREG": 0, "+CGREG": 0, "+CEREG": 0})
    ussd_reports: int = 0
    caller_identity: int = 0
    extended_ring: int = 0
    operator_format: int = 0
    sms_service: int = 3


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked. Durations are seconds; `links[i]` and the other tuples are per modem."""

    links: tuple[Path, ...]
    control: Path | None = None
    log: Path | None = None
    personality: str = "generic"
    radio_time_s: float = 0.2
    report_delay_s: float = 0.5
    report_jitter_s: float = 0.0
    report_statuses: tuple[int, ...] = (0,)
    has_reports: bool = True
    auto_reply: str | None = None
    auto_reply_delay_s: float = 1.0
    boot_time_s: float = 3.0
    retry_s: float = 2.0
    acknowledge_timeout_s: float = 15.0
    me_capacity: int | None = None
    sm_capacity: int | None = None
    sr_capacity: int | None = None
    has_false_sr: bool = False
    is_text_mode_default: bool = False
    has_sim: bool = True
    pin: str | None = None
    smsc: str = "+491710760000"
    registration: int = 1
    ussd: str = "Balance 9.99 EUR"
    has_second_sim: bool = False
    noise_gap_s: float | None = None
    seed: int = 1
    has_air_print: bool = False
    logs_commands: bool = False
    exits_on_stdin_eof: bool = False
